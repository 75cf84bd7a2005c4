/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict reader of request heads: first a scan that finds where the head ends, then one pass
 * over the whole head.
 *
 *   POST /path?query HTTP/1.1 CRLF          request line: three parts, one space between
 *   Name: value CRLF                        up to WEIR_HTTP_FIELDS_MAX fields, each on one line
 *   CRLF                                    the head ends here, `size` bytes after it began
 *   ^method ^path ^query  ^name  ^value     all views into the caller's buffer
 *
 * Why not the reader of libh2o (or any other lenient one): an attack on framing needs two readers
 * that disagree, the balancer's and ours. Each form that RFC 9112 forbids, and each that it merely
 * tolerates and that readers are known to understand differently, is refused, so there is nothing
 * to disagree about. The refusals carry a sentence for the answer, since the one who meets them is
 * a person with a hand-written client.
 *
 * Invariants
 *   I1  Every view lies inside the head that was given, and so does their whole: the parser only
 *       moves forward.
 *   I2  The scan and the parser split lines alike: both at CRLF, and a lone LF ends neither's
 *       patience silently.
 *   I3  After success the framing is one of three and certain: no field that could say otherwise
 *       was skipped.
 *   I4  The scan gives the same answer for any way of cutting the input, because what it remembers
 *       between calls (`*scanned`) says only how far it came, and it looks back at most three bytes
 *       from there.
 *
 * Bounded: the caller bounds the head's bytes before it scans further, this file bounds the fields.
 * The time is linear. Pure: no allocation, no clock, no log, no state but the caller's; any thread.
 *
 * Not done here, on purpose: percent-decoding and dot segments (a path matches byte for byte or not
 * at all), folded lines, absolute and asterisk targets (we are no proxy), Upgrade (ignored, as RFC
 * 9110 section 7.8 allows: the request is served as HTTP/1.1), and an empty line before the request
 * line, which RFC 9112 section 2.2 would let us skip: it is how bodies longer than their
 * Content-Length show, and that should be seen.
 */
#include "weir/http_head.h"
#include "weir/panic.h"

/* The longest Content-Length: 19 digits always fit 64 bits. */
#define LENGTH_DIGITS_MAX 19

static const struct weir_bytes http2_preface = WEIR_BYTES_INIT("PRI * HTTP/2.0");

/* What the fields have said so far, and where to leave the reason of a refusal. */
struct reading {
    struct weir_http_head *head;
    const char *reason;
    bool version_10;
    bool saw_host;
    bool saw_length;
    bool saw_chunked;
    bool saw_close;
    bool saw_keep_alive;
    bool saw_expect;
};

/* One bit for each ASCII character; bytes from 0x80 on belong to no set. */
struct charset {
    uint64_t low;  /* 0x00..0x3f */
    uint64_t high; /* 0x40..0x7f */
};

/* RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
static const struct charset token_chars = {0x03ff6cfa00000000, 0x57ffffffc7fffffe};

/* RFC 3986: a host, an IP literal and a port, nothing decoded: letters, digits and
 * -._~%!$&'()*+,;=:[] */
static const struct charset host_chars = {0x2fff7ff200000000, 0x47fffffeaffffffe};

static bool in_set(const struct charset *set, uint8_t byte)
{
    uint64_t half = byte < 64 ? set->low : set->high;
    return byte < 128 && (half >> (byte & 63U) & 1U) != 0;
}

static bool all_in_set(const struct charset *set, struct weir_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!in_set(set, text.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_token(struct weir_bytes text)
{
    return text.size > 0 && all_in_set(&token_chars, text);
}

static enum weir_status refuse(struct reading *reading, enum weir_status status, const char *reason)
{
    reading->reason = reason;
    return status;
}

static enum weir_status malformed(struct reading *reading, const char *reason)
{
    return refuse(reading, WEIR_EMALFORMED, reason);
}

/* The bytes before the first `separator`, which is taken too; false, with nothing taken, where
 * there is none. */
static bool take_until(struct weir_bytes *rest, uint8_t separator, struct weir_bytes *ret_part)
{
    const uint8_t *found = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    if (found == NULL) {
        return false;
    }
    size_t size = (size_t)(found - rest->data);
    *ret_part = weir_bytes_of(rest->data, size);
    *rest = weir_bytes_from(*rest, size + 1);
    return true;
}

/* The next line without its CRLF; false where it ends in anything else. */
static bool take_line(struct weir_bytes *rest, struct weir_bytes *ret_line)
{
    struct weir_bytes line;
    if (!take_until(rest, '\n', &line) || line.size == 0 || line.data[line.size - 1] != '\r') {
        return false;
    }
    *ret_line = weir_bytes_of(line.data, line.size - 1);
    return true;
}

/* Without the spaces and tabs at both ends. */
static struct weir_bytes trim(struct weir_bytes text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = weir_bytes_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

static enum weir_status read_version(struct reading *reading, struct weir_bytes version)
{
    if (weir_bytes_eq(version, WEIR_BYTES("HTTP/1.1"))) {
        return WEIR_OK;
    }
    if (weir_bytes_eq(version, WEIR_BYTES("HTTP/1.0"))) {
        /* Balancers check health with it; a body over 1.0 would bring back framing by end of
         * connection. */
        reading->version_10 = true;
        return weir_bytes_eq(reading->head->method, WEIR_BYTES("GET"))
                   ? WEIR_OK
                   : refuse(reading, WEIR_EUNSUPPORTED, "HTTP/1.0 is served for GET only");
    }
    if (version.size == 8 && weir_bytes_starts_with(version, WEIR_BYTES("HTTP/")) &&
        version.data[5] >= '0' && version.data[5] <= '9' && version.data[6] == '.' &&
        version.data[7] >= '0' && version.data[7] <= '9') {
        return refuse(reading, WEIR_EUNSUPPORTED, "only HTTP/1.1 is served");
    }
    return malformed(reading, "the request line does not end in an HTTP version");
}

static enum weir_status read_target(struct reading *reading, struct weir_bytes target)
{
    if (target.size == 0 || target.data[0] != '/') {
        return malformed(reading, "the request target is not a path");
    }
    for (size_t i = 0; i < target.size; i++) {
        uint8_t byte = target.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '#') {
            return malformed(reading, "the request target has a character that must be encoded");
        }
    }
    if (!take_until(&target, '?', &reading->head->path)) {
        reading->head->path = target;
        target = (struct weir_bytes){NULL, 0};
    }
    reading->head->query = target;
    return WEIR_OK;
}

static enum weir_status read_request_line(struct reading *reading, struct weir_bytes line)
{
    struct weir_bytes target;
    if (!take_until(&line, ' ', &reading->head->method) || !is_token(reading->head->method)) {
        return malformed(reading, "the request line does not begin with a method");
    }
    if (!take_until(&line, ' ', &target)) {
        return malformed(reading, "the request line does not have three parts");
    }
    WEIR_TRY(read_target(reading, target));
    return read_version(reading, line);
}

static enum weir_status read_host(struct reading *reading, struct weir_bytes value)
{
    if (reading->saw_host) {
        return malformed(reading, "more than one Host field");
    }
    reading->saw_host = true;
    return all_in_set(&host_chars, value) ? WEIR_OK : malformed(reading, "the Host is not a host");
}

static enum weir_status read_length(struct reading *reading, struct weir_bytes value)
{
    if (reading->saw_length) {
        return malformed(reading, "more than one Content-Length field");
    }
    if (value.size == 0 || value.size > LENGTH_DIGITS_MAX) {
        return malformed(reading, "the Content-Length is not a number of bytes");
    }
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t digit = value.data[i];
        if (digit < '0' || digit > '9') {
            return malformed(reading, "the Content-Length is not a number of bytes");
        }
        length = length * 10 + (uint64_t)(digit - '0');
    }
    reading->saw_length = true;
    reading->head->content_length = length;
    return WEIR_OK;
}

static enum weir_status read_transfer_encoding(struct reading *reading, struct weir_bytes value)
{
    if (reading->saw_chunked) {
        return malformed(reading, "more than one Transfer-Encoding field");
    }
    if (!weir_bytes_eq_nocase(value, WEIR_BYTES("chunked"))) {
        return refuse(reading, WEIR_EUNSUPPORTED, "no Transfer-Encoding but chunked is served");
    }
    reading->saw_chunked = true;
    return WEIR_OK;
}

static enum weir_status read_connection(struct reading *reading, struct weir_bytes list)
{
    while (list.size > 0) {
        struct weir_bytes option;
        if (!take_until(&list, ',', &option)) {
            option = list;
            list.size = 0;
        }
        option = trim(option);
        if (option.size > 0 && !is_token(option)) {
            return malformed(reading, "the Connection field is not a list of tokens");
        }
        reading->saw_close |= weir_bytes_eq_nocase(option, WEIR_BYTES("close"));
        reading->saw_keep_alive |= weir_bytes_eq_nocase(option, WEIR_BYTES("keep-alive"));
    }
    return WEIR_OK;
}

static enum weir_status read_expect(struct reading *reading, struct weir_bytes value)
{
    if (!weir_bytes_eq_nocase(value, WEIR_BYTES("100-continue"))) {
        return refuse(reading, WEIR_EUNSUPPORTED, "no expectation but 100-continue is served");
    }
    reading->saw_expect = true;
    return WEIR_OK;
}

/* The fields that decide framing and the connection; everything else is the caller's to look up. */
static const struct {
    struct weir_bytes name;
    enum weir_status (*read)(struct reading *reading, struct weir_bytes value);
} known_fields[] = {
    {WEIR_BYTES_INIT("host"), read_host},
    {WEIR_BYTES_INIT("content-length"), read_length},
    {WEIR_BYTES_INIT("transfer-encoding"), read_transfer_encoding},
    {WEIR_BYTES_INIT("connection"), read_connection},
    {WEIR_BYTES_INIT("expect"), read_expect},
};

static bool is_field_value(struct weir_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

static enum weir_status read_field(struct reading *reading, struct weir_bytes line)
{
    struct weir_http_field field;
    if (!take_until(&line, ':', &field.name) || !is_token(field.name)) {
        /* A folded line and white space before the colon end here too: no token holds a space. */
        return malformed(reading, "a field does not begin with a name and a colon");
    }
    field.value = trim(line);
    if (!is_field_value(field.value)) {
        return malformed(reading, "a field value has a control character");
    }
    if (reading->head->field_count == WEIR_HTTP_FIELDS_MAX) {
        return refuse(reading, WEIR_ELIMIT, "too many fields");
    }
    reading->head->fields[reading->head->field_count++] = field;
    for (size_t i = 0; i < sizeof known_fields / sizeof known_fields[0]; i++) {
        if (weir_bytes_eq_nocase(field.name, known_fields[i].name)) {
            return known_fields[i].read(reading, field.value);
        }
    }
    return WEIR_OK;
}

/* What the fields mean together. */
static enum weir_status conclude(struct reading *reading)
{
    struct weir_http_head *head = reading->head;
    if (!reading->saw_host && !reading->version_10) {
        return malformed(reading, "no Host field");
    }
    if (reading->saw_length && reading->saw_chunked) {
        return malformed(reading, "both Content-Length and Transfer-Encoding");
    }
    if (reading->saw_chunked && reading->version_10) {
        return malformed(reading, "HTTP/1.0 has no Transfer-Encoding");
    }
    head->framing = reading->saw_chunked  ? WEIR_HTTP_CHUNKED
                    : reading->saw_length ? WEIR_HTTP_LENGTH
                                          : WEIR_HTTP_NO_BODY;
    head->keep_alive = !reading->saw_close && (!reading->version_10 || reading->saw_keep_alive);
    /* RFC 9110 section 10.1.1: no 100 to a client that knows only 1.0, none where no content
     * follows. */
    bool content = reading->saw_chunked || head->content_length > 0;
    head->expect_continue = reading->saw_expect && content && !reading->version_10;
    return WEIR_OK;
}

static enum weir_status read_head(struct reading *reading, struct weir_bytes rest)
{
    struct weir_bytes line;
    if (!take_line(&rest, &line)) {
        return malformed(reading, "a line does not end in CRLF");
    }
    WEIR_TRY(read_request_line(reading, line));
    for (;;) {
        if (!take_line(&rest, &line)) {
            return malformed(reading, "a line does not end in CRLF");
        }
        if (line.size == 0) {
            break;
        }
        WEIR_TRY(read_field(reading, line));
    }
    /* The scan stops at the first empty line, so nothing can follow it here. */
    return rest.size == 0 ? conclude(reading) : malformed(reading, "an empty line inside the head");
}

enum weir_status weir_http_head_parse(struct weir_bytes head, struct weir_http_head *ret,
                                      const char **ret_reason)
{
    ret->content_length = 0;
    ret->query = (struct weir_bytes){NULL, 0};
    ret->size = head.size;
    ret->field_count = 0;
    struct reading reading = {.head = ret};
    enum weir_status status = read_head(&reading, head);
    if (status != WEIR_OK) {
        WEIR_ASSERT(reading.reason != NULL);
        *ret_reason = reading.reason;
    }
    return status;
}

/* Whether the bytes up to `size` can still begin a request; looks only at those the scan has not
 * passed. */
static bool may_begin(struct weir_bytes input, size_t scanned)
{
    if (scanned == 0 && input.size > 0 && !in_set(&token_chars, input.data[0])) {
        return false;
    }
    return scanned >= http2_preface.size || !weir_bytes_starts_with(input, http2_preface);
}

enum weir_status weir_http_head_scan(struct weir_bytes input, size_t *scanned, size_t *ret_size)
{
    WEIR_ASSERT(*scanned <= input.size);
    if (!may_begin(input, *scanned)) {
        return WEIR_EMALFORMED;
    }
    size_t at = *scanned;
    while (at < input.size) {
        const uint8_t *found = memchr(input.data + at, '\n', input.size - at);
        if (found == NULL) {
            break;
        }
        at = (size_t)(found - input.data);
        if (at == 0 || input.data[at - 1] != '\r') {
            return WEIR_EMALFORMED;
        }
        if (at >= 3 && input.data[at - 2] == '\n' && input.data[at - 3] == '\r') {
            *scanned = at + 1;
            *ret_size = at + 1;
            return WEIR_OK;
        }
        at++;
    }
    *scanned = input.size;
    return WEIR_EAGAIN;
}

const struct weir_http_field *weir_http_head_field(const struct weir_http_head *head,
                                                   struct weir_bytes name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        /* Firehose's names are of one length and begin alike: their ends are looked at first. */
        struct weir_bytes has = head->fields[i].name;
        bool may_be = has.size == name.size && name.size > 0 &&
                      ((has.data[has.size - 1] ^ name.data[name.size - 1]) & 0xdf) == 0;
        if (may_be && weir_bytes_eq_nocase(has, name)) {
            return &head->fields[i];
        }
    }
    return NULL;
}
