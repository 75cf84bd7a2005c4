/* SPDX-License-Identifier: Apache-2.0 */
#include "load/sinks.h"
#include "load/run.h"
#include "weir/clock.h"
#include "weir/json.h"
#include "weir/transport.h"
#include <poll.h>
#include <stdio.h>

enum { URL_SIZE = 1024, POLL_MS = 250, TIMEOUT_S = 60, RANGES_MAX = 1 << 30, QUIET_MS = 1000 };

struct exchange {
    const char *sink;
    const char *method;
    const char *path;
    struct weir_bytes body;
};

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
        bool answered = status == WEIR_OK && reply.failure == WEIR_TRANSPORT_ANSWERED;
        (void)fprintf(stderr, "weir-load: sink %s %s: %d %.200s\n", exchange->method, url,
                      reply.status, answered || reply.message == NULL ? "" : reply.message);
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

/* Points that have arrived, without repetitions that nobody could avoid; -1: no answer. */
static int64_t arrived(const struct weir_transport *transport, const char *sink)
{
    const struct exchange exchange = {sink, "GET", "/accounts", {NULL, 0}};
    uint8_t text[WEIR_TRANSPORT_BODY_MAX];
    struct weir_bytes answer;
    struct weir_bytes name;
    struct weir_json json;
    int64_t points = -1;
    int64_t repeated = 0;
    if (!ask(transport, &exchange, &answer) || answer.size == 0) {
        return -1;
    }
    memcpy(text, answer.data, answer.size);
    weir_json_init(&json, text, answer.size, 8);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &name)) {
        if (weir_bytes_eq(name, WEIR_BYTES("points"))) {
            points = weir_json_int64(&json);
        } else if (weir_bytes_eq(name, WEIR_BYTES("repeated"))) {
            repeated = weir_json_int64(&json);
        } else {
            weir_json_skip(&json);
        }
    }
    return weir_json_finish(&json) == WEIR_OK ? points - repeated : -1;
}

/* All that was promised, and then nothing for a moment (a duplicate comes late); or nothing new for
 * the settling time. */
static void await(const struct weir_load_options *options, const struct weir_transport *transport,
                  const char *sink, uint64_t promised)
{
    int64_t last = -1;
    int64_t changed_ns = weir_clock_mono_ns();
    int64_t quiet_ns = QUIET_MS * WEIR_NS_PER_MS;
    quiet_ns = quiet_ns < options->settle_ns ? quiet_ns : options->settle_ns;
    unsigned interrupts = weir_load_interrupts();
    while (weir_load_interrupts() == interrupts) {
        int64_t now = arrived(transport, sink);
        int64_t now_ns = weir_clock_mono_ns();
        if (now != last) {
            last = now;
            changed_ns = now_ns;
        }
        bool all = now >= 0 && (uint64_t)now >= promised;
        if (now < 0 || now_ns - changed_ns >= (all ? quiet_ns : options->settle_ns)) {
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
        if (ask(&transport, &exchange, &answer) && !read_verdict(answer, &verdicts[i])) {
            (void)fprintf(stderr, "weir-load: sink %s: its verdict cannot be read\n",
                          options->sinks[i]);
        }
        good = good && verdicts[i].told && verdicts[i].exactly_once;
    }
    transport.free(transport.self);
    weir_buf_done(&ranges);
    return good;
}
