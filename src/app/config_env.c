/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from the environment.
 *
 *   ${env:NAME}             the variable's value; not set is a mistake
 *   ${env:NAME:-default}    ... or the default, when it is not set or empty; taken as it is up to
 *                           the first }
 *   ${attribute:..} ${key:..} ${file:..}   stay, where a template of tenants may have them
 *   $$                      one $
 *
 * Expansion is done once, after parsing: a value that holds ${ or YAML itself stays what it is.
 *
 * OTEL_EXPORTER_OTLP_* (OpenTelemetry specification, "OTLP Exporter Configuration") make the
 * destination where the file names none. A METRICS_ variant wins over the general one. An empty
 * variable counts as not set. ENDPOINT is a base URL to which v1/metrics is appended,
 * METRICS_ENDPOINT is taken as it is; with PROTOCOL grpc both are base URLs, and without a scheme
 * INSECURE chooses it. What the standard knows and this version does not (client certificates) is
 * refused rather than ignored.
 *
 * The main thread, before any other is started: getenv is not safe beside setenv.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_SIZE = 128, PAIRS_MAX = 64 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == 0 ? NULL : value;
}

/* The end of a variable's name at `text`. */
static size_t name_size(struct weir_bytes text)
{
    size_t at = 0;
    while (at < text.size) {
        uint8_t byte = text.data[at];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
        bool digit = byte >= '0' && byte <= '9' && at > 0;
        if (!letter && !digit) {
            break;
        }
        at++;
    }
    return at;
}

/* `inside` is what stands between ${env: and }. */
static enum weir_status expand_variable(struct weir_bytes inside, struct weir_buf *out,
                                        struct weir_buf *why)
{
    size_t size = name_size(inside);
    struct weir_bytes rest = weir_bytes_from(inside, size);
    bool has_default = weir_bytes_starts_with(rest, WEIR_BYTES(":-"));
    if (size == 0 || size >= NAME_MAX_SIZE || (rest.size > 0 && !has_default)) {
        weir_buf_put(why, WEIR_BYTES("not a variable (write ${env:NAME} or ${env:NAME:-default})"));
        return WEIR_EINVAL;
    }
    char name[NAME_MAX_SIZE];
    memcpy(name, inside.data, size);
    name[size] = 0;
    const char *value = getenv(name);
    if (has_default && (value == NULL || value[0] == 0)) {
        weir_buf_put(out, weir_bytes_from(rest, 2));
        return WEIR_OK;
    }
    if (value == NULL) {
        weir_buf_printf(why,
                        "environment variable %s is not set (set it, or write ${env:%s:-default})",
                        name, name);
        return WEIR_EINVAL;
    }
    weir_buf_put(out, weir_bytes_str(value));
    return WEIR_OK;
}

/* What is not of the environment, but of a request. */
static bool is_placeholder(struct weir_bytes text)
{
    return weir_bytes_starts_with(text, WEIR_BYTES("${attribute:")) ||
           weir_bytes_starts_with(text, WEIR_BYTES("${key:")) ||
           weir_bytes_starts_with(text, WEIR_BYTES("${file:"));
}

enum weir_status weir_config_expand(struct weir_bytes text, struct weir_buf *out,
                                    struct weir_buf *why)
{
    static const struct weir_bytes opening = WEIR_BYTES_INIT("${env:");
    size_t at = 0;
    while (at < text.size) {
        struct weir_bytes rest = weir_bytes_from(text, at);
        if (weir_bytes_starts_with(rest, WEIR_BYTES("$$"))) {
            weir_buf_put_byte(out, '$');
            at += 2;
        } else if (weir_bytes_starts_with(rest, opening)) {
            const uint8_t *close = memchr(rest.data, '}', rest.size);
            if (close == NULL) {
                weir_buf_put(why, WEIR_BYTES("${env: without its } (write $$ for a plain $)"));
                return WEIR_EINVAL;
            }
            size_t inside = (size_t)(close - rest.data) - opening.size;
            WEIR_TRY(expand_variable(weir_bytes_of(rest.data + opening.size, inside), out, why));
            at += opening.size + inside + 1;
        } else if (is_placeholder(rest)) {
            weir_buf_put(out, WEIR_BYTES("${")); /* a tenant's, later: whether it belongs there is
                                                    seen by whoever reads the key */
            at += 2;
        } else if (weir_bytes_starts_with(rest, WEIR_BYTES("${"))) {
            weir_buf_put(why, WEIR_BYTES("only ${env:NAME} is known (write $$ for a plain $)"));
            return WEIR_EINVAL;
        } else {
            const uint8_t *next = memchr(rest.data + 1, '$', rest.size - 1);
            size_t plain = next == NULL ? rest.size : (size_t)(next - rest.data);
            weir_buf_put(out, weir_bytes_of(rest.data, plain));
            at += plain;
        }
    }
    if (out->failed) {
        weir_buf_put(why, WEIR_BYTES("too long"));
        return WEIR_EINVAL;
    }
    return WEIR_OK;
}

/* The value of OTEL_EXPORTER_OTLP_METRICS_<name>, else OTEL_EXPORTER_OTLP_<name>, else NULL.
 * *ret_name is the one that was set. */
static const char *otel(const char *name, char *ret_name, size_t size)
{
    static const char *const prefixes[] = {"OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(ret_name, size, "%s%s", prefixes[i], name);
        const char *value = variable(ret_name);
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

static const struct weir_config_place nowhere;

/* One "key=value" of HEADERS as "Key: value" in the configuration's memory; NULL
 * when it is none. */
static const char *otel_header(struct weir_config *config, struct weir_bytes pair,
                               struct weir_buf *why)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    if (equals == NULL) {
        weir_buf_put(why, WEIR_BYTES("a pair without = (write name=value,name=value)"));
        return NULL;
    }
    struct weir_buf text = weir_buf_grow_init(WEIR_CONFIG_TEXT_MAX);
    size_t name = (size_t)(equals - pair.data);
    (void)weir_config_put_decoded(&text, weir_bytes_of(pair.data, name));
    size_t colon = text.size;
    weir_buf_put(&text, WEIR_BYTES(": "));
    (void)weir_config_put_decoded(&text, weir_bytes_from(pair, name + 1));
    const char *whole = NULL;
    bool whole_text = !text.failed && memchr(text.data, 0, text.size) == NULL;
    char *copy = whole_text ? weir_config_alloc(config, text.size + 1) : NULL;
    if (copy != NULL) {
        memcpy(copy, text.data, text.size);
        copy[colon] = 0;
        bool valid = weir_config_valid_header(copy, copy + colon + 2, why);
        copy[colon] = ':';
        whole = valid ? copy : NULL;
    } else {
        weir_buf_put(why, WEIR_BYTES("not a list of headers"));
    }
    if (text.data != NULL) {
        explicit_bzero(text.data, text.size); /* tokens */
    }
    weir_buf_done(&text);
    return whole;
}

static void otel_headers(struct weir_config *config, struct weir_config_report *report,
                         struct weir_config_destination *destination)
{
    char name[NAME_MAX_SIZE];
    const char *value = otel("HEADERS", name, sizeof name);
    const char **headers = weir_config_alloc(config, (PAIRS_MAX + 1) * sizeof *headers);
    if (value == NULL || headers == NULL) {
        return;
    }
    uint32_t count = 0;
    char memory[256];
    struct weir_buf why = weir_buf_fixed(memory, sizeof memory);
    for (const char *at = value; *at != 0 && count < PAIRS_MAX;) {
        size_t size = strcspn(at, ",");
        const char *header = size == 0 ? NULL : otel_header(config, weir_bytes_of(at, size), &why);
        if (header != NULL) {
            headers[count++] = header;
        } else if (size > 0) {
            weir_config_error(report, nowhere, name, "%.*s", (int)why.size, memory);
            why.size = 0;
        }
        at += size + (at[size] == ',');
    }
    destination->headers = headers;
}

/* The variables that must have one of a few values. */
static void otel_choices(struct weir_config_report *report,
                         struct weir_config_destination *destination)
{
    char name[NAME_MAX_SIZE];
    const char *value = otel("COMPRESSION", name, sizeof name);
    if (value != NULL && strcmp(value, "gzip") != 0 && strcmp(value, "none") != 0) {
        weir_config_error(report, nowhere, name, "not gzip or none: %.40s", value);
    } else if (value != NULL) {
        destination->compression = value[0] == 'g' ? WEIR_COMPRESSION_GZIP : WEIR_COMPRESSION_NONE;
    }
    value = otel("TIMEOUT", name, sizeof name);
    uint64_t timeout_ms;
    if (value != NULL) {
        const char *bad = weir_config_parse_count(weir_bytes_str(value), &timeout_ms);
        if (bad != NULL || timeout_ms < 100 || timeout_ms > 600000) {
            weir_config_error(report, nowhere, name, "not milliseconds from 100 to 600000: %.40s",
                              value);
        } else {
            destination->timeout_ns = (int64_t)timeout_ms * WEIR_NS_PER_MS;
        }
    }
    destination->tls.certificate = otel("CLIENT_CERTIFICATE", name, sizeof name);
    destination->tls.key = otel("CLIENT_KEY", name, sizeof name);
}

static void otel_protocol(struct weir_config_report *report,
                          struct weir_config_destination *destination)
{
    static const char *const protocols[] = {[WEIR_PROTOCOL_HTTP_PROTOBUF] = "http/protobuf",
                                            [WEIR_PROTOCOL_HTTP_JSON] = "http/json",
                                            [WEIR_PROTOCOL_GRPC] = "grpc"};
    char name[NAME_MAX_SIZE];
    const char *value = otel("PROTOCOL", name, sizeof name);
    for (unsigned i = 0; value != NULL && i < sizeof protocols / sizeof *protocols; i++) {
        if (strcmp(value, protocols[i]) == 0) {
            destination->protocol = i;
            return;
        }
    }
    if (value != NULL) {
        weir_config_error(report, nowhere, name, "not http/protobuf, http/json or grpc: %.40s",
                          value);
    }
}

/* gRPC's clients take "host:port" too. NULL: no memory. */
static const char *with_scheme(struct weir_config *config, const char *endpoint)
{
    if (strstr(endpoint, "://") != NULL) {
        return endpoint;
    }
    char name[NAME_MAX_SIZE];
    const char *insecure = otel("INSECURE", name, sizeof name);
    const char *scheme =
        insecure != NULL && strcasecmp(insecure, "true") == 0 ? "http://" : "https://";
    size_t size = strlen(scheme) + strlen(endpoint) + 1;
    char *url = weir_config_alloc(config, size);
    if (url != NULL) {
        (void)snprintf(url, size, "%s%s", scheme, endpoint);
    }
    return url;
}

bool weir_config_otel(struct weir_config *config, struct weir_config_report *report,
                      struct weir_config_destination *destination)
{
    char name[NAME_MAX_SIZE];
    const char *endpoint = otel("ENDPOINT", name, sizeof name);
    if (endpoint == NULL) {
        return false;
    }
    otel_protocol(report, destination);
    bool is_grpc = destination->protocol == WEIR_PROTOCOL_GRPC;
    endpoint = is_grpc ? with_scheme(config, endpoint) : endpoint;
    if (endpoint == NULL) {
        return false;
    }
    char memory[512];
    struct weir_buf why = weir_buf_fixed(memory, sizeof memory);
    bool whole = !is_grpc && strcmp(name, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") == 0;
    bool valid =
        whole ? weir_config_valid_url(endpoint, &why) : weir_config_valid_base_url(endpoint, &why);
    if (!valid) {
        weir_config_error(report, nowhere, name, "%.*s", (int)why.size, memory);
    }
    destination->name = "otlp";
    destination->type = WEIR_DESTINATION_OTLP_HTTP;
    *(whole ? &destination->metrics_endpoint : &destination->endpoint) =
        weir_config_text(config, weir_bytes_str(endpoint));
    otel_headers(config, report, destination);
    otel_choices(report, destination);
    const char *certificate = otel("CERTIFICATE", name, sizeof name);
    if (certificate != NULL) {
        destination->tls.ca_file = weir_config_text(config, weir_bytes_str(certificate));
    }
    return true;
}
