/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir send`: delivers files as Firehose would.
 *
 *   file ─► firehose_body.c: a body under a fresh id ─(gzip)─► POST with Firehose's headers
 *                                                              ▲         ├─► 200: done
 *                                                              └─ retry ─┴─► else: failed
 *
 * Retries follow the same model as the exporter's and as Firehose's own (weir/retry_window.h: 1
 * s, doubled, 15 % jitter, at most 120 s), for as long as --retry says; by default there is one
 * attempt, since whoever tries something out wants the answer. As for Firehose, only 200 is
 * success, and 413 ends it.
 *
 * The access key is better not an argument, which every user of the machine can read:
 * --key-file, or WEIR_ACCESS_KEY. The memory that holds it is wiped.
 *
 * Main thread.
 */
#include "commands_internal.h"
#include "config_internal.h"
#include "firehose_body.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/gzip.h"
#include "weir/json.h"
#include "weir/mem.h"
#include "weir/rand.h"
#include "weir/retry_window.h"
#include "weir/transport.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char weir_cmd_send_help[] =
    "weir send [options] URL FILE...: delivers files as Firehose would\n"
    "\n"
    "      --key-file FILE    the access key; else the variable WEIR_ACCESS_KEY\n"
    "      --key KEY          the same, but other users of the machine can read it\n"
    "      --gzip             compresses the body\n"
    "      --request-id ID    instead of a fresh one for each file; the same file is then the "
    "same\n"
    "                         body each time, so that sending it again is a repetition\n"
    "      --source-arn ARN   the delivery stream's\n"
    "      --retry DURATION   tries again for so long, as Firehose does (900s); default: not at "
    "all\n"
    "      --timeout DURATION for an attempt; default 180s, as Firehose's\n"
    "      --ca-file FILE     authorities to trust; default: the system's\n"
    "\n"
    "A FILE (- is standard input; gzip is recognised) is a Firehose request's body, whose records "
    "are\n"
    "sent under a fresh id, or one record. Prints a line a file.\n"
    "Exit codes: 0 every file was answered 200, 1 not so, 2 usage.\n";

enum { HEADERS_MAX = 12, HEADER_SIZE = 512, WAIT_STEP_MS = 200 };

struct sending {
    const char *url;
    const char *key;
    const char *request_id; /* NULL: a fresh one each time */
    const char *source_arn;
    const char *ca_file;
    bool gzip;
    int64_t retry_ns;
    int64_t timeout_ns;
    char *key_memory; /* of --key-file, to be wiped */
    struct weir_transport transport;
    struct weir_rand rand;
};

/* A version 4 UUID, as Firehose's ids are. */
static void make_id(char *ret, size_t size)
{
    uint8_t b[16];
    weir_rand_system(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    (void)snprintf(ret, size,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}

/* The errorMessage of an answer, in the reply's memory or as a copy in `memory`; "" when there
 * is none. */
static const char *error_message(struct weir_bytes body, char *memory, size_t size)
{
    uint8_t text[WEIR_TRANSPORT_BODY_MAX];
    struct weir_json json;
    struct weir_bytes key;
    struct weir_bytes message = {NULL, 0};
    memory[0] = 0;
    if (body.size == 0 || body.size > sizeof text) {
        return memory;
    }
    memcpy(text, body.data, body.size);
    weir_json_init(&json, text, body.size, 8);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("errorMessage"))) {
            message = weir_json_string(&json);
        } else {
            weir_json_skip(&json);
        }
    }
    struct weir_buf shown = weir_buf_fixed(memory, size - 1);
    if (message.size > 0 && json.error == NULL) {
        weir_buf_put_json_string(&shown, message, 200);
    }
    memory[shown.size] = 0;
    return memory;
}

static enum weir_status attempt(struct sending *sending, const char *const *headers,
                                struct weir_bytes body, struct weir_transport_reply *ret)
{
    const struct weir_transport *transport = &sending->transport;
    struct weir_transport_target target = {
        .url = sending->url,
        .ca_file = sending->ca_file,
        .headers = headers,
        .timeout_ns = sending->timeout_ns,
    };
    const struct weir_transport_request request = {.target = &target, .body = body};
    return weir_transport_exchange(transport, &request, ret);
}

static void tell(const char *path, const struct weir_transport_reply *reply, size_t size)
{
    char memory[512];
    int64_t ms = reply->duration_ns / WEIR_NS_PER_MS;
    if (reply->failure != WEIR_TRANSPORT_ANSWERED) {
        const char *message = reply->message == NULL ? "" : reply->message;
        bool is_trust = strstr(message, "certificate problem") != NULL;
        (void)printf("%s: no answer after %" PRId64 " ms: %s%s\n", path, ms, message,
                     is_trust ? " (--ca-file names the authorities to trust)" : "");
    } else {
        const char *message = error_message(reply->body, memory, sizeof memory);
        (void)printf("%s: %d in %" PRId64 " ms, %zu bytes%s%s\n", path, reply->status, ms, size,
                     message[0] == 0 ? "" : ": ", message);
    }
    (void)fflush(stdout);
}

/* Waits until the next attempt may begin; false when the window is over. */
static bool wait_retry(struct sending *sending, const struct weir_retry *retry,
                       const struct weir_retry_options *options)
{
    const struct weir_transport *transport = &sending->transport;
    for (;;) {
        int64_t now_ns = weir_clock_mono_ns();
        enum weir_retry_verdict verdict = weir_retry_poll(retry, options, now_ns);
        if (verdict != WEIR_RETRY_WAIT) {
            return verdict == WEIR_RETRY_GO;
        }
        int64_t left_ms = (weir_retry_wakeup_ns(retry, options) - now_ns) / WEIR_NS_PER_MS + 1;
        int step_ms = left_ms < WAIT_STEP_MS ? (int)left_ms : WAIT_STEP_MS;
        if (transport->wait(transport->self, -1, step_ms) != WEIR_OK) {
            return false;
        }
    }
}

/* Attempts until 200, 413 or the window's end. */
static bool deliver(struct sending *sending, const char *path, const char *const *headers,
                    struct weir_bytes body)
{
    struct weir_retry_options options = {
        .window_ns = sending->retry_ns,
        .initial_ns = WEIR_NS_PER_S,
        .max_ns = 120 * WEIR_NS_PER_S,
    };
    struct weir_retry retry;
    struct weir_transport_reply reply;
    weir_retry_init(&retry);
    do {
        weir_retry_begin(&retry, weir_clock_mono_ns());
        enum weir_status status = attempt(sending, headers, body, &reply);
        if (status != WEIR_OK) {
            (void)weir_commands_failed("send", "%.200s: %s", path, weir_status_text(status));
            return false;
        }
        tell(path, &reply, body.size);
        bool answered = reply.failure == WEIR_TRANSPORT_ANSWERED;
        if (answered && (reply.status == 200 || reply.status == 413)) {
            return reply.status == 200;
        }
        weir_retry_failed(&retry, &options, weir_clock_mono_ns(), -1,
                          weir_rand_unit(&sending->rand));
    } while (sending->retry_ns > 0 && wait_retry(sending, &retry, &options));
    return false;
}

/* Compresses into memory of its own; NULL when memory is out. */
static uint8_t *compress(struct weir_bytes body, size_t *ret_size)
{
    struct weir_deflater *deflater;
    if (weir_deflater_new(6, &deflater) != WEIR_OK) {
        return NULL;
    }
    size_t capacity = weir_gzip_bound(deflater, body.size);
    uint8_t *out = weir_mem_alloc(capacity);
    if (out != NULL && weir_gzip_deflate(deflater, body, out, capacity, ret_size) != WEIR_OK) {
        weir_mem_free(out);
        out = NULL;
    }
    weir_deflater_free(deflater);
    return out;
}

/* Sends one body with all of Firehose's headers. */
static bool send_body(struct sending *sending, const char *path, const char *id,
                      struct weir_bytes body)
{
    char id_header[HEADER_SIZE];
    char arn_header[HEADER_SIZE];
    char key_header[4096 + 64];
    const char *headers[HEADERS_MAX];
    size_t count = 0;
    (void)snprintf(id_header, sizeof id_header, "X-Amz-Firehose-Request-Id: %s", id);
    (void)snprintf(arn_header, sizeof arn_header, "X-Amz-Firehose-Source-Arn: %s",
                   sending->source_arn);
    headers[count++] = "Content-Type: application/json";
    headers[count++] = "User-Agent: Amazon Kinesis Data Firehose Agent/1.0";
    headers[count++] = "X-Amz-Firehose-Protocol-Version: 1.0";
    headers[count++] = id_header;
    headers[count++] = arn_header;
    if (sending->key != NULL) {
        (void)snprintf(key_header, sizeof key_header, "X-Amz-Firehose-Access-Key: %s",
                       sending->key);
        headers[count++] = key_header;
    }
    if (sending->gzip) {
        headers[count++] = "Content-Encoding: gzip";
    }
    headers[count] = NULL;
    bool delivered = deliver(sending, path, headers, body);
    explicit_bzero(key_header, sizeof key_header);
    return delivered;
}

static bool send_file(struct sending *sending, const char *path)
{
    char id[HEADER_SIZE - 64];
    uint8_t *data;
    size_t size;
    if (!weir_commands_read("send", path, &data, &size)) {
        return false;
    }
    make_id(id, sizeof id);
    if (sending->request_id != NULL) {
        (void)snprintf(id, sizeof id, "%s", sending->request_id);
    }
    struct weir_buf body = weir_buf_grow_init(WEIR_COMMAND_FILE_MAX);
    /* a repetition has the same id and the same content, the time in it included */
    int64_t body_time_ms = sending->request_id != NULL ? 0 : weir_clock_wall_ns() / WEIR_NS_PER_MS;
    const char *wrong = weir_firehose_body(data, size, id, body_time_ms, &body);
    weir_mem_free(data);
    bool sent = false;
    if (wrong != NULL) {
        (void)weir_commands_failed("send", "%.200s: %s", path, wrong);
    } else if (sending->gzip) {
        size_t small_size = 0;
        uint8_t *small = compress(weir_buf_view(&body), &small_size);
        sent = small != NULL && send_body(sending, path, id, weir_bytes_of(small, small_size));
        weir_mem_free(small);
    } else {
        sent = send_body(sending, path, id, weir_buf_view(&body));
    }
    weir_buf_done(&body);
    return sent;
}

static bool read_key(struct sending *sending, const char *path)
{
    uint8_t *data;
    size_t size;
    if (weir_file_read(path, 4096 + 2, &data, &size) != WEIR_OK) {
        (void)weir_commands_failed("send", "the key cannot be read: %.200s", path);
        return false;
    }
    while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r')) {
        data[--size] = 0;
    }
    weir_mem_free(sending->key_memory);
    sending->key_memory = (char *)data;
    sending->key = sending->key_memory;
    return true;
}

static int set_duration(const char *name, int64_t *ret_ns)
{
    const char *wrong = weir_config_parse_duration(weir_bytes_str(optarg), ret_ns);
    return wrong == NULL
               ? WEIR_EXIT_DONE
               : weir_commands_usage("send", "--%s: %s: %.60s (write 900s)", name, wrong, optarg);
}

/* Fills in one option; an exit code other than WEIR_EXIT_DONE ends the command. */
static int set_option(struct sending *sending, int option)
{
    switch (option) {
    case 'k': sending->key = optarg; return WEIR_EXIT_DONE;
    case 'f': return read_key(sending, optarg) ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
    case 'z': sending->gzip = true; return WEIR_EXIT_DONE;
    case 'i': sending->request_id = optarg; return WEIR_EXIT_DONE;
    case 's': sending->source_arn = optarg; return WEIR_EXIT_DONE;
    case 'a': sending->ca_file = optarg; return WEIR_EXIT_DONE;
    case 'r': return set_duration("retry", &sending->retry_ns);
    case 't': return set_duration("timeout", &sending->timeout_ns);
    default: return WEIR_EXIT_USAGE;
    }
}

static int send_all(struct sending *sending, char **paths)
{
    bool good = true;
    uint64_t seed;
    if (weir_transport_curl_global() != WEIR_OK ||
        weir_transport_curl(&sending->transport) != WEIR_OK) {
        return weir_commands_failed("send", "out of memory");
    }
    weir_rand_system(&seed, sizeof seed);
    weir_rand_init(&sending->rand, seed);
    for (; *paths != NULL; paths++) {
        good = send_file(sending, *paths) && good;
    }
    sending->transport.free(sending->transport.self);
    return good ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

/* A header value that cannot carry a second header. */
static bool is_clean(const char *text)
{
    return text == NULL || (strlen(text) < 4096 && strpbrk(text, "\r\n") == NULL);
}

static int run(struct sending *sending, int argc, char **argv)
{
    char words[300];
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    if (argc - optind < 2) {
        return weir_commands_usage("send", "where to, and which file? (weir send URL FILE)");
    }
    sending->url = argv[optind];
    if (access(sending->url, F_OK) == 0) {
        return weir_commands_usage("send",
                                   "%.200s is a file; the URL comes first (weir send URL "
                                   "FILE)",
                                   sending->url);
    }
    if (!weir_config_valid_url(sending->url, &why)) {
        words[why.size] = 0;
        return weir_commands_usage("send", "%s", words);
    }
    if (!is_clean(sending->key) || !is_clean(sending->request_id) ||
        !is_clean(sending->source_arn)) {
        return weir_commands_usage("send", "a key, id or ARN is one line of at most 4096 bytes");
    }
    return send_all(sending, argv + optind + 1);
}

int weir_cmd_send(int argc, char **argv)
{
    static const struct option options[] = {{"key", required_argument, NULL, 'k'},
                                            {"key-file", required_argument, NULL, 'f'},
                                            {"gzip", no_argument, NULL, 'z'},
                                            {"request-id", required_argument, NULL, 'i'},
                                            {"source-arn", required_argument, NULL, 's'},
                                            {"ca-file", required_argument, NULL, 'a'},
                                            {"retry", required_argument, NULL, 'r'},
                                            {"timeout", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct sending sending = {
        .key = getenv("WEIR_ACCESS_KEY"),
        .source_arn = "arn:aws:firehose:us-east-1:123456789012:deliverystream/weir-send",
        .timeout_ns = 180 * WEIR_NS_PER_S,
    };
    int code = WEIR_EXIT_DONE;
    int option;
    while (code == WEIR_EXIT_DONE &&
           (option = weir_commands_option(argc, argv, "h", options, weir_cmd_send_help)) != -1) {
        code = set_option(&sending, option);
    }
    if (code == WEIR_EXIT_DONE) {
        code = run(&sending, argc, argv);
    }
    if (sending.key_memory != NULL) {
        explicit_bzero(sending.key_memory, strlen(sending.key_memory));
    }
    weir_mem_free(sending.key_memory);
    return code;
}
