/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a template and a request's attributes to a tenant: see weir/tenant.h.
 *
 *   template    ${attribute:dt-url} /api/v2/ ${attribute:path}
 *                     │ START          │          │ PATH
 *   text        https://abc.example.com/api/v2/otlp
 *                     │ taken apart (tenant_url.c), looked up in `hosts`
 *   tenant      put together from the parts; its name is a hash of what it is
 *
 *   I1  a value cannot get out of its place: what may stand in it depends on where it stands, and
 *       the whole is parsed again after all are in place
 *   I2  tenant.url has a host on the list, no user, query, fragment, escape or dot segment
 *   I3  the name depends on template, url, key and `is_insecure` alone, the same in all processes
 *       and versions: it is in the spool's files
 *
 * The name is 64 bits of SipHash-2-4 under a key of zeros, in base 32. Two with one name are
 * to be kept apart by whoever keeps tenants (weir_tenant_same). Pure.
 */
#include "weir/tenant.h"

#include "tenant_url.h"
#include "weir/hash.h"
#include <stdio.h>

static const struct weir_bytes opening = WEIR_BYTES_INIT("${attribute:");

/* Where in a URL a placeholder stands. */
enum place { PLACE_START, PLACE_HOST, PLACE_PATH };

/* A piece of the template: its own text, or a placeholder. */
struct piece {
    struct weir_bytes text; /* or the attribute's name */
    bool is_placeholder;
};

/* The piece that `rest` begins with, which is cut off. False: it is damaged. */
static bool next_piece(struct weir_bytes *rest, struct piece *ret)
{
    ret->is_placeholder = weir_bytes_starts_with(*rest, opening);
    if (ret->is_placeholder) {
        struct weir_bytes inside = weir_bytes_from(*rest, opening.size);
        const uint8_t *close = inside.size == 0 ? NULL : memchr(inside.data, '}', inside.size);
        if (close == NULL || close == inside.data) {
            return false;
        }
        ret->text = weir_bytes_of(inside.data, (size_t)(close - inside.data));
        *rest = weir_bytes_from(inside, ret->text.size + 1);
        return true;
    }
    size_t size = 1;
    while (size < rest->size && rest->data[size] != '$') {
        size++;
    }
    ret->text = weir_bytes_of(rest->data, size);
    *rest = weir_bytes_from(*rest, size);
    return ret->text.data[0] != '$';
}

/* The place that comes after what has been written. */
static enum place place_after(struct weir_bytes written)
{
    static const struct weir_bytes mark = WEIR_BYTES_INIT("://");
    if (written.size == 0) {
        return PLACE_START;
    }
    const uint8_t *authority = memmem(written.data, written.size, mark.data, mark.size);
    if (authority == NULL) {
        return PLACE_HOST;
    }
    size_t at = (size_t)(authority - written.data) + mark.size;
    struct weir_bytes rest = weir_bytes_from(written, at);
    return rest.size > 0 && memchr(rest.data, '/', rest.size) != NULL ? PLACE_PATH : PLACE_HOST;
}

static bool has_only(struct weir_bytes value, const char *others)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= '0' && byte <= '9');
        if (!is_plain && memchr(others, byte, strlen(others)) == NULL) {
            return false;
        }
    }
    return value.size > 0;
}

/* Puts a value in its place; false where it does not belong there. */
static bool put_value(struct weir_bytes value, struct weir_buf *out)
{
    switch (place_after(weir_bytes_of(out->data, out->size))) {
    case PLACE_HOST:
        if (!has_only(value, "-")) {
            return false;
        }
        break;
    case PLACE_PATH:
        if (!has_only(value, "-._~")) {
            return false;
        }
        break;
    case PLACE_START:
        while (value.size > 0 && value.data[value.size - 1] == '/') {
            value.size--;
        }
        break;
    }
    weir_buf_put(out, value);
    return true;
}

static void put_text(char *to, size_t capacity, struct weir_bytes text)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;
    if (size > 0) {
        memcpy(to, text.data, size);
    }
    to[size] = '\0';
}

/* -- the template --------------------------------------------------------------------------- */

/* Goes through the endpoint with a value in each placeholder that is good there. */
static const char *try_endpoint(const char *endpoint, struct weir_buf *out, uint32_t *ret_count)
{
    struct weir_bytes rest = weir_bytes_str(endpoint);
    struct piece piece;
    *ret_count = 0;
    while (rest.size > 0) {
        bool is_start = out->size == 0;
        if (!next_piece(&rest, &piece)) {
            return "has a $ that begins no ${attribute:NAME}";
        }
        if (!piece.is_placeholder) {
            weir_buf_put(out, piece.text);
            continue;
        }
        ++*ret_count;
        if (is_start && rest.size > 0 && rest.data[0] != '/') {
            return "has more than a path after a placeholder at its beginning";
        }
        weir_buf_put(out, is_start ? WEIR_BYTES("https://x") : WEIR_BYTES("x"));
    }
    struct weir_tenant_url url;
    return weir_tenant_url_parse(weir_bytes_of(out->data, out->size), &url);
}

/* The attribute's name in "${attribute:NAME}"; nothing where that is not all of it. */
static struct weir_bytes verify_name(const char *verify)
{
    struct weir_bytes rest = weir_bytes_str(verify);
    struct piece piece = {.is_placeholder = false};
    bool good =
        rest.size > 0 && next_piece(&rest, &piece) && piece.is_placeholder && rest.size == 0;
    return good ? piece.text : (struct weir_bytes){NULL, 0};
}

enum weir_status weir_tenant_check(const struct weir_tenant_options *options, struct weir_buf *why)
{
    uint8_t memory[WEIR_TENANT_URL_SIZE];
    struct weir_buf out = weir_buf_fixed(memory, sizeof(memory));
    uint32_t count;
    const char *wrong = try_endpoint(options->endpoint, &out, &count);
    if (wrong == NULL && count == 0) {
        wrong = "has no ${attribute:NAME}, so there is one tenant (leave tenants out)";
    }
    if (wrong == NULL && out.failed) {
        wrong = "is too long";
    }
    if (wrong == NULL && options->verify != NULL && verify_name(options->verify).size == 0) {
        wrong = "has a tls.verify that is not one ${attribute:NAME}";
    }
    if (wrong == NULL && strlen(options->name) + WEIR_TENANT_SUFFIX_SIZE >= WEIR_TENANT_NAME_SIZE) {
        wrong = "has a name of more than 50 bytes, and 14 are added for each tenant";
    }
    if (wrong == NULL && (options->hosts == NULL || options->hosts[0] == NULL)) {
        wrong = "has no hosts that tenants may name (write tenants: {hosts: [...]})";
    }
    if (wrong != NULL) {
        weir_buf_put(why, weir_bytes_str(wrong));
    }
    return wrong == NULL ? WEIR_OK : WEIR_EINVAL;
}

/* -- a request ------------------------------------------------------------------------------ */

/* The template's endpoint with the request's values. */
static bool substitute(const struct weir_tenant_options *options,
                       const struct weir_attributes *attributes, struct weir_buf *out,
                       struct weir_tenant_mistake *mistake)
{
    struct weir_bytes rest = weir_bytes_str(options->endpoint);
    struct piece piece;
    while (rest.size > 0 && next_piece(&rest, &piece)) {
        if (!piece.is_placeholder) {
            weir_buf_put(out, piece.text);
            continue;
        }
        const struct weir_bytes *value = weir_attributes_find(attributes, piece.text);
        if (value == NULL || !put_value(*value, out)) {
            (void)snprintf(mistake->words, sizeof(mistake->words), "the attribute %.*s %s",
                           (int)(piece.text.size < 60 ? piece.text.size : 60),
                           (const char *)piece.text.data,
                           value == NULL ? "is missing" : "has what does not belong there");
            return false;
        }
    }
    return true;
}

/* What the request says of certificates: 1 verified, 0 not, -1 neither. */
static int asks_to_verify(const struct weir_tenant_options *options,
                          const struct weir_attributes *attributes)
{
    const struct weir_bytes *value =
        options->verify == NULL ? NULL
                                : weir_attributes_find(attributes, verify_name(options->verify));
    if (value == NULL || weir_bytes_eq_nocase(*value, WEIR_BYTES("true"))) {
        return 1;
    }
    return weir_bytes_eq_nocase(*value, WEIR_BYTES("false")) ? 0 : -1;
}

static bool deny(struct weir_tenant_mistake *mistake, const char *words)
{
    (void)snprintf(mistake->words, sizeof(mistake->words), "%s", words);
    return false;
}

/* Whether the URL may be used, as the request wants it verified. */
static bool is_allowed(const struct weir_tenant_options *options, const struct weir_tenant_url *url,
                       int verified, struct weir_tenant *tenant,
                       struct weir_tenant_mistake *mistake)
{
    enum weir_tenant_listed listed = weir_tenant_url_listed(url, options->hosts);
    if (listed == WEIR_TENANT_UNLISTED) {
        return deny(mistake, "the host is not one of tenants.hosts");
    }
    if (verified < 0) {
        return deny(mistake, "the attribute of tls.verify is neither true nor false");
    }
    if (verified == 0 && weir_tenant_url_listed(url, options->unverified) == WEIR_TENANT_UNLISTED) {
        return deny(mistake, "certificates are not to be verified, and the host is not one of "
                             "tenants.unverified");
    }
    tenant->is_insecure = verified == 0;
    tenant->is_listed_whole = listed == WEIR_TENANT_WHOLE;
    return true;
}

/* The template's name and 64 bits in base 32. */
static void name_it(const struct weir_tenant_options *options, struct weir_tenant *tenant)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    static const uint64_t no_key[2] = {0, 0};
    uint8_t memory[WEIR_TENANT_URL_SIZE + WEIR_TENANT_KEY_SIZE + 8];
    struct weir_buf whole = weir_buf_fixed(memory, sizeof(memory));
    uint64_t hash[2];
    weir_buf_put(&whole, weir_bytes_of(tenant->url, strlen(tenant->url) + 1));
    weir_buf_put(&whole, weir_bytes_of(tenant->key_name, strlen(tenant->key_name) + 1));
    weir_buf_put_byte(&whole, tenant->is_insecure ? '0' : '1');
    weir_hash_wide(no_key, weir_bytes_of(memory, whole.size), hash);
    int size = snprintf(tenant->name, sizeof(tenant->name), "%.50s-", options->name);
    for (int i = 0; i < WEIR_TENANT_SUFFIX_SIZE - 1; i++) {
        tenant->name[size + i] = digits[hash[0] & 31];
        hash[0] >>= 5;
    }
    tenant->name[size + WEIR_TENANT_SUFFIX_SIZE - 1] = '\0';
}

static bool put_together(const struct weir_tenant_url *url, struct weir_tenant *tenant)
{
    struct weir_buf out = weir_buf_fixed(tenant->url, sizeof(tenant->url) - 1);
    weir_buf_put(&out, url->is_plain ? WEIR_BYTES("http://") : WEIR_BYTES("https://"));
    weir_tenant_url_put_authority(url, &out);
    weir_buf_put(&out, url->path);
    tenant->url[out.size] = '\0';
    struct weir_buf host = weir_buf_fixed(tenant->host, sizeof(tenant->host) - 1);
    weir_tenant_url_put_authority(url, &host);
    tenant->host[host.size] = '\0';
    return !out.failed && !host.failed;
}

enum weir_status weir_tenant_make(const struct weir_tenant_options *options,
                                  const struct weir_attributes *attributes,
                                  struct weir_bytes key_name, struct weir_tenant *ret,
                                  struct weir_tenant_mistake *mistake)
{
    uint8_t memory[2 * WEIR_TENANT_URL_SIZE];
    struct weir_buf whole = weir_buf_fixed(memory, sizeof(memory));
    struct weir_tenant_url url = {.port = 0};
    struct weir_tenant tenant = {.is_insecure = false};
    *mistake = (struct weir_tenant_mistake){.words = ""};
    if (!substitute(options, attributes, &whole, mistake)) {
        return WEIR_EDENIED;
    }
    const char *wrong = whole.failed
                            ? "is longer than 1000 bytes"
                            : weir_tenant_url_parse(weir_bytes_of(memory, whole.size), &url);
    put_text(mistake->host, sizeof(mistake->host), weir_bytes_str(url.host));
    if (wrong != NULL || key_name.size >= sizeof(tenant.key_name)) {
        (void)snprintf(mistake->words, sizeof(mistake->words), "the URL %s",
                       wrong == NULL ? "comes with a key whose name is too long" : wrong);
        return WEIR_EDENIED;
    }
    put_text(tenant.key_name, sizeof(tenant.key_name), key_name);
    if (!is_allowed(options, &url, asks_to_verify(options, attributes), &tenant, mistake) ||
        (!put_together(&url, &tenant) && !deny(mistake, "the URL is too long"))) {
        return WEIR_EDENIED;
    }
    name_it(options, &tenant);
    *ret = tenant;
    return WEIR_OK;
}

bool weir_tenant_allowed(const struct weir_tenant_options *options,
                         const struct weir_tenant *tenant, bool *ret_listed_whole)
{
    struct weir_tenant_url url;
    struct weir_tenant_mistake mistake;
    struct weir_tenant judged;
    *ret_listed_whole = false;
    if (weir_tenant_url_parse(weir_bytes_str(tenant->url), &url) != NULL ||
        !is_allowed(options, &url, tenant->is_insecure ? 0 : 1, &judged, &mistake)) {
        return false;
    }
    *ret_listed_whole = judged.is_listed_whole;
    return true;
}

bool weir_tenant_is_name(const char *template_name, const char *name)
{
    size_t size = strlen(template_name);
    return strncmp(name, template_name, size) == 0 && name[size] == '-' &&
           strlen(name + size) == WEIR_TENANT_SUFFIX_SIZE &&
           strspn(name + size + 1, "abcdefghijklmnopqrstuvwxyz234567") ==
               WEIR_TENANT_SUFFIX_SIZE - 1;
}
