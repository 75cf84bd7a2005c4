/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OAuth 2.0 client credentials: when a token is fetched, and which one is handed out.
 *
 *            refresh_ns (jittered)     good_ns = end - buffer         end_ns
 *   fetched ──┼──────────────────────────┼──────────────────────────────┼──►
 *   handed out ..........................│ only while a newer one cannot│ never
 *                                        │ be had                       │
 *
 * Edges, and who takes them:
 *   none, fresh, waiting -> fetching   weir_oauth_poll
 *   fetching -> fresh                  install
 *   fetching -> waiting                fail; AUTO: at once in the next style (try_next_style)
 *   fresh    -> none, waiting          weir_oauth_rejected, when the token is the one rejected
 *
 *   I1  `fetching` is set exactly while a call is made and its reply has not come
 *   I2  good_ns <= end_ns, and refresh_ns <= good_ns but for MIN_INTERVAL_NS, which comes first
 *   I3  a header is wiped before its memory is given back, whatever becomes of it
 *   I4  `trouble` is made of our own words, the server's status, names of files, and the
 *       transport's message: none of them has seen a secret
 *
 * A token's life counts from when it was asked for, not from when it came: the server's clock began
 * in between. The buffer is at most half a life, or a server that gives five minutes would be asked
 * without end. Weirs that were started together do not ask together: each refreshes up to a tenth
 * of the good time (a minute at most) earlier than it must.
 *
 * AUTO probes as most clients do: Basic, and when that is refused, the same in the body; then, if
 * it makes a difference, Basic without escaping. What gives the first token is kept for good. When
 * all are refused they count as one failure. An answer
 * that only asks for patience (429, 502 to 504) and no answer at all say nothing about the style.
 *
 * Rejections (401 from the backend). The first one fetches at once, since a revoked token is the
 * likely reason; where a backend rejects what it had accepted, over and over, no more often than
 * each QUICK_NS. A token that is rejected although it is newer than a rejection, and none has been
 * accepted since, will not be cured by another: then the wait runs, doubled each time.
 *
 * Tried and dropped: a token handed out strictly until `good_ns` while the next one is fetched. The
 * backend takes it for the whole buffer, and to hold batches for a slow token server's sake is to
 * make its trouble ours.
 *
 * Does no I/O but reading the files with secrets, at each request, so that they can be replaced
 * without a restart. One thread.
 */
#include "oauth_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rand.h"
#include <stdio.h>

#define WAIT_FIRST_NS   WEIR_NS_PER_S
#define WAIT_MAX_NS     (60 * WEIR_NS_PER_S)
#define ASKED_MAX_NS    (3600 * WEIR_NS_PER_S) /* a longer Retry-After is not believed */
#define MIN_INTERVAL_NS WEIR_NS_PER_S          /* between two requests that nobody forces */
#define QUICK_NS        (5 * WEIR_NS_PER_S)
#define AHEAD_MAX_NS    (60 * WEIR_NS_PER_S)

#define LEAD "Authorization: Bearer "

enum { DOUBLINGS_MAX = 6 }; /* 1 s x 2^6 is past the longest wait */

struct weir_oauth {
    const struct weir_oauth_options *options;
    struct weir_rand rand;
    enum weir_oauth_style style; /* of the next request; never AUTO */
    bool style_is_known;
    bool is_plain; /* the last request's credentials need no escaping */

    char *header; /* "Authorization: Bearer ...", or NULL */
    size_t header_size;
    int64_t refresh_ns, good_ns, end_ns;

    struct weir_oauth_call call;
    bool fetching;
    int64_t begun_ns;
    int64_t next_ns;     /* no request before it */
    int64_t quick_ns;    /* no further request without a wait before it */
    uint32_t failures;   /* requests without a token, in a row */
    uint32_t rejections; /* tokens rejected, in a row */
    char trouble[WEIR_OAUTH_TROUBLE_MAX];
};

/* a + b for b >= 0, where INT64_MAX is never. */
static int64_t later(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum weir_status weir_oauth_new(const struct weir_oauth_options *options, uint64_t seed,
                                struct weir_oauth **ret)
{
    struct weir_oauth *oauth = weir_mem_zalloc(1, sizeof(*oauth));
    if (oauth == NULL) {
        return WEIR_ENOMEM;
    }
    oauth->options = options;
    oauth->style_is_known = options->style != WEIR_OAUTH_AUTO;
    oauth->style = oauth->style_is_known ? options->style : WEIR_OAUTH_BASIC;
    oauth->next_ns = INT64_MIN;
    oauth->quick_ns = INT64_MIN;
    weir_rand_init(&oauth->rand, seed);
    *ret = oauth;
    return WEIR_OK;
}

static void drop_token(struct weir_oauth *oauth)
{
    if (oauth->header != NULL) {
        explicit_bzero(oauth->header, oauth->header_size);
        weir_mem_free(oauth->header);
        oauth->header = NULL;
    }
}

void weir_oauth_free(struct weir_oauth *oauth)
{
    if (oauth == NULL) {
        return;
    }
    drop_token(oauth);
    weir_oauth_call_wipe(&oauth->call);
    weir_mem_free(oauth);
}

/* -- waiting ------------------------------------------------------------------------------- */

/* The wait after `count` failures: doubled each time, 3/4 to 5/4 of it. */
static int64_t wait_after(struct weir_oauth *oauth, uint32_t count)
{
    uint32_t doublings = count > DOUBLINGS_MAX ? DOUBLINGS_MAX : count - 1;
    int64_t wait_ns = min_of(WAIT_FIRST_NS << doublings, WAIT_MAX_NS);
    return (int64_t)((double)wait_ns * (0.75 + weir_rand_unit(&oauth->rand) / 2));
}

static void fail(struct weir_oauth *oauth, int64_t now_ns, int64_t asked_ns)
{
    oauth->failures += oauth->failures < UINT32_MAX;
    int64_t wait_ns = max_of(wait_after(oauth, oauth->failures), min_of(asked_ns, ASKED_MAX_NS));
    oauth->next_ns = max_of(oauth->next_ns, later(now_ns, wait_ns));
    if (!oauth->style_is_known) {
        oauth->style = WEIR_OAUTH_BASIC;
    }
}

/* When the next request is due. */
static int64_t due_ns(const struct weir_oauth *oauth)
{
    return oauth->header == NULL ? oauth->next_ns : max_of(oauth->refresh_ns, oauth->next_ns);
}

enum weir_status weir_oauth_poll(struct weir_oauth *oauth, int64_t now_ns,
                                 enum weir_oauth_todo *ret_todo,
                                 struct weir_transport_request *ret_request, int64_t *ret_wake_ns)
{
    if (oauth->fetching || now_ns < due_ns(oauth)) {
        *ret_todo = WEIR_OAUTH_NOTHING;
        *ret_wake_ns = oauth->fetching ? INT64_MAX : due_ns(oauth);
        return WEIR_OK;
    }
    enum weir_status status =
        weir_oauth_call_make(oauth->options, oauth->style, &oauth->call, oauth->trouble);
    if (status != WEIR_OK) {
        fail(oauth, now_ns, 0);
        return status;
    }
    oauth->call.target = (struct weir_transport_target){
        .url = oauth->options->token_url,
        .ca_file = oauth->options->ca_file,
        .proxy = oauth->options->proxy,
        .no_proxy = oauth->options->no_proxy,
        .min_tls = oauth->options->min_tls,
        .allow_link_local = oauth->options->allow_link_local,
        .headers = oauth->call.headers,
        .timeout_ns = oauth->options->timeout_ns,
    };
    oauth->is_plain = oauth->call.is_plain;
    oauth->fetching = true;
    oauth->begun_ns = now_ns;
    *ret_todo = WEIR_OAUTH_FETCH;
    *ret_request =
        (struct weir_transport_request){.target = &oauth->call.target, .body = oauth->call.body};
    *ret_wake_ns = INT64_MAX;
    return WEIR_OK;
}

/* -- replies ------------------------------------------------------------------------------- */

static enum weir_oauth_outcome refused(struct weir_oauth *oauth, int64_t now_ns, int status,
                                       const char *why)
{
    (void)snprintf(oauth->trouble, sizeof(oauth->trouble), "the token server answered %d%s%s",
                   status, why[0] == '\0' ? "" : ": ", why);
    fail(oauth, now_ns, 0);
    return WEIR_OAUTH_REFUSED;
}

/* Whether an answer asks for patience only. */
static bool is_busy(int status)
{
    return status == 429 || (status >= 502 && status <= 504);
}

/* After a refusal, while it is not known which style is right. */
static bool try_next_style(struct weir_oauth *oauth, int status)
{
    bool has_next =
        oauth->style == WEIR_OAUTH_BASIC || (oauth->style == WEIR_OAUTH_BODY && !oauth->is_plain);
    if (oauth->style_is_known || !has_next || is_busy(status)) {
        return false;
    }
    oauth->style = oauth->style == WEIR_OAUTH_BASIC ? WEIR_OAUTH_BODY : WEIR_OAUTH_BASIC_PLAIN;
    return true;
}

static void set_times(struct weir_oauth *oauth, int64_t life_ns)
{
    oauth->end_ns = later(oauth->begun_ns, life_ns);
    if (life_ns == INT64_MAX) {
        oauth->end_ns = INT64_MAX;
        oauth->good_ns = INT64_MAX;
        oauth->refresh_ns = INT64_MAX;
        return;
    }
    int64_t buffer_ns = min_of(max_of(oauth->options->expiry_buffer_ns, 0), life_ns / 2);
    int64_t good_ns = life_ns - buffer_ns;
    int64_t ahead_ns = min_of(good_ns / 10, AHEAD_MAX_NS);
    int64_t early_ns = (int64_t)((double)ahead_ns * weir_rand_unit(&oauth->rand));
    oauth->good_ns = later(oauth->begun_ns, good_ns);
    oauth->refresh_ns = max_of(oauth->good_ns - early_ns, later(oauth->begun_ns, MIN_INTERVAL_NS));
}

/* Makes the answer's token the one that is handed out. */
static enum weir_status install(struct weir_oauth *oauth, const struct weir_oauth_answer *answer)
{
    size_t lead = sizeof(LEAD) - 1;
    char *header = weir_mem_alloc(lead + answer->token.size + 1);
    if (header == NULL) {
        return WEIR_ENOMEM;
    }
    memcpy(header, LEAD, lead);
    memcpy(header + lead, answer->token.data, answer->token.size);
    header[lead + answer->token.size] = '\0';
    drop_token(oauth);
    oauth->header = header;
    oauth->header_size = lead + answer->token.size + 1;
    set_times(oauth, answer->life_ns);
    return WEIR_OK;
}

/* Reads a 2xx in `text`, which is a copy. What is wrong, or NULL: the token is installed. */
static const char *take_token(struct weir_oauth *oauth, uint8_t *text, size_t size, int64_t now_ns)
{
    struct weir_oauth_answer answer;
    const char *why;
    if (weir_oauth_answer_read(text, size, &answer, &why) != WEIR_OK) {
        return why;
    }
    if (answer.life_ns <= now_ns - oauth->begun_ns) {
        return "the token was over before it came";
    }
    if (install(oauth, &answer) != WEIR_OK) {
        return "no memory for the token";
    }
    oauth->style_is_known = true;
    oauth->failures = 0;
    oauth->trouble[0] = '\0';
    return NULL;
}

static enum weir_oauth_outcome answered(struct weir_oauth *oauth,
                                        const struct weir_transport_reply *reply, uint8_t *text,
                                        int64_t now_ns)
{
    size_t size = reply->body.size;
    const char *why = "";
    if (size >= WEIR_TRANSPORT_BODY_MAX) {
        why = "the answer is too long";
    } else if (reply->status >= 200 && reply->status < 300) {
        why = take_token(oauth, text, size, now_ns);
        if (why == NULL) {
            return WEIR_OAUTH_TOKEN;
        }
    } else {
        why = weir_oauth_error_read(text, size);
    }
    if (!try_next_style(oauth, reply->status)) {
        enum weir_oauth_outcome outcome = refused(oauth, now_ns, reply->status, why);
        oauth->next_ns = max_of(
            oauth->next_ns, later(now_ns, min_of(max_of(reply->retry_after_ns, 0), ASKED_MAX_NS)));
        return outcome;
    }
    return WEIR_OAUTH_REFUSED;
}

enum weir_oauth_outcome weir_oauth_reply(struct weir_oauth *oauth,
                                         const struct weir_transport_reply *reply, int64_t now_ns)
{
    WEIR_ASSERT(oauth->fetching);
    oauth->fetching = false;
    weir_oauth_call_wipe(&oauth->call);
    if (reply->failure != WEIR_TRANSPORT_ANSWERED) {
        (void)snprintf(oauth->trouble, sizeof(oauth->trouble),
                       "no answer from the token server: %s",
                       reply->message == NULL ? "" : reply->message);
        fail(oauth, now_ns, 0);
        return WEIR_OAUTH_UNREACHED;
    }
    uint8_t *text = weir_mem_alloc(reply->body.size + 1); /* the reader rewrites */
    if (text == NULL) {
        return refused(oauth, now_ns, reply->status, "no memory for the answer");
    }
    if (reply->body.size > 0) {
        memcpy(text, reply->body.data, reply->body.size);
    }
    enum weir_oauth_outcome outcome = answered(oauth, reply, text, now_ns);
    explicit_bzero(text, reply->body.size);
    weir_mem_free(text);
    return outcome;
}

/* -- the token ----------------------------------------------------------------------------- */

const char *weir_oauth_header(struct weir_oauth *oauth, int64_t now_ns)
{
    if (oauth->header == NULL) {
        return NULL;
    }
    if (now_ns >= oauth->end_ns) {
        oauth->next_ns = max_of(oauth->next_ns, oauth->refresh_ns); /* I2, also without a token */
        drop_token(oauth);
        return NULL;
    }
    bool is_sought = oauth->fetching || oauth->failures > 0 || now_ns < due_ns(oauth);
    return now_ns < oauth->good_ns || is_sought ? oauth->header : NULL;
}

/* Whether `header` is the one that is handed out now. */
static bool is_current(const struct weir_oauth *oauth, const char *header)
{
    return oauth->header != NULL && strcmp(oauth->header, header) == 0;
}

bool weir_oauth_rejected(struct weir_oauth *oauth, const char *header, int64_t now_ns)
{
    if (!is_current(oauth, header)) {
        return oauth->header != NULL || oauth->fetching || now_ns >= oauth->next_ns;
    }
    drop_token(oauth);
    oauth->rejections += oauth->rejections < UINT32_MAX;
    if (oauth->rejections > 1) {
        (void)snprintf(oauth->trouble, sizeof(oauth->trouble), "the backend rejected the token");
        int64_t wait_ns = wait_after(oauth, oauth->rejections - 1);
        oauth->next_ns = max_of(oauth->next_ns, later(now_ns, wait_ns));
        return oauth->fetching;
    }
    oauth->next_ns = max_of(oauth->next_ns, oauth->quick_ns);
    oauth->quick_ns = later(max_of(now_ns, oauth->next_ns), QUICK_NS);
    return oauth->fetching || oauth->next_ns <= now_ns;
}

void weir_oauth_accepted(struct weir_oauth *oauth, const char *header)
{
    if (is_current(oauth, header)) {
        oauth->rejections = 0;
    }
}

const char *weir_oauth_trouble(const struct weir_oauth *oauth)
{
    return oauth->trouble;
}
