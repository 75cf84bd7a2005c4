/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs that strangers write, taken apart, and the list of hosts that they may name.
 *
 *   HTTPS://Abc.Live.example.com.:0443/e/1/api
 *   └─┬─┘   └────────┬─────────┘  └┬─┘└──┬───┘
 *   scheme   host, lower case,   port   path: segments of RFC 3986's pchar but for %
 *            no dot at its end
 *
 * What is let through is far less than what a URL may be: no user, query, fragment or escape, no
 * backslash, no control character, nothing outside of ASCII, no empty segment, no dot segment.
 * Whatever two parsers could disagree about is not in it, so libcurl sees the host that we saw.
 *
 *   I1  a host with a number as its last label (which resolvers take for an IPv4 address: 127.1,
 *       0x7f000001, 017700000001, 2130706433) and one in brackets fit no star, only themselves
 *   I2  a star stands for exactly one label
 *   I3  nothing is compared before it has been put in lower case, and a port is a number
 *
 * Deliberately no list of forbidden hosts: there is always one more spelling. Pure.
 */
#include "tenant_url.h"

enum { HOST_MAX = 253, LABEL_MAX = 63, PORT_HTTPS = 443, PORT_HTTP = 80, PORT_MAX = 65535 };

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static char lower(uint8_t byte)
{
    return (char)(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
}

/* Cuts the scheme off. */
static bool cut_scheme(struct weir_bytes *text, bool *ret_plain)
{
    static const struct weir_bytes schemes[] = {WEIR_BYTES_INIT("https://"),
                                                WEIR_BYTES_INIT("http://")};
    for (int i = 0; i < 2; i++) {
        size_t size = schemes[i].size;
        if (text->size >= size &&
            weir_bytes_eq_nocase(weir_bytes_of(text->data, size), schemes[i])) {
            *ret_plain = i == 1;
            *text = weir_bytes_from(*text, size);
            return true;
        }
    }
    return false;
}

/* Labels of letters, digits, - and _, none of which begins or ends with a dash. */
static bool is_name(const char *host, size_t size)
{
    size_t label = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i == size || host[i] == '.') {
            if (label == 0 || label > LABEL_MAX || host[i - label] == '-' || host[i - 1] == '-') {
                return false;
            }
            label = 0;
        } else if (is_letter((uint8_t)host[i]) || is_digit((uint8_t)host[i]) || host[i] == '-' ||
                   host[i] == '_') {
            label++;
        } else {
            return false;
        }
    }
    return true;
}

/* "[", hexadecimal digits, colons and dots, "]". */
static bool is_bracketed(const char *host, size_t size)
{
    bool good = size >= 4 && host[0] == '[' && host[size - 1] == ']';
    for (size_t i = 1; good && i + 1 < size; i++) {
        uint8_t byte = (uint8_t)host[i];
        good = is_digit(byte) || (byte >= 'a' && byte <= 'f') || byte == ':' || byte == '.';
    }
    return good;
}

/* Whether a resolver might take the host, in lower case, for an address. */
static bool is_address(const char *host)
{
    const char *last = strrchr(host, '.');
    last = last == NULL ? host : last + 1;
    bool hexadecimal = last[0] == '0' && last[1] == 'x';
    return host[0] == '[' || hexadecimal || last[strspn(last, "0123456789")] == 0;
}

/* The host of an authority; *ret_size of its bytes are used. */
static const char *read_host(struct weir_bytes text, char *ret, size_t *ret_size)
{
    size_t size = 0;
    bool is_bracket = text.size > 0 && text.data[0] == '[';
    while (size < text.size && text.data[size] != '/' && (is_bracket || text.data[size] != ':')) {
        is_bracket = is_bracket && text.data[size] != ']';
        size++;
    }
    *ret_size = size;
    if (size == 0 || size > HOST_MAX + 1) {
        return size == 0 ? "has no host" : "has a host that is too long";
    }
    for (size_t i = 0; i < size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f) {
            return "has a byte in its host that no host has";
        }
    }
    for (size_t i = 0; i < size; i++) {
        ret[i] = lower(text.data[i]);
    }
    size -= ret[size - 1] == '.' ? 1 : 0;
    ret[size] = '\0';
    return size <= HOST_MAX && (is_bracketed(ret, size) || is_name(ret, size))
               ? NULL
               : "has a host with more in it than letters, digits, dots and dashes";
}

/* ":" and a port, or nothing; *at moves on. */
static bool read_port(struct weir_bytes text, size_t *at, uint32_t *ret)
{
    if (*at == text.size || text.data[*at] != ':') {
        return true;
    }
    uint32_t port = 0;
    size_t begin = ++*at;
    for (; *at < text.size && is_digit(text.data[*at]) && *at - begin < 5; (*at)++) {
        port = port * 10 + (uint32_t)(text.data[*at] - '0');
    }
    *ret = port;
    return *at > begin && port > 0 && port <= PORT_MAX;
}

static const char *check_segment(struct weir_bytes segment)
{
    static const char others[] = "-._~!$&'()*+,;=:@";
    if (segment.size == 0) {
        return "has an empty segment in its path";
    }
    if (weir_bytes_eq(segment, WEIR_BYTES(".")) || weir_bytes_eq(segment, WEIR_BYTES(".."))) {
        return "has a dot segment in its path";
    }
    for (size_t i = 0; i < segment.size; i++) {
        uint8_t byte = segment.data[i];
        if (!is_letter(byte) && !is_digit(byte) &&
            memchr(others, byte, sizeof(others) - 1) == NULL) {
            return "has a byte in its path that is not let through";
        }
    }
    return NULL;
}

/* Slashes, each with a segment after it; a last one may stand alone. */
static const char *check_path(struct weir_bytes path)
{
    size_t at = 0;
    while (at < path.size) {
        size_t begin = ++at; /* past the slash */
        while (at < path.size && path.data[at] != '/') {
            at++;
        }
        const char *wrong = check_segment(weir_bytes_of(path.data + begin, at - begin));
        if (wrong != NULL && !(begin == path.size)) {
            return wrong;
        }
    }
    return NULL;
}

const char *weir_tenant_url_parse(struct weir_bytes text, struct weir_tenant_url *ret)
{
    *ret = (struct weir_tenant_url){.port = PORT_HTTPS};
    if (text.size >= WEIR_TENANT_URL_SIZE) {
        return "is longer than 1000 bytes";
    }
    if (!cut_scheme(&text, &ret->is_plain)) {
        return "does not begin with https://";
    }
    ret->port = ret->is_plain ? PORT_HTTP : PORT_HTTPS;
    size_t at;
    const char *wrong = read_host(text, ret->host, &at);
    if (wrong != NULL) {
        return wrong;
    }
    if (!read_port(text, &at, &ret->port) || (at < text.size && text.data[at] != '/')) {
        return "has no port from 1 to 65535 after its host";
    }
    ret->path = weir_bytes_from(text, at);
    return check_path(ret->path);
}

void weir_tenant_url_put_authority(const struct weir_tenant_url *url, struct weir_buf *out)
{
    weir_buf_put(out, weir_bytes_str(url->host));
    if (url->port != (url->is_plain ? PORT_HTTP : PORT_HTTPS)) {
        weir_buf_printf(out, ":%u", (unsigned)url->port);
    }
}

/* -- the list ------------------------------------------------------------------------------- */

/* An entry, taken apart as a URL of its suffix. */
static const char *parse_entry(const char *text, struct weir_tenant_url *ret, bool *ret_star)
{
    char whole[WEIR_TENANT_HOST_SIZE];
    struct weir_buf out = weir_buf_fixed(whole, sizeof(whole));
    struct weir_bytes rest = weir_bytes_str(text);
    bool is_plain = false;
    (void)cut_scheme(&rest, &is_plain);
    *ret_star = weir_bytes_starts_with(rest, WEIR_BYTES("*."));
    weir_buf_printf(&out, is_plain ? "http://" : "https://");
    weir_buf_put(&out, weir_bytes_from(rest, *ret_star ? 2 : 0));
    if (out.failed) {
        return "is too long";
    }
    const char *wrong = weir_tenant_url_parse(weir_bytes_of(whole, out.size), ret);
    if (wrong == NULL && ret->path.size > 0) {
        return "has a path";
    }
    ret->path = (struct weir_bytes){NULL, 0}; /* it was of `whole` */
    return wrong == NULL && *ret_star && is_address(ret->host) ? "is an address with a star"
                                                               : wrong;
}

bool weir_tenant_valid_host(const char *text, struct weir_buf *why)
{
    struct weir_tenant_url entry;
    bool is_star;
    const char *wrong = parse_entry(text, &entry, &is_star);
    if (wrong == NULL && is_star && strchr(entry.host, '.') == NULL) {
        wrong = "lets a whole top-level domain in";
    }
    if (wrong != NULL) {
        weir_buf_printf(why,
                        "%s (write host, *.domain.example, either with :port; http:// before it "
                        "for a host without TLS)",
                        wrong);
    }
    return wrong == NULL;
}

static bool fits_star(const char *host, const char *suffix)
{
    const char *dot = strchr(host, '.');
    return !is_address(host) && dot != NULL && strcmp(dot + 1, suffix) == 0;
}

enum weir_tenant_listed weir_tenant_url_listed(const struct weir_tenant_url *url,
                                               const char *const *hosts)
{
    enum weir_tenant_listed best = WEIR_TENANT_UNLISTED;
    for (; hosts != NULL && *hosts != NULL && best != WEIR_TENANT_WHOLE; hosts++) {
        struct weir_tenant_url entry;
        bool is_star;
        if (parse_entry(*hosts, &entry, &is_star) != NULL || entry.port != url->port ||
            entry.is_plain != url->is_plain) {
            continue;
        }
        if (!is_star && strcmp(entry.host, url->host) == 0) {
            best = WEIR_TENANT_WHOLE;
        } else if (is_star && fits_star(url->host, entry.host)) {
            best = WEIR_TENANT_BY_STAR;
        }
    }
    return best;
}
