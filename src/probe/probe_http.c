/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, by libcurl, one handle for all: connections are kept from request to
 * request as Firehose would keep them, and libcurl says how many it had to open.
 *
 *   request ─► headers as Firehose's ─► easy handle ─► status, headers of interest, body
 *
 *   I1  of an answer's body 64 KiB are kept and 1 MiB read, of its headers 256 KiB; then it is cut
 *   I2  an exchange ends within the timeout, a connection attempt within WEIR_PROBE_CONNECT_MS
 *   I3  redirects are not followed, proxies not used, certificates always verified: the key goes
 *       nowhere but to the endpoint
 *   I4  header lines that held the key are wiped
 *
 * HTTP/1.1, as Firehose. An answer whose status has come counts although the connection broke
 * afterwards, as a 413 before the end of a body does.
 *
 * One thread.
 */
#include "probe_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <curl/curl.h>

enum { UPLOAD_BYTES = 512 << 10, EXPECT_WAIT_MS = 3000, LINE_SIZE = 256 };

/* The longest lines: the attributes, and a key. */
#define ATTRIBUTES_SIZE (WEIR_PROBE_HEAD_BYTES + 4096)

struct weir_probe_http {
    const struct weir_probe_options *options;
    const struct weir_probe_target *target;
    CURL *easy;
    struct curl_slist *connect_to;
    struct weir_probe_answer *answer;
    struct weir_bytes upload; /* what is left of a chunked body */
    char error[CURL_ERROR_SIZE];
    uint8_t body[WEIR_PROBE_ANSWER_KEPT];
};

static size_t take_body(char *data, size_t unit, size_t count, void *user)
{
    struct weir_probe_http *http = user;
    struct weir_probe_answer *answer = http->answer;
    size_t offered = unit * count;
    size_t room = sizeof http->body - answer->body_size;
    size_t kept = offered < room ? offered : room;
    memcpy(http->body + answer->body_size, data, kept);
    answer->body_size += kept;
    answer->body_total += offered;
    answer->is_cut = answer->body_total + answer->lines_total > WEIR_PROBE_ANSWER_READ;
    return answer->is_cut ? 0 : offered;
}

/* A header's value as text, printable, when its name is this one. */
static bool take_value(struct weir_bytes line, const char *name, char *out, size_t size)
{
    struct weir_bytes wanted = weir_bytes_str(name);
    if (line.size <= wanted.size || line.data[wanted.size] != ':' ||
        !weir_bytes_eq_nocase(weir_bytes_of(line.data, wanted.size), wanted)) {
        return false;
    }
    struct weir_bytes value = weir_bytes_from(line, wanted.size + 1);
    while (value.size > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
        value = weir_bytes_from(value, 1);
    }
    while (value.size > 0 && strchr(" \t\r\n", value.data[value.size - 1]) != NULL) {
        value.size--;
    }
    struct weir_buf buf = weir_buf_fixed(out, size - 1);
    weir_probe_show(&buf, value, size / 5);
    out[buf.size] = 0;
    return true;
}

static size_t take_header(char *data, size_t unit, size_t count, void *user)
{
    struct weir_probe_http *http = user;
    struct weir_probe_answer *answer = http->answer;
    struct weir_bytes line = weir_bytes_of(data, unit * count);
    char text[LINE_SIZE];
    answer->lines_total += line.size;
    if (answer->lines_total > WEIR_PROBE_ANSWER_LINES) {
        answer->is_cut = true;
        return 0;
    }
    if (weir_bytes_starts_with(line, WEIR_BYTES("HTTP/1.1 100"))) {
        answer->seen_100 = true;
    } else if (take_value(line, "content-type", answer->content_type,
                          sizeof answer->content_type) ||
               take_value(line, "location", answer->location, sizeof answer->location)) {
        return line.size;
    } else if (take_value(line, "date", text, sizeof text)) {
        answer->date_s = curl_getdate(text, NULL);
    } else if (take_value(line, "content-length", text, sizeof text)) {
        answer->has_length = true;
    } else if (take_value(line, "transfer-encoding", text, sizeof text)) {
        answer->is_chunked = true;
    } else if (take_value(line, "content-encoding", text, sizeof text)) {
        answer->is_coded = strcasecmp(text, "identity") != 0;
    }
    return line.size;
}

static size_t give_body(char *data, size_t unit, size_t count, void *user)
{
    struct weir_probe_http *http = user;
    size_t room = unit * count;
    size_t size = http->upload.size < room ? http->upload.size : room;
    if (size > 0) {
        memcpy(data, http->upload.data, size);
    }
    http->upload = weir_bytes_from(http->upload, size);
    return size;
}

static CURLcode set_fixed(struct weir_probe_http *http)
{
    CURL *easy = http->easy;
    const struct weir_probe_options *options = http->options;
    CURLcode worst = CURLE_OK;
    worst |= curl_easy_setopt(easy, CURLOPT_URL, options->url);
    worst |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    worst |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    worst |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    worst |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    worst |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    worst |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    worst |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)WEIR_PROBE_CONNECT_MS);
    worst |=
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(options->timeout_ns / WEIR_NS_PER_MS));
    worst |= curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)EXPECT_WAIT_MS);
    worst |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
    worst |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    worst |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
    worst |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    worst |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
    worst |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
    worst |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    worst |= curl_easy_setopt(easy, CURLOPT_READDATA, http);
    if (options->ca_file != NULL) {
        worst |= curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    }
    if (http->connect_to != NULL) {
        worst |= curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
    }
    return worst;
}

/* "::host:port", whatever the URL says. */
static bool set_connect_to(struct weir_probe_http *http)
{
    char text[300];
    const struct weir_probe_target *target = http->target;
    bool is_v6 = strchr(target->connect_host, ':') != NULL;
    if (http->options->connect_to == NULL) {
        return true;
    }
    (void)snprintf(text, sizeof text, "::%s%s%s:%s", is_v6 ? "[" : "", target->connect_host,
                   is_v6 ? "]" : "", target->connect_port);
    http->connect_to = curl_slist_append(NULL, text);
    return http->connect_to != NULL;
}

enum weir_status weir_probe_http_new(const struct weir_probe_options *options,
                                     const struct weir_probe_target *target,
                                     struct weir_probe_http **ret)
{
    struct weir_probe_http *http = weir_mem_zalloc(1, sizeof *http);
    if (http == NULL) {
        return WEIR_ENOMEM;
    }
    http->options = options;
    http->target = target;
    http->easy = curl_easy_init();
    if (http->easy == NULL || !set_connect_to(http) || set_fixed(http) != CURLE_OK) {
        weir_probe_http_free(http);
        return WEIR_ENOMEM;
    }
    *ret = http;
    return WEIR_OK;
}

void weir_probe_http_free(struct weir_probe_http *http)
{
    if (http != NULL) {
        curl_easy_cleanup(http->easy);
        curl_slist_free_all(http->connect_to);
        weir_mem_free(http);
    }
}

/* ---- a request's head ---- */

struct lines {
    struct curl_slist *list;
    bool failed;
};

static void add(struct lines *lines, const char *line)
{
    struct curl_slist *longer = curl_slist_append(lines->list, line);
    lines->failed = lines->failed || longer == NULL;
    lines->list = longer == NULL ? lines->list : longer;
}

static void add_pair(struct lines *lines, const char *name, const char *value)
{
    char line[WEIR_PROBE_KEY_MAX + 64];
    (void)snprintf(line, sizeof line, "%s: %s", name, value);
    add(lines, line);
    explicit_bzero(line, sizeof line);
}

static void add_long(struct lines *lines, const struct weir_probe_request *request)
{
    struct weir_buf text = weir_buf_grow_init(ATTRIBUTES_SIZE);
    if (request->attributes > 0) {
        weir_probe_attributes(&text, request->attributes);
        weir_buf_put_byte(&text, 0);
        lines->failed = lines->failed || text.failed;
        add(lines, text.failed ? "" : (const char *)text.data);
    }
    weir_buf_done(&text);
    if (request->padding > 0) {
        char padding[WEIR_PROBE_KEY_MAX + 1];
        size_t size = request->padding < sizeof padding ? request->padding : sizeof padding - 1;
        memset(padding, 'x', size);
        padding[size] = 0;
        add_pair(lines, "X-Weir-Probe-Padding", padding);
    }
}

static struct lines make_lines(const struct weir_probe_request *request)
{
    struct lines lines = {NULL, false};
    add(&lines, "Content-Type: application/json");
    add(&lines, "User-Agent: Amazon Kinesis Data Firehose Agent/1.0");
    add(&lines, "Accept:");
    add(&lines, "X-Amz-Firehose-Protocol-Version: 1.0");
    add(&lines, "X-Amz-Firehose-Source-Arn: "
                "arn:aws:firehose:us-east-1:123456789012:deliverystream/weir-probe");
    if (request->id != NULL) {
        add_pair(&lines, "X-Amz-Firehose-Request-Id", request->id);
    }
    if (request->key != NULL) {
        add_pair(&lines, "X-Amz-Firehose-Access-Key", request->key);
    }
    if (request->is_gzip) {
        add(&lines, "Content-Encoding: gzip");
    }
    if (request->is_chunked) {
        add(&lines, "Transfer-Encoding: chunked");
    }
    add(&lines, request->expects_100 ? "Expect: 100-continue" : "Expect:");
    add_long(&lines, request);
    return lines;
}

static void free_lines(struct curl_slist *list)
{
    for (struct curl_slist *at = list; at != NULL; at = at->next) {
        explicit_bzero(at->data, strlen(at->data));
    }
    curl_slist_free_all(list);
}

/* ---- the exchange ---- */

static CURLcode set_method(struct weir_probe_http *http, const struct weir_probe_request *request)
{
    CURL *easy = http->easy;
    if (strcmp(request->method, "GET") == 0) {
        return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    CURLcode worst = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    http->upload = request->body;
    worst |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                              request->is_chunked ? NULL : (const char *)request->body.data);
    worst |=
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         request->is_chunked ? (curl_off_t)-1 : (curl_off_t)request->body.size);
    return worst;
}

static void read_facts(struct weir_probe_http *http, CURLcode code, struct weir_probe_answer *ret)
{
    long status = 0;
    curl_off_t sent = 0;
    (void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(http->easy, CURLINFO_NUM_CONNECTS, &ret->connections);
    (void)curl_easy_getinfo(http->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    ret->status = status >= 200 ? (int)status : 0;
    ret->sent = (int64_t)sent;
    ret->is_unverified = code == CURLE_PEER_FAILED_VERIFICATION;
    if (code != CURLE_OK && !ret->is_cut) {
        struct weir_buf text = weir_buf_fixed(ret->error, sizeof ret->error - 1);
        const char *words = http->error[0] == 0 ? curl_easy_strerror(code) : http->error;
        weir_probe_show(&text, weir_bytes_str(words), (sizeof ret->error - 8) / 4);
        ret->error[text.size] = 0;
    }
}

void weir_probe_http_exchange(struct weir_probe_http *http,
                              const struct weir_probe_request *request,
                              struct weir_probe_answer *ret)
{
    *ret = (struct weir_probe_answer){.body = http->body, .date_s = -1};
    http->answer = ret;
    http->error[0] = 0;
    struct lines lines = make_lines(request);
    CURLcode code = lines.failed ? CURLE_OUT_OF_MEMORY : set_method(http, request);
    code |= curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, lines.list);
    int64_t begun_ns = weir_clock_mono_ns();
    if (code == CURLE_OK) {
        code = curl_easy_perform(http->easy);
    }
    ret->duration_ns = weir_clock_mono_ns() - begun_ns;
    read_facts(http, code, ret);
    (void)curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    free_lines(lines.list);
}
