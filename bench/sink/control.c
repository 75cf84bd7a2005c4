/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control paths: what a test asks of the receiver beside its batches.
 *
 *   GET  /healthz    ok
 *   GET  /accounts   JSON: what has come
 *   PUT  /world      the options of the made-up world, as JSON; empties the accounts
 *   PUT  /faults     a list of faults (sink/faults.h); an error says at which character
 *   POST /verdict    {"ranges":[[first,count,accepted,unsure],...]} ─► what is missing, and more
 *
 *   I1  a request that is refused changes nothing
 *
 * Runs on the loop that the request came in on, and holds up that loop only. Answers above BODY_MAX
 * do not occur: examples are bounded in number and size. Deliberately without a password: the
 * receiver is a test's own.
 */
#include "sink/control.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>

#define BODY_MAX ((size_t)1 << 20) /* of an answer */

static const char *reason_of(uint32_t code)
{
    switch (code) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 429: return "Too Many Requests";
    case 503: return "Service Unavailable";
    default: return "As Asked";
    }
}

void weir_sink_send(h2o_req_t *request, uint32_t code, const char *type, struct weir_bytes body)
{
    request->res.status = (int)code;
    request->res.reason = reason_of(code);
    h2o_add_header(&request->pool, &request->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type,
                   strlen(type));
    request->res.content_length = body.size;
    h2o_send_inline(request, body.size == 0 ? "" : (const char *)body.data, body.size);
}

static void answer_health(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    (void)ledger;
    (void)seed;
    weir_sink_send(request, 200, "text/plain", WEIR_BYTES("ok\n"));
}

static void answer_accounts(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    (void)seed;
    struct weir_buf out = weir_buf_grow_init(BODY_MAX);
    weir_sink_ledger_print(ledger, &out);
    weir_sink_send(request, out.failed ? 500 : 200, "application/json", weir_buf_view(&out));
    weir_buf_done(&out);
}

static void put_world(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    (void)seed;
    enum weir_status status = weir_sink_ledger_set_world(
        ledger, weir_bytes_of(request->entity.base, request->entity.len));
    bool is_other = status == WEIR_EUNSUPPORTED;
    const char *text = status == WEIR_OK ? "ok\n" : weir_status_text(status);
    if (is_other) {
        text = "weir-load and weir-sink are of different builds and would disagree on every point: "
               "use both of one";
    }
    weir_sink_send(request,
                   status == WEIR_OK ? 200
                   : is_other        ? 409
                                     : 400,
                   "text/plain", weir_bytes_str(text));
}

static void put_faults(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    char answer[160] = "ok\n";
    struct weir_faults faults;
    struct weir_faults_error error;
    char *text = weir_mem_text(request->entity.base, request->entity.len);
    WEIR_ASSERT(text != NULL);
    enum weir_status status = weir_faults_parse(text, seed, &faults, &error);
    if (status == WEIR_OK) {
        weir_sink_ledger_set_faults(ledger, &faults);
    } else {
        (void)snprintf(answer, sizeof answer, "at character %zu: %s\n", error.offset + 1,
                       error.what);
    }
    weir_mem_free(text);
    weir_sink_send(request, status == WEIR_OK ? 200 : 400, "text/plain", weir_bytes_str(answer));
}

static void answer_verdict(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    (void)seed;
    struct weir_buf out = weir_buf_grow_init(BODY_MAX);
    enum weir_status status = weir_sink_ledger_verdict(ledger, (uint8_t *)request->entity.base,
                                                       request->entity.len, &out);
    if (status == WEIR_OK && !out.failed) {
        weir_sink_send(request, 200, "application/json", weir_buf_view(&out));
    } else {
        weir_sink_send(request, status == WEIR_ENOTFOUND ? 409 : 400, "text/plain",
                       weir_bytes_str(status == WEIR_ENOTFOUND ? "no world, or not full accounts"
                                                               : weir_status_text(status)));
    }
    weir_buf_done(&out);
}

static const struct {
    const char *method;
    const char *path;
    void (*answer)(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed);
} paths[] = {
    {"GET", "/healthz", answer_health},   {"GET", "/accounts", answer_accounts},
    {"PUT", "/world", put_world},         {"PUT", "/faults", put_faults},
    {"POST", "/verdict", answer_verdict},
};

void weir_sink_control(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed)
{
    struct weir_bytes path = weir_bytes_of(request->path.base, request->path.len);
    struct weir_bytes method = weir_bytes_of(request->method.base, request->method.len);
    uint32_t code = weir_bytes_eq(path, WEIR_BYTES("/v1/metrics")) ? 405 : 404;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!weir_bytes_eq(path, weir_bytes_str(paths[i].path))) {
            continue;
        }
        if (weir_bytes_eq(method, weir_bytes_str(paths[i].method))) {
            paths[i].answer(request, ledger, seed);
            return;
        }
        code = 405;
    }
    weir_sink_send(request, code, "text/plain", weir_bytes_str(reason_of(code)));
}
