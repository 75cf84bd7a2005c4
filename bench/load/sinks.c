/* SPDX-License-Identifier: Apache-2.0 */
#include "load/sinks.h"
#include "load/run.h"
#include "weir/clock.h"
#include "weir/json.h"
#include "weir/transport.h"
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum {
    URL_SIZE = 1024,
    POLL_MS = 100,
    TIMEOUT_S = 60,
    RANGES_MAX = 1 << 30,
    QUIET_MS = 500,
    SHOWN_MAX = 200
};

struct exchange {
    const char *sink;
    const char *method;
    const char *path;
    struct weir_bytes body;
};

static void tell_failure(const char *method, const char *url, enum weir_status status,
                         const struct weir_transport_reply *reply)
{
    if (status == WEIR_OK && reply->failure == WEIR_TRANSPORT_ANSWERED) {
        int size = (int)(reply->body.size < SHOWN_MAX ? reply->body.size : SHOWN_MAX);
        (void)fprintf(stderr, "weir-load: sink %s %s: %d %.*s%s\n", method, url, reply->status,
                      size, size == 0 ? "" : (const char *)reply->body.data,
                      reply->status == 404 || reply->status == 405 ? " (no weir-sink?)" : "");
    } else {
        (void)fprintf(stderr, "weir-load: sink %s %s: %.*s\n", method, url, SHOWN_MAX,
                      reply->message == NULL ? weir_status_text(status) : reply->message);
    }
}

/* The answer's body, valid until the next call; false, told, when there is none or it is no 200. */
static bool ask(const struct weir_transport *transport, const struct exchange *exchange,
                struct weir_bytes *ret)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char url[URL_SIZE];
    size_t size = strlen(exchange->sink);
    while (size > 0 && exchange->sink[size - 1] == '/') {
        size--;
    }
    (void)snprintf(url, sizeof url, "%.*s%s", (int)size, exchange->sink, exchange->path);
    const struct weir_transport_target target = {.url = url,
                                                 .method = exchange->method,
                                                 .headers = headers,
                                                 .timeout_ns = TIMEOUT_S * WEIR_NS_PER_S};
    const struct weir_transport_request request = {.target = &target, .body = exchange->body};
    struct weir_transport_reply reply = {.status = 0};
    enum weir_status status = weir_transport_exchange(transport, &request, &reply);
    if (status != WEIR_OK || reply.failure != WEIR_TRANSPORT_ANSWERED || reply.status != 200) {
        tell_failure(exchange->method, url, status, &reply);
        return false;
    }
    *ret = reply.body;
    return true;
}

bool weir_load_sinks_begin(const struct weir_load_options *options)
{
    char world[WEIR_TRAFFIC_PRINT_SIZE];
    struct weir_transport transport;
    struct weir_bytes answer;
    bool good = true;
    if (options->sink_count == 0) {
        return true;
    }
    if (weir_transport_curl(&transport) != WEIR_OK) {
        return false;
    }
    weir_traffic_print(&options->world, world, sizeof world);
    for (uint32_t i = 0; good && i < options->sink_count; i++) {
        const struct exchange exchange = {options->sinks[i], "PUT", "/world",
                                          weir_bytes_str(world)};
        good = ask(&transport, &exchange, &answer);
    }
    transport.free(transport.self);
    return good;
}

struct seen {
    int64_t
        points; /* that have arrived, without repetitions that nobody could avoid; -1: unknown */
    int64_t requests; /* also those that were refused: somebody still tries */
};

static struct seen look(const struct weir_transport *transport, const char *sink)
{
    static const struct seen nothing = {-1, -1};
    const struct exchange exchange = {sink, "GET", "/accounts", {NULL, 0}};
    uint8_t text[WEIR_TRANSPORT_BODY_MAX];
    struct weir_bytes answer;
    struct weir_bytes name;
    struct weir_json json;
    struct seen seen = nothing;
    int64_t repeated = 0;
    if (!ask(transport, &exchange, &answer) || answer.size == 0) {
        return nothing;
    }
    memcpy(text, answer.data, answer.size);
    weir_json_init(&json, text, answer.size, 8);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &name)) {
        if (weir_bytes_eq(name, WEIR_BYTES("points"))) {
            seen.points = weir_json_int64(&json);
        } else if (weir_bytes_eq(name, WEIR_BYTES("requests"))) {
            seen.requests = weir_json_int64(&json);
        } else if (weir_bytes_eq(name, WEIR_BYTES("repeated"))) {
            repeated = weir_json_int64(&json);
        } else {
            weir_json_skip(&json);
        }
    }
    seen.points -= repeated;
    return weir_json_finish(&json) == WEIR_OK ? seen : nothing;
}

/* On a terminal: what the end waits for. */
static void show(const char *sink, struct seen now, uint64_t promised)
{
    if (isatty(STDERR_FILENO) == 1) {
        (void)fprintf(stderr, "\r\033[Kwaiting for %.40s: %" PRId64 " of %" PRIu64 " points", sink,
                      now.points, promised);
    }
}

static void clear_line(void)
{
    if (isatty(STDERR_FILENO) == 1) {
        (void)fputs("\r\033[K", stderr);
    }
}

/* All that was promised, and then nothing for a moment (a duplicate comes late); or nothing new for
 * the settling time, not even an attempt that the sink refused. Where points may come too often, as
 * many as were promised need not be all of them. */
static void await(const struct weir_load_options *options, const struct weir_transport *transport,
                  const char *sink, uint64_t promised)
{
    struct seen last = {-1, -1};
    int64_t changed_ns = weir_clock_mono_ns();
    int64_t quiet_ns = QUIET_MS * WEIR_NS_PER_MS;
    quiet_ns = quiet_ns < options->settle_ns ? quiet_ns : options->settle_ns;
    unsigned interrupts = weir_load_interrupts();
    while (weir_load_interrupts() == interrupts) {
        struct seen now = look(transport, sink);
        int64_t now_ns = weir_clock_mono_ns();
        if (now.points != last.points || now.requests != last.requests) {
            last = now;
            changed_ns = now_ns;
        }
        show(sink, now, promised);
        bool all =
            options->allow_repeated == 0 && now.points >= 0 && (uint64_t)now.points >= promised;
        if (now.points < 0 || now_ns - changed_ns >= (all ? quiet_ns : options->settle_ns)) {
            return;
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}

static void read_examples(struct weir_json *json, struct weir_load_verdict *verdict)
{
    weir_json_array_begin(json);
    while (weir_json_element(json)) {
        int64_t number = weir_json_int64(json);
        if (verdict->examples < WEIR_LOAD_EXAMPLES_MAX) {
            verdict->example[verdict->examples++] = number;
        }
    }
}

static bool read_verdict(struct weir_bytes answer, struct weir_load_verdict *ret)
{
    struct weir_load_verdict verdict = {.told = true};
    const struct {
        const char *name;
        int64_t *at;
    } numbers[] = {
        {"expected", &verdict.expected},     {"missing", &verdict.missing},
        {"refused", &verdict.refused},       {"duplicated", &verdict.duplicated},
        {"repeated", &verdict.repeated},     {"wrong", &verdict.wrong},
        {"unpromised", &verdict.unpromised},
    };
    uint8_t text[WEIR_TRANSPORT_BODY_MAX];
    struct weir_bytes name;
    struct weir_json json;
    memcpy(text, answer.data, answer.size);
    weir_json_init(&json, text, answer.size, 8);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &name)) {
        size_t i = 0;
        while (i < sizeof numbers / sizeof *numbers &&
               !weir_bytes_eq(name, weir_bytes_str(numbers[i].name))) {
            i++;
        }
        if (i < sizeof numbers / sizeof *numbers) {
            *numbers[i].at = weir_json_int64(&json);
        } else if (weir_bytes_eq(name, WEIR_BYTES("examples"))) {
            read_examples(&json, &verdict);
        } else if (weir_bytes_eq(name, WEIR_BYTES("exactly_once"))) {
            verdict.exactly_once = weir_json_peek(&json) == WEIR_JSON_TRUE;
            weir_json_skip(&json);
        } else {
            weir_json_skip(&json);
        }
    }
    if (weir_json_finish(&json) != WEIR_OK) {
        return false;
    }
    *ret = verdict;
    return true;
}

bool weir_load_sinks_judge(const struct weir_load_options *options,
                           const struct weir_load_verdict *verdict)
{
    bool none_refused = verdict->refused == 0 || options->allow_refused;
    bool none_repeated =
        verdict->duplicated <= 0 || (uint64_t)verdict->duplicated <= options->allow_repeated;
    return verdict->told && verdict->missing == 0 && verdict->wrong == 0 &&
           verdict->unpromised == 0 && none_refused && none_repeated;
}

bool weir_load_sinks_end(const struct weir_load_options *options,
                         struct weir_load_promises *promises, struct weir_load_verdict *verdicts)
{
    struct weir_transport transport;
    struct weir_bytes answer;
    bool good = true;
    if (options->sink_count == 0) {
        return true;
    }
    struct weir_buf ranges = weir_buf_grow_init(RANGES_MAX);
    weir_load_promises_print(promises, &ranges);
    if (ranges.failed || weir_transport_curl(&transport) != WEIR_OK) {
        weir_buf_done(&ranges);
        return false;
    }
    for (uint32_t i = 0; i < options->sink_count; i++) {
        const struct exchange exchange = {options->sinks[i], "POST", "/verdict",
                                          weir_buf_view(&ranges)};
        verdicts[i] = (struct weir_load_verdict){.told = false};
        await(options, &transport, options->sinks[i], weir_load_promises_points(promises));
        clear_line();
        if (ask(&transport, &exchange, &answer) && !read_verdict(answer, &verdicts[i])) {
            (void)fprintf(stderr, "weir-load: sink %s: its verdict cannot be read\n",
                          options->sinks[i]);
        }
        verdicts[i].good = weir_load_sinks_judge(options, &verdicts[i]);
        good = good && verdicts[i].good;
    }
    transport.free(transport.self);
    weir_buf_done(&ranges);
    return good;
}
