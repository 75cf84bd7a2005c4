/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a text must look like to be an address, a URL, a name, a header; and in words what to write
 * instead.
 *
 * URLs are the operator's only, never a request's. Even so a few are refused, since they are hardly
 * ever meant and costly when they are injected through the environment: the instance metadata
 * services (169.254.0.0/16 in every spelling that inet_aton knows, fe80::/10, fd00:ec2::254), and
 * credentials before the host, which would end up in logs. What a name resolves to is not looked
 * at: that is the resolver's and the network policy's business.
 *
 * The words go into `why` ready to stand after "path: "; the text itself is quoted there, so
 * nothing here may be called for a secret's value: weir_config_valid_header never quotes the value.
 *
 * Pure; any thread.
 */
#include "config_internal.h"
#include "weir/attributes.h"
#include "weir/netaddr.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

enum { QUOTE_MAX = 100 };

static void put_quoted(struct weir_buf *why, const char *text)
{
    weir_buf_put_json_string(why, weir_bytes_str(text), QUOTE_MAX);
}

/* "<what>: "<text>"<then>" */
static bool wrong(struct weir_buf *why, const char *what, const char *text, const char *then)
{
    weir_buf_put(why, weir_bytes_str(what));
    weir_buf_put(why, WEIR_BYTES(": "));
    put_quoted(why, text);
    weir_buf_put(why, weir_bytes_str(then));
    return false;
}

/* A URL as it may be told: without what follows ? or #, which may be a token, and without what may
 * be a password. */
static bool wrong_url(struct weir_buf *why, const char *what, const char *text, const char *then)
{
    char told[QUOTE_MAX + 1];
    size_t size = strcspn(text, "?#");
    size = size < QUOTE_MAX ? size : QUOTE_MAX;
    bool may_hold_password = strchr(text, '@') != NULL;
    memcpy(told, text, size);
    told[size] = 0;
    return wrong(why, what, may_hold_password ? "***" : told, then);
}

/* The size of the run of ASCII digits at `text`. */
static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

static bool is_port(const char *text, uint64_t low)
{
    uint64_t port;
    struct weir_bytes bytes = weir_bytes_str(text);
    if (bytes.size == 0 || bytes.size > 5) {
        return false;
    }
    return weir_config_parse_count(bytes, &port) == NULL && port >= low && port <= 65535;
}

/* Splits "host:port" and "[v6]:port" at the last colon; *ret_port is NULL where there is no port.
 * False for what is neither. */
static bool split_host(struct weir_bytes authority, char *host, size_t host_size, char *port,
                       size_t port_size)
{
    const uint8_t *colon = memrchr(authority.data, ':', authority.size);
    const uint8_t *bracket = memrchr(authority.data, ']', authority.size);
    if (colon != NULL && bracket != NULL && colon < bracket) {
        colon = NULL;
    }
    size_t host_length = colon == NULL ? authority.size : (size_t)(colon - authority.data);
    struct weir_bytes tail =
        colon == NULL ? weir_bytes_of(NULL, 0) : weir_bytes_from(authority, host_length + 1);
    if (host_length >= host_size || tail.size >= port_size) {
        return false;
    }
    memcpy(host, authority.data, host_length);
    host[host_length] = 0;
    if (tail.size > 0) {
        memcpy(port, tail.data, tail.size);
    }
    port[tail.size] = 0;
    return colon != NULL;
}

/* Takes the brackets off an IPv6 host; false when it has none. */
static bool unbracket(char *host)
{
    size_t size = strlen(host);
    if (size < 2 || host[0] != '[' || host[size - 1] != ']') {
        return false;
    }
    memmove(host, host + 1, size - 2);
    host[size - 2] = 0;
    return true;
}

/* Why an address is none, with what was probably meant. */
static bool wrong_address(const char *text, struct weir_buf *why)
{
    size_t leading = digits(text);
    weir_buf_put(why, WEIR_BYTES("not an address: "));
    put_quoted(why, text);
    if (text[0] == ':' && is_port(text + 1, 0)) {
        weir_buf_printf(why, " (write 127.0.0.1%s, or 0.0.0.0%s for every interface)", text, text);
    } else if (leading > 0 && text[leading] == 0 && is_port(text, 0)) {
        weir_buf_printf(why, " (write 127.0.0.1:%s, or 0.0.0.0:%s for every interface)", text,
                        text);
    } else if (strncmp(text, "localhost:", 10) == 0) {
        weir_buf_printf(why, " (write 127.0.0.1:%.5s)", text + 10);
    } else {
        weir_buf_put(why, WEIR_BYTES(" (write an IP address and a port, such as 127.0.0.1:8080 or "
                                     "[::]:8080)"));
    }
    return false;
}

static bool parse_address(const char *text, struct in6_addr *ret_v6, struct in_addr *ret_v4,
                          bool *ret_is_v6)
{
    char host[64];
    char port[8];
    if (!split_host(weir_bytes_str(text), host, sizeof host, port, sizeof port) ||
        !is_port(port, 0)) {
        return false;
    }
    *ret_is_v6 = unbracket(host);
    return *ret_is_v6 ? inet_pton(AF_INET6, host, ret_v6) == 1
                      : inet_pton(AF_INET, host, ret_v4) == 1;
}

bool weir_config_valid_address(const char *text, struct weir_buf *why)
{
    struct in6_addr v6;
    struct in_addr v4;
    bool is_v6;
    return parse_address(text, &v6, &v4, &is_v6) || wrong_address(text, why);
}

bool weir_config_is_loopback(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;
    bool is_v6;
    if (!parse_address(address, &v6, &v4, &is_v6)) {
        return false;
    }
    return is_v6 ? memcmp(&v6, &in6addr_loopback, sizeof v6) == 0 : ntohl(v4.s_addr) >> 24 == 127;
}

/* Whether the host is where clouds hand out credentials to whoever asks. */
static bool is_metadata_host(const char *host, bool bracketed)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (!bracketed) {
        return inet_aton(host, &v4) == 1 && ntohl(v4.s_addr) >> 16 == 0xa9fe;
    }
    if (inet_pton(AF_INET6, host, &v6) != 1) {
        return false;
    }
    static const uint8_t aws[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54};
    const uint8_t *b = v6.s6_addr;
    bool link_local = b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&v6) && b[12] == 169 && b[13] == 254;
    return link_local || mapped || memcmp(b, aws, sizeof aws) == 0;
}

static bool is_url_host(const char *host, bool bracketed)
{
    struct in6_addr v6;
    if (bracketed) {
        return inet_pton(AF_INET6, host, &v6) == 1;
    }
    size_t size = strlen(host);
    size_t fits = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    return size > 0 && size <= 253 && fits == size;
}

static bool valid_authority(const char *text, struct weir_bytes authority, struct weir_buf *why)
{
    char host[256];
    char port[8] = "";
    if (memchr(authority.data, '@', authority.size) != NULL) {
        /* not quoted: it holds a password */
        weir_buf_put(why, WEIR_BYTES("a URL with credentials (write them into headers: or "
                                     "use a proxy that adds them)"));
        return false;
    }
    bool has_port = split_host(authority, host, sizeof host, port, sizeof port);
    if (!has_port && port[0] == 0 && authority.size >= sizeof host) {
        return wrong_url(why, "the host is too long", text, "");
    }
    if (has_port && !is_port(port, 1)) {
        return wrong_url(why, "not a port in the URL", text, " (write a number from 1 to 65535)");
    }
    bool bracketed = unbracket(host);
    if (!is_url_host(host, bracketed)) {
        return wrong_url(why, "not a host in the URL", text, "");
    }
    return true;
}

bool weir_config_is_link_local(const char *url)
{
    char host[256];
    char port[8] = "";
    const char *authority = strstr(url, "://");
    if (authority == NULL) {
        return false;
    }
    authority += 3;
    (void)split_host(weir_bytes_of(authority, strcspn(authority, "/?")), host, sizeof host, port,
                     sizeof port);
    bool bracketed = unbracket(host);
    return is_metadata_host(host, bracketed);
}

bool weir_config_valid_network(const char *text, struct weir_buf *why)
{
    struct weir_network network;
    if (weir_netaddr_network(text, &network) == WEIR_OK) {
        return true;
    }
    weir_buf_printf(why,
                    "not a network: \"%s\" (write 10.0.0.0/8 or 2001:db8::/32, no bits set behind "
                    "the prefix)",
                    text);
    return false;
}

bool weir_config_valid_url(const char *text, struct weir_buf *why)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    if (scheme == 0) {
        bool has_scheme = strstr(text, "://") != NULL;
        (void)wrong_url(why, "not a URL", text, "");
        if (has_scheme) {
            weir_buf_put(why, WEIR_BYTES(" (only http:// and https:// are spoken)"));
        } else if (strpbrk(text, "@?#") == NULL) {
            weir_buf_printf(why, " (write http://%.*s)", QUOTE_MAX, text);
        } else {
            weir_buf_put(why, WEIR_BYTES(" (it begins with http:// or https://)"));
        }
        return false;
    }
    for (const char *at = text; *at != 0; at++) {
        if (!isgraph((unsigned char)*at)) {
            return wrong_url(why, "a URL holds no blanks or letters outside ASCII", text,
                             " (percent-encode them)");
        }
    }
    if (strchr(text, '#') != NULL) {
        return wrong_url(why, "a URL with a fragment", text, " (leave out what follows #)");
    }
    if (strlen(text) > 2000) {
        return wrong_url(why, "a URL of more than 2000 bytes", text, "");
    }
    size_t size = strcspn(text + scheme, "/?");
    return valid_authority(text, weir_bytes_of(text + scheme, size), why);
}

bool weir_config_valid_base_url(const char *text, struct weir_buf *why)
{
    if (!weir_config_valid_url(text, why)) {
        return false;
    }
    if (strchr(text, '?') != NULL) {
        weir_buf_put(why, WEIR_BYTES("a base URL has no query (use metrics_endpoint: for a whole "
                                     "URL that is taken as it is)"));
        return false;
    }
    return true;
}

bool weir_config_valid_no_proxy(const char *text, struct weir_buf *why)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                ".-_:/[]";
    bool is_all = strcmp(text, "*") == 0;
    if (!is_all && (text[0] == 0 || strspn(text, plain) != strlen(text))) {
        return wrong(why, "not a host, a domain, an address or *", text, "");
    }
    return true;
}

bool weir_config_valid_name(const char *text, struct weir_buf *why)
{
    size_t size = strlen(text);
    size_t fits = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    if (size == 0 || size > 64 || fits != size) {
        return wrong(why, "not a name", text, " (write 1 to 64 of a-z, 0-9, _ and -)");
    }
    return true;
}

bool weir_config_valid_path(const char *text, struct weir_buf *why)
{
    if (text[0] != '/') {
        return wrong(why, "not a path", text, " (it begins with /)");
    }
    for (const char *at = text; *at != 0; at++) {
        if (!isgraph((unsigned char)*at) || *at == '#') {
            return wrong(why, "not a path", text, " (no blanks, no #, nothing outside ASCII)");
        }
    }
    return strlen(text) <= 1000 || wrong(why, "a path of more than 1000 bytes", text, "");
}

bool weir_config_valid_file(const char *text, struct weir_buf *why)
{
    if (text[0] == 0 || strcmp(text, "-") == 0 || strlen(text) >= 4096) {
        return wrong(why, "not a file's name", text, "");
    }
    return true;
}

bool weir_config_valid_account(const char *text, struct weir_buf *why)
{
    if (strlen(text) != 12 || digits(text) != 12) {
        return wrong(why, "not an account", text,
                     " (write its 12 digits in quotes, such as \"123456789012\")");
    }
    return true;
}

/* A pattern of these characters and the wildcards; at most 64, as an account, a region's name and a
 * stream's are shorter. */
static bool is_pattern_of(const char *text, const char *characters)
{
    size_t size = strlen(text);
    for (const char *at = text; *at != 0; at++) {
        if (*at != '*' && *at != '?' && strchr(characters, *at) == NULL) {
            return false;
        }
    }
    return size > 0 && size <= 64;
}

bool weir_config_valid_accounts(const char *text, struct weir_buf *why)
{
    if (strpbrk(text, "*?") == NULL) {
        return weir_config_valid_account(text, why);
    }
    return is_pattern_of(text, "0123456789") ||
           wrong(why, "not a pattern of accounts", text,
                 " (write digits, * and ?, such as \"1234*\")");
}

bool weir_config_valid_regions(const char *text, struct weir_buf *why)
{
    return is_pattern_of(text, "abcdefghijklmnopqrstuvwxyz0123456789-") ||
           wrong(why, "not a region or a pattern of regions", text,
                 " (such as eu-west-1 or \"eu-*\")");
}

bool weir_config_valid_streams(const char *text, struct weir_buf *why)
{
    return is_pattern_of(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_.-") ||
           wrong(why, "not a delivery stream's name or a pattern of names", text,
                 " (the name alone, not the ARN: letters, digits, _ . - and the wildcards)");
}

bool weir_config_valid_attribute(const char *name, struct weir_buf *why)
{
    size_t characters = 0;
    for (const char *at = name; *at != 0; at++) {
        characters += ((unsigned char)*at & 0xc0) != 0x80 ? 1 : 0;
        if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            weir_buf_put(why, WEIR_BYTES("a control character in the name of an attribute"));
            return false;
        }
    }
    return (characters > 0 && characters <= WEIR_ATTRIBUTE_NAME_MAX) ||
           wrong(why, "not a name of an attribute", name, " (1 to 256 characters)");
}

bool weir_config_valid_header(const char *name, const char *value, struct weir_buf *why)
{
    static const char *const ours[] = {"Content-Length",    "Content-Type",   "Content-Encoding",
                                       "Transfer-Encoding", "Host",           "Expect",
                                       "Connection",        "Accept-Encoding"};
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t size = strlen(name);
    size_t fits = strspn(name, token);
    if (size == 0 || size > 256 || fits != size) {
        char told[QUOTE_MAX + 1]; /* the rest may be a value: "Authorization: Bearer ..." */
        size = fits < QUOTE_MAX ? fits : QUOTE_MAX;
        memcpy(told, name, size);
        told[size] = 0;
        return wrong(why, "not a header's name", told, "");
    }
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (weir_bytes_eq_nocase(weir_bytes_str(ours[i]), weir_bytes_str(name))) {
            return wrong(why, "this header is Weir's own to set", name, " (leave it out)");
        }
    }
    for (const char *at = value; *at != 0; at++) {
        unsigned char byte = (unsigned char)*at;
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return wrong(why, "a line break or control character in the value of the header", name,
                         "");
        }
    }
    return true;
}
