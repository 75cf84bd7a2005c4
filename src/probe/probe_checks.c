/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests: a delivery as Firehose makes it, then one thing after the other that it, a balancer
 * or a stranger may do differently.
 *
 *   delivery ─► (no answer, or refused: the rest makes no sense)
 *     └► answer's form ─► clock ─► keys ─► errors ─► gzip ─► damage ─► repetition ─► keep-alive
 *        ─► GET, 100-continue, chunks ─► sizes (probe_sizes.c)
 *
 * A status is judged by what Firehose makes of it: only 200 is success, 413 drops the data for
 * good, everything else is repeated until the retry duration is over and then goes to S3.
 *
 *   I1  after 200 to an empty delivery no other request carries a metric, but the one that was
 *       asked for
 *   I2  no request is sent twice by us unless that is the check
 *
 * One thread.
 */
#include "probe_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"

enum {
    BODY_SMALL = 4096,
    SLOW_MS = 60000,
    TELL_SIZE = 480,
    WRONG_KEY_SIZE = WEIR_PROBE_ID_SIZE,
    KEY_HIDDEN_MIN = 4
};

#define BODY_LIMIT ((size_t)64 << 10)
#define AGAIN      "Firehose would repeat it until its retry duration is over, then leave it in S3"

/* A valid small request, and the memory of its body. */
struct draft {
    struct weir_probe_request request;
    struct weir_probe_answer answer;
    struct weir_buf body;
    char id[WEIR_PROBE_ID_SIZE];
    char words[TELL_SIZE]; /* what came */
};

/* Stars where the answer repeats the key, before anything of it is cut and shown. */
static void hide_key(const char *key, struct weir_probe_answer *answer)
{
    size_t size = key == NULL ? 0 : strlen(key);
    uint8_t *at = answer->body;
    const uint8_t *end = answer->body + answer->body_size;
    while (size >= KEY_HIDDEN_MIN && (at = memmem(at, (size_t)(end - at), key, size)) != NULL) {
        memset(at, '*', size);
        at += size;
    }
}

void weir_probe_ask(struct weir_probe *probe, const struct weir_probe_request *request,
                    struct weir_probe_answer *ret)
{
    weir_probe_http_exchange(probe->http, request, ret);
    hide_key(probe->options->key, ret);
    probe->result.requests++;
    probe->result.bytes_sent += (uint64_t)(ret->sent > 0 ? ret->sent : 0);
    probe->result.points += ret->status == 200 && probe->metric != WEIR_PROBE_NO_METRIC ? 1 : 0;
}

void weir_probe_tell(struct weir_probe_answer *answer, const char *id, struct weir_buf *out)
{
    struct weir_probe_reply reply;
    long long ms = (long long)(answer->duration_ns / WEIR_NS_PER_MS);
    if (answer->status == 0) {
        weir_buf_printf(out, "no answer (%s)", answer->error[0] == 0 ? "cut" : answer->error);
        return;
    }
    weir_probe_reply_read(answer, id, &reply);
    weir_buf_printf(out, "%d after %lld ms", answer->status, ms);
    if (strncasecmp(answer->content_type, "text/html", 9) == 0) {
        weir_buf_printf(out, " (a web page: of something in front, not of the endpoint)");
    } else if (reply.message[0] != 0) {
        weir_buf_printf(out, " (%.120s)", reply.message);
    }
}

static void draft_begin(struct draft *draft, struct weir_probe *probe)
{
    *draft = (struct draft){.body = weir_buf_grow_init(BODY_LIMIT)};
    weir_probe_id(draft->id);
    weir_probe_body(&draft->body, draft->id, probe->metric, 0);
    draft->request = (struct weir_probe_request){
        .method = "POST",
        .id = draft->id,
        .key = probe->options->key,
        .body = weir_buf_view(&draft->body),
    };
}

/* Sends it; its status. The words are of the whole answer, which is read thereby. */
static int draft_send(struct draft *draft, struct weir_probe *probe)
{
    struct weir_buf words = weir_buf_fixed(draft->words, sizeof draft->words - 1);
    weir_probe_ask(probe, &draft->request, &draft->answer);
    memset(draft->words, 0, sizeof draft->words);
    weir_probe_tell(&draft->answer, draft->id, &words);
    return draft->answer.status;
}

static void draft_end(struct draft *draft)
{
    weir_buf_done(&draft->body);
}

/* Says that an answer is not what it should be, by its status: a 413 loses data wherever. */
static void say_status(struct weir_probe *probe, enum weir_probe_level level, const char *what,
                       const struct draft *draft, const char *advice)
{
    if (draft->answer.status == 413) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, what,
                       "%s: at a 413 Firehose drops the data for good, without a retry and without "
                       "S3. Answer 400 or 503 instead",
                       draft->words);
    } else {
        weir_probe_say(probe, level, what, "%s: %s", draft->words, advice);
    }
}

/* ---- the delivery ---- */

static void check_form(struct weir_probe *probe, struct draft *draft)
{
    char words[WEIR_PROBE_WORDS - 200] = "";
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    struct weir_probe_reply reply;
    int64_t now_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS;
    weir_probe_reply_read(&draft->answer, draft->id, &reply);
    enum weir_probe_level level = weir_probe_reply_judge(&draft->answer, &reply, now_ms, &why);
    words[why.size] = 0;
    if (level == WEIR_PROBE_OK) {
        weir_probe_say(probe, level, "answer",
                       "as Firehose wants it: requestId, timestamp, application/json, "
                       "Content-Length");
    } else {
        weir_probe_say(probe, level, "answer", "%s%s", words,
                       level == WEIR_PROBE_WARN
                           ? ""
                           : ": Firehose takes this 200 for a failure and sends it all again "
                             "(HttpEndpoint.InvalidResponseFromDestination). Mend the answer");
    }
}

static void check_clock(struct weir_probe *probe, const struct draft *draft)
{
    int64_t now_s = weir_clock_wall_ns() / WEIR_NS_PER_S;
    int64_t off_s = draft->answer.date_s - now_s;
    if (draft->answer.date_s < 0) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "clock", "the answer has no Date");
    } else if (off_s > WEIR_PROBE_CLOCK_SLACK_S || off_s < -WEIR_PROBE_CLOCK_SLACK_S) {
        weir_probe_say(probe, WEIR_PROBE_WARN, "clock",
                       "%lld s off ours: certificates and points are judged by it. Set both by NTP",
                       (long long)off_s);
    } else {
        weir_probe_say(probe, WEIR_PROBE_OK, "clock", "within %d s of ours",
                       WEIR_PROBE_CLOCK_SLACK_S);
    }
}

static void say_refused(struct weir_probe *probe, const struct draft *draft)
{
    int status = draft->answer.status;
    const char *advice = "only 200 is success; " AGAIN ". See the endpoint's own log";
    if (draft->answer.is_unverified) {
        advice = "libcurl does not trust it, though OpenSSL does: look at SSL_CERT_FILE, or say "
                 "--ca-file";
    } else if (status == 0 && draft->answer.duration_ns >= probe->options->timeout_ns) {
        advice = "Firehose waits 180 s, then gives up and sends it again "
                 "(HttpEndpoint.RequestTimeout). See what the endpoint waits for";
    } else if (status == 0) {
        advice = "the connection ended without an answer. " AGAIN;
    } else if (status >= 300 && status < 400) {
        advice = "Firehose follows no redirect. Give it the URL that this leads to";
    } else if (status == 401 || status == 403) {
        advice = probe->options->key == NULL
                     ? "it wants an access key. Give it in a file: --key-file, or WEIR_PROBE_KEY"
                     : "it does not know this key. Compare it with the endpoint's";
    } else if (status == 404 || status == 405) {
        advice = "nothing takes deliveries at this path. Compare the URL with the endpoint's";
    } else if (status == 400 && probe->options->metric == WEIR_PROBE_NO_METRIC) {
        advice = "if it only minds that there are no records (Firehose never sends that), look "
                 "again with --send-metric, which leaves a metric behind; else mend what it says";
    }
    say_status(probe, WEIR_PROBE_FAIL, "delivery", draft, advice);
    if (draft->answer.location[0] != 0) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "redirect", "it leads to %s",
                       draft->answer.location);
    }
}

/* One delivery, with what probe->metric says. */
static bool deliver(struct weir_probe *probe, struct draft *draft)
{
    draft_begin(draft, probe);
    int status = draft_send(draft, probe);
    return status == 200;
}

static void say_delivered(struct weir_probe *probe, const struct draft *draft)
{
    const char *how = probe->metric == WEIR_PROBE_NO_METRIC ? "an empty list of records"
                                                            : "one metric, weir.probe";
    bool is_slow = draft->answer.duration_ns / WEIR_NS_PER_MS > SLOW_MS;
    weir_probe_say(probe, is_slow ? WEIR_PROBE_WARN : WEIR_PROBE_OK, "delivery", "%s, %s%s",
                   draft->words, how,
                   is_slow ? ": slow; after 180 s Firehose gives up and sends it again" : "");
}

/* An empty one, or one with the metric where that is refused and allowed. */
static bool check_delivery(struct weir_probe *probe)
{
    struct draft draft;
    bool is_taken = deliver(probe, &draft);
    if (!is_taken && draft.answer.status == 400 && probe->options->metric != WEIR_PROBE_NO_METRIC) {
        draft_end(&draft);
        probe->metric = probe->options->metric;
        is_taken = deliver(probe, &draft);
    }
    if (is_taken) {
        say_delivered(probe, &draft);
        check_form(probe, &draft);
        check_clock(probe, &draft);
    } else {
        say_refused(probe, &draft);
    }
    draft_end(&draft);
    return is_taken;
}

/* The metric that was asked for, where the deliveries go without. */
static void check_metric(struct weir_probe *probe)
{
    struct draft draft;
    if (probe->options->metric == WEIR_PROBE_NO_METRIC || probe->metric != WEIR_PROBE_NO_METRIC) {
        return;
    }
    probe->metric = probe->options->metric;
    if (deliver(probe, &draft)) {
        weir_probe_say(probe, WEIR_PROBE_OK, "metric", "%s: look for weir.probe in Weir/Probe",
                       draft.words);
    } else {
        say_status(probe, WEIR_PROBE_FAIL, "metric", &draft,
                   "it takes no record of this format. " AGAIN);
    }
    draft_end(&draft);
    probe->metric = WEIR_PROBE_NO_METRIC;
}

/* ---- keys, and the form of errors ---- */

static void check_error_form(struct weir_probe *probe, struct draft *draft)
{
    char words[WEIR_PROBE_WORDS - 200] = "";
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    struct weir_probe_reply reply;
    int64_t now_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS;
    weir_probe_reply_read(&draft->answer, draft->id, &reply);
    bool is_good = weir_probe_reply_judge(&draft->answer, &reply, now_ms, &why) == WEIR_PROBE_OK;
    if (is_good) {
        weir_probe_say(probe, WEIR_PROBE_OK, "errors",
                       "the %d is as Firehose wants it, with the request's id",
                       draft->answer.status);
    } else {
        weir_probe_say(probe, WEIR_PROBE_WARN, "errors",
                       "the %d: %s. Firehose repeats it all the same, but what it logs will not "
                       "say why",
                       draft->answer.status, words);
    }
}

/* A key that is none, or no key at all (`key` NULL), which must be refused. */
static void check_key(struct weir_probe *probe, const char *what, const char *key, bool shows_form)
{
    struct draft draft;
    draft_begin(&draft, probe);
    draft.request.key = key;
    int status = draft_send(&draft, probe);
    if (status == 200) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, what,
                       "200: anybody on the internet can write here. Require the access key");
    } else if (status == 401) {
        weir_probe_say(probe, WEIR_PROBE_OK, what, "refused: %s", draft.words);
    } else if (status == 403) {
        weir_probe_say(probe, WEIR_PROBE_WARN, what,
                       "refused: %s; 401 would tell a wrong key from a firewall", draft.words);
    } else {
        say_status(probe, WEIR_PROBE_WARN, what, &draft,
                   "not taken, but 401 would tell the operator what is wrong");
    }
    if (shows_form && status >= 400) {
        check_error_form(probe, &draft);
    }
    draft_end(&draft);
}

static void check_keys(struct weir_probe *probe)
{
    char wrong[WRONG_KEY_SIZE];
    weir_probe_id(wrong);
    check_key(probe, "wrong key", wrong, true);
    if (probe->options->key != NULL) {
        check_key(probe, "no key", NULL, false);
    } else {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "no key",
                       "200: the delivery above had none, so anybody on the internet can write "
                       "here. Require an access key");
    }
}

/* ---- encodings and damage ---- */

static void check_gzip(struct weir_probe *probe)
{
    struct draft draft;
    size_t size = 0;
    draft_begin(&draft, probe);
    uint8_t *small = weir_probe_gzip(draft.request.body, &size);
    draft.request.is_gzip = true;
    draft.request.body = weir_bytes_of(small, size);
    if (small == NULL) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "gzip", "out of memory");
    } else if (draft_send(&draft, probe) == 200) {
        weir_probe_say(probe, WEIR_PROBE_OK, "gzip", "%s", draft.words);
    } else {
        say_status(probe, WEIR_PROBE_FAIL, "gzip", &draft,
                   "a stream with content encoding GZIP could not deliver. " AGAIN);
    }
    weir_mem_free(small);
    draft_end(&draft);
}

/* What was damaged on the way must not be taken: it is whole at Firehose, who can send it again. */
static void check_damaged(struct weir_probe *probe, const char *what, struct weir_bytes body,
                          bool is_gzip)
{
    struct draft draft;
    draft_begin(&draft, probe);
    draft.request.is_gzip = is_gzip;
    draft.request.body = body;
    int status = draft_send(&draft, probe);
    if (status == 200) {
        weir_probe_say(probe, WEIR_PROBE_WARN, what,
                       "200: data that is damaged on the way is lost without a word. Answer 400");
    } else if (status >= 400 && status != 413) {
        weir_probe_say(probe, WEIR_PROBE_OK, what, "refused: %s", draft.words);
    } else {
        say_status(probe, WEIR_PROBE_WARN, what, &draft, "400 would tell what is wrong");
    }
    draft_end(&draft);
}

static void check_damage(struct weir_probe *probe)
{
    struct draft draft;
    size_t size = 0;
    draft_begin(&draft, probe);
    struct weir_bytes whole = draft.request.body;
    check_damaged(probe, "damaged JSON", weir_bytes_of(whole.data, whole.size - 2), false);
    uint8_t *small = weir_probe_gzip(whole, &size);
    if (small == NULL) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "damaged gzip", "out of memory");
    } else {
        small[size - 8] ^= 0xff; /* the checksum */
        check_damaged(probe, "damaged gzip", weir_bytes_of(small, size), true);
    }
    weir_mem_free(small);
    draft_end(&draft);
}

/* ---- how Firehose and balancers go about it ---- */

static void check_repeat(struct weir_probe *probe)
{
    struct draft draft;
    draft_begin(&draft, probe);
    int first = draft_send(&draft, probe);
    int second = draft_send(&draft, probe);
    if (first == 200 && second == 200) {
        weir_probe_say(probe, WEIR_PROBE_OK, "repetition",
                       "the same request twice: 200 both times");
    } else {
        say_status(probe, WEIR_PROBE_FAIL, "repetition", &draft,
                   "of the same request twice. Firehose repeats what it had no answer to, and must "
                   "be told 200 in the end; " AGAIN);
    }
    if (second != 0 && draft.answer.connections == 0) {
        weir_probe_say(probe, WEIR_PROBE_OK, "keep-alive", "two requests over one connection");
    } else {
        weir_probe_say(probe, WEIR_PROBE_WARN, "keep-alive",
                       "the connection ended after one request: each delivery costs a handshake. "
                       "Allow keep-alive");
    }
    draft_end(&draft);
}

static void check_get(struct weir_probe *probe)
{
    struct draft draft;
    draft_begin(&draft, probe);
    draft.request.method = "GET";
    draft.request.key = NULL;
    int status = draft_send(&draft, probe);
    bool is_harmless = status != 0 && status != 413;
    weir_probe_say(probe, is_harmless ? WEIR_PROBE_OK : WEIR_PROBE_WARN, "GET", "%d%s", status,
                   is_harmless ? ", harmless" : ": 405 would do");
    draft_end(&draft);
}

static void check_expect(struct weir_probe *probe)
{
    struct draft draft;
    draft_begin(&draft, probe);
    draft.request.expects_100 = true;
    if (draft_send(&draft, probe) == 200) {
        weir_probe_say(probe, WEIR_PROBE_OK, "100-continue", "%s, %s", draft.words,
                       draft.answer.seen_100 ? "with 100 Continue before"
                                             : "without 100 Continue before");
    } else {
        say_status(probe, WEIR_PROBE_WARN, "100-continue", &draft,
                   "Firehose is not known to ask for it, balancers may");
    }
    draft_end(&draft);
}

static void check_chunked(struct weir_probe *probe)
{
    struct draft draft;
    draft_begin(&draft, probe);
    draft.request.is_chunked = true;
    if (draft_send(&draft, probe) == 200) {
        weir_probe_say(probe, WEIR_PROBE_OK, "chunked", "%s", draft.words);
    } else {
        say_status(probe, WEIR_PROBE_WARN, "chunked", &draft,
                   "Firehose sends Content-Length, but a balancer may make chunks of it");
    }
    draft_end(&draft);
}

void weir_probe_checks(struct weir_probe *probe)
{
    if (!check_delivery(probe)) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "the rest", "a plain delivery must pass first");
        return;
    }
    check_metric(probe);
    check_keys(probe);
    check_gzip(probe);
    check_damage(probe);
    check_repeat(probe);
    check_get(probe);
    check_expect(probe);
    check_chunked(probe);
    weir_probe_check_sizes(probe);
}
