/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: destinations whose endpoint requests name (weir/tenant.h). Their keys, the checks of
 * them, and what is derived: struct weir_tenant_options, the files of tokens, the share on disk.
 *
 *   endpoint  ${attribute:dt-url}/api/v2/otlp
 *   headers   Api-Token ${file:/run/secrets/tenants/${key:name}}
 *   tenants   {hosts: [...]}    without it none of these may be written
 *
 * A template and each of its tenants have a slot, 62 in all with the other destinations, so `max`
 * of all templates is bounded together.
 *
 * What would give one tenant's secret to another, or reach past the connect guard, is refused:
 * OAuth2 and bearer files (one token for all), a proxy (which looks names up itself).
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdio.h>

#define AT(member_) .offset = offsetof(struct weir_config_tenants, member_)

enum { PATH_SIZE = 128, HOSTS_MAX = 256, MAX_DEFAULT = 32, SHARE_PART = 10 };

static const char file_opening[] = "${file:";
static const char key_name[] = "${key:name}";

const struct weir_schema weir_schema_tenants[] = {
    {"hosts", WEIR_SCHEMA_TEXTS, AT(hosts), .min = 1, .max = HOSTS_MAX,
     .valid = weir_tenant_valid_host,
     .help =
         "hosts that requests may name: whole, or *. and a suffix, where the star is one label; "
         "with a port where it is not 443"},
    {"unverified", WEIR_SCHEMA_TEXTS, AT(unverified), .min = 1, .max = HOSTS_MAX,
     .valid = weir_tenant_valid_host,
     .help = "those of them whose certificates tls.verify may say not to verify; default: none"},
    {"max", WEIR_SCHEMA_COUNT, AT(max), .flags = WEIR_SCHEMA_IDLE, .min = 1,
     .max = WEIR_DESTINATIONS_MAX - 1, .applies = weir_config_has_tenants,
     .help = "tenants at a time"},
    {"idle", WEIR_SCHEMA_DURATION, AT(idle_ns), .flags = WEIR_SCHEMA_IDLE, .min = WEIR_NS_PER_S,
     .max = 30 * 86400 * WEIR_NS_PER_S, .applies = weir_config_has_tenants,
     .help = "a tenant that had no data for so long, and is owed nothing, is closed"},
    {.name = NULL}};

bool weir_config_has_tenants(const void *mapping)
{
    const struct weir_config_tenants *tenants = mapping;
    return tenants->hosts != NULL;
}

void weir_config_tenants_defaults(struct weir_config_tenants *tenants)
{
    tenants->max = MAX_DEFAULT;
    tenants->idle_ns = 86400 * WEIR_NS_PER_S;
}

static bool has_attribute(const char *text)
{
    return text != NULL && strstr(text, "${attribute:") != NULL;
}

bool weir_config_valid_endpoint(const char *text, struct weir_buf *why)
{
    return has_attribute(text) || weir_config_valid_base_url(text, why);
}

bool weir_config_valid_metrics_endpoint(const char *text, struct weir_buf *why)
{
    return has_attribute(text) || weir_config_valid_url(text, why);
}

/* Whether the value has `opening` with no $ before it. */
static bool has_opening(struct weir_bytes value, const char *opening)
{
    const uint8_t *at =
        value.size == 0 ? NULL : memmem(value.data, value.size, opening, strlen(opening));
    return at != NULL && (at == value.data || at[-1] != '$');
}

bool weir_config_misplaced(struct weir_bytes value, struct weir_bytes path)
{
    static const char *const keys[] = {"].endpoint", "].metrics_endpoint", "].headers",
                                       "].tls.verify"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (memmem(path.data, path.size, keys[i], strlen(keys[i])) != NULL) {
            return false;
        }
    }
    return has_opening(value, "${attribute:") || has_opening(value, "${key:") ||
           has_opening(value, file_opening);
}

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
    struct weir_config_destination *destination;
    uint32_t index;
};

static void tell(const struct check *check, const char *key, const char *text)
{
    char path[PATH_SIZE];
    char top[PATH_SIZE];
    (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].%s", check->index, key);
    (void)snprintf(top, sizeof top, "%.*s", (int)strcspn(key, "."), key);
    struct weir_config_place place =
        weir_schema_place(&check->destination->at, weir_schema_destination, top);
    place = place.line > 0 ? place : check->destination->at.place;
    weir_config_error(check->report, place, path, "%s", text);
}

/* -- headers -------------------------------------------------------------------------------- */

/* Appends a text with each ${key:name} replaced; false: it has another ${. */
static bool put_keyed(struct weir_bytes text, const char *key, struct weir_buf *out)
{
    size_t at = 0;
    while (at < text.size) {
        struct weir_bytes rest = weir_bytes_from(text, at);
        if (weir_bytes_starts_with(rest, weir_bytes_str(key_name))) {
            weir_buf_put(out, weir_bytes_str(key));
            at += sizeof key_name - 1;
        } else if (weir_bytes_starts_with(rest, WEIR_BYTES("${"))) {
            return false;
        } else {
            weir_buf_put_byte(out, rest.data[0]);
            at++;
        }
    }
    return true;
}

/* The text up to the next ${file:, and the path in that, both cut off *rest. False: it has no }. */
static bool next_file(const char **rest, struct weir_bytes *ret_text, struct weir_bytes *ret_path)
{
    const char *begin = strstr(*rest, file_opening);
    *ret_text = weir_bytes_of(*rest, begin == NULL ? strlen(*rest) : (size_t)(begin - *rest));
    *ret_path = (struct weir_bytes){NULL, 0};
    *rest += ret_text->size;
    if (begin == NULL) {
        return true;
    }
    const char *path = begin + sizeof file_opening - 1;
    const char *end = path;
    while (*end != 0 && *end != '}') {
        end += strncmp(end, key_name, sizeof key_name - 1) == 0 ? sizeof key_name - 1 : 1;
    }
    *ret_path = weir_bytes_of(path, (size_t)(end - path));
    *rest = *end == 0 ? end : end + 1;
    return *end == '}' && end > path;
}

const char *weir_config_expand_header(const char *header, const char *key, struct weir_buf *out,
                                      const struct weir_config_token_reader *reader)
{
    static const char unknown[] = "has a ${ that is neither ${key:name} nor ${file:PATH}";
    struct weir_bytes text, path;
    while (*header != 0) {
        char memory[WEIR_CONFIG_PATH_MAX];
        struct weir_buf name = weir_buf_fixed(memory, sizeof memory - 1);
        if (!next_file(&header, &text, &path)) {
            return "has a ${file: without a path and its }";
        }
        if (!put_keyed(text, key, out) || !put_keyed(path, key, &name)) {
            return unknown;
        }
        if (name.failed) {
            return "has a ${file: with too long a path";
        }
        memory[name.size] = 0;
        const char *wrong = name.size == 0 ? NULL : reader->read(reader->argument, memory, out);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return out->failed ? "is too long" : NULL;
}

/* Keeps the paths that a template's headers name, in place of reading them. */
struct collecting {
    struct weir_config *config;
    const char **paths;
    size_t count;
};

static const char *collect(void *argument, const char *path, struct weir_buf *out)
{
    struct collecting *collecting = argument;
    (void)out;
    if (path[0] != '/') {
        return "has a ${file:PATH} whose path does not begin with /";
    }
    if (collecting->count < HOSTS_MAX) {
        collecting->paths[collecting->count++] =
            weir_config_text(collecting->config, weir_bytes_str(path));
    }
    return NULL;
}

/* The files that the headers name, for the sandbox: by the template's words. */
static void check_headers(const struct check *check)
{
    const char *const *headers = check->destination->headers;
    const char **paths = weir_config_alloc(check->config, (HOSTS_MAX + 1) * sizeof *paths);
    struct collecting collecting = {.config = check->config, .paths = paths};
    const struct weir_config_token_reader reader = {collect, &collecting};
    for (; paths != NULL && headers != NULL && *headers != NULL; headers++) {
        struct weir_buf out = weir_buf_grow_init(WEIR_CONFIG_TEXT_MAX);
        const char *wrong = weir_config_expand_header(*headers, "KEY", &out, &reader);
        if (out.data != NULL) {
            explicit_bzero(out.data, out.size);
        }
        weir_buf_done(&out);
        if (wrong != NULL) {
            tell(check, "headers", wrong);
        }
    }
    check->destination->token_files = paths;
}

/* -- the checks ----------------------------------------------------------------------------- */

/* Of a destination that is no template: what only templates have. */
static void check_plain(const struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    static const char advice[] = "has a placeholder, and the destination no tenants (write "
                                 "tenants: {hosts: [...]}; $$ for a "
                                 "plain $)";
    bool in_headers = false;
    for (const char *const *header = destination->headers; header != NULL && *header != NULL;
         header++) {
        in_headers = in_headers || has_attribute(*header) || strstr(*header, "${key:") != NULL ||
                     strstr(*header, file_opening) != NULL;
    }
    if (in_headers) {
        tell(check, "headers", advice);
    }
    if (has_attribute(destination->endpoint)) {
        tell(check, "endpoint", advice);
    }
    if (has_attribute(destination->metrics_endpoint)) {
        tell(check, "metrics_endpoint", advice);
    }
    if (destination->tls.verify != NULL) {
        tell(check, "tls.verify",
             "is for destinations with tenants (write insecure: true where "
             "certificates are not to be verified)");
    }
}

/* What would carry one tenant's secret to another, or go past the connect guard. */
static void check_exclusions(const struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    if (destination->type != WEIR_DESTINATION_OTLP_HTTP) {
        tell(check, "type", "only otlp has tenants");
    }
    if (destination->auth.bearer_file != NULL) {
        tell(check, "auth",
             "would send one token to all tenants (write headers: {Authorization: "
             "\"Bearer ${file:/DIRECTORY/${key:name}}\"})");
    }
    if (destination->oauth2.token_url != NULL) {
        tell(check, "oauth2", "would send one token to all tenants: there is none with tenants");
    }
    if (destination->proxy != NULL) {
        tell(check, "proxy",
             "looks names up itself, so where tenants lead cannot be seen: there is "
             "none with tenants");
    }
    if (destination->tls.insecure != 0) {
        tell(check, "tls.insecure",
             "would believe whoever answers for any tenant (write tls: "
             "{verify: ...} and tenants: {unverified: [...]})");
    }
    if (check->config->ingest.access_keys.none) {
        tell(check, "tenants", "needs access keys: without them anybody could name tenants");
    }
}

static void check_template(const struct check *check)
{
    struct weir_config_destination *destination = check->destination;
    struct weir_tenant_options *options = weir_config_alloc(check->config, sizeof *options);
    if (options == NULL || destination->name == NULL || destination->url == NULL) {
        return; /* told already */
    }
    *options = (struct weir_tenant_options){.name = destination->name,
                                            .endpoint = destination->url,
                                            .verify = destination->tls.verify,
                                            .hosts = destination->tenants.hosts,
                                            .unverified = destination->tenants.unverified};
    char memory[300];
    struct weir_buf why = weir_buf_fixed(memory, sizeof memory - 1);
    if (weir_tenant_check(options, &why) != WEIR_OK) {
        memory[why.size] = 0;
        tell(check, destination->endpoint != NULL ? "endpoint" : "metrics_endpoint", memory);
        return;
    }
    check_headers(check);
    if (destination->spool_share == 0 &&
        weir_schema_place(&destination->at, weir_schema_destination, "spool_share").line == 0) {
        destination->spool_share = check->config->spool.limit / SHARE_PART;
    }
    destination->tenant = options;
}

/* A name that a tenant might have. */
static void check_names(const struct check *check)
{
    const struct weir_config_destination *all = check->config->destinations.items;
    for (uint32_t i = 0; i < check->config->destinations.count; i++) {
        if (all[i].tenants.hosts != NULL && all[i].name != NULL &&
            check->destination->name != NULL &&
            weir_tenant_is_name(all[i].name, check->destination->name)) {
            tell(check, "name", "is one that a tenant might have (choose another)");
        }
    }
}

static void check_slots(const struct check *check)
{
    const struct weir_config_destination *all = check->config->destinations.items;
    uint32_t slots = check->config->destinations.count;
    for (uint32_t i = 0; i < check->config->destinations.count; i++) {
        slots += all[i].tenants.hosts != NULL ? all[i].tenants.max : 0;
    }
    if (slots > WEIR_DESTINATIONS_MAX) {
        char text[200];
        (void)snprintf(text, sizeof text,
                       "destinations and max of all tenants come to %" PRIu32 ", and at most %d "
                       "are possible (lower max)",
                       slots, WEIR_DESTINATIONS_MAX);
        tell(check, "tenants.max", text);
    }
}

void weir_config_check_tenants(struct weir_config *config, struct weir_config_report *report,
                               uint32_t index)
{
    struct weir_config_destination *all = config->destinations.items;
    const struct check check = {config, report, &all[index], index};
    const struct weir_config_tenants *tenants = &all[index].tenants;
    check_names(&check);
    if (tenants->hosts != NULL) {
        check_exclusions(&check);
        check_template(&check);
        check_slots(&check);
        return;
    }
    if (tenants->at.keys != NULL) {
        tell(&check, "tenants", "has no hosts that requests may name (write hosts: [...])");
    }
    check_plain(&check);
}
