/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The largest head and body, through everything that stands in the way.
 *
 *   head  common attributes up to 50 x (256 + 1024) characters, and a header of our own that stands
 *         for what a key of 4096 bytes would have more than the one in use
 *   body  64 MiB before compression, with gzip; with is_large also without, and a third larger:
 *         what base64 makes of 64 MiB, should Firehose count what it was given
 *
 * Where the largest does not pass, smaller ones are tried, each half of the one before, so that the
 * finding says what does: a limit of 1 MiB is nginx's own, one of 16 KiB a balancer's.
 *
 *   I1  at most STEPS_MAX tries follow a failure; after a timeout none
 *   I2  bodies are made one at a time and freed: twice the largest in memory, no more
 *
 * A server that refuses a body before its end may close while it is being sent, and the answer is
 * lost to the reset. Then the same is asked with Expect: 100-continue, which gives it the time to
 * say so. One thread.
 */
#include "probe_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <stdio.h>

enum {
    STEPS_MAX = 7,
    HEAD_OTHER = 450, /* the request line, and the headers that are always there */
    HEAD_KEY_SHARE = 4,
    ATTRIBUTES_MIN = 128,
    TELL_SIZE = 300,
    BODY_SLACK = 4096
};

#define LOST_413 "At a 413 Firehose drops the data for good, without a retry and without S3"
#define AGAIN    "Firehose would repeat it until its retry duration is over, then leave it in S3"

struct attempt {
    struct weir_probe_answer answer;
    size_t sent;
    char words[TELL_SIZE];
};

/* "64 MiB", "68800 bytes" */
static void size_words(size_t size, char *out, size_t out_size)
{
    if (size >= (1 << 20) && size % (1 << 19) == 0) {
        (void)snprintf(out, out_size, "%.4g MiB", (double)size / (1 << 20));
    } else if (size >= 1024 && size % 1024 == 0) {
        (void)snprintf(out, out_size, "%zu KiB", size / 1024);
    } else {
        (void)snprintf(out, out_size, "%zu bytes", size);
    }
}

static int finish(struct weir_probe *probe, const struct weir_probe_request *request,
                  struct attempt *attempt)
{
    struct weir_buf words = weir_buf_fixed(attempt->words, sizeof attempt->words - 1);
    weir_probe_ask(probe, request, &attempt->answer);
    attempt->sent = request->body.size;
    memset(attempt->words, 0, sizeof attempt->words);
    weir_probe_tell(&attempt->answer, request->id, &words);
    return attempt->answer.status;
}

static bool is_timeout(const struct weir_probe *probe, const struct attempt *attempt)
{
    return attempt->answer.status == 0 && attempt->answer.duration_ns >= probe->options->timeout_ns;
}

/* ---- the head ---- */

static int try_head(struct weir_probe *probe, size_t size, struct attempt *attempt)
{
    char id[WEIR_PROBE_ID_SIZE];
    const char *key = probe->options->key;
    size_t key_size = key == NULL ? 0 : strlen(key);
    size_t largest =
        size / HEAD_KEY_SHARE < WEIR_PROBE_KEY_MAX ? size / HEAD_KEY_SHARE : WEIR_PROBE_KEY_MAX;
    size_t padding = largest > key_size ? largest - key_size : 0;
    size_t others = padding + key_size + HEAD_OTHER; /* a long key may be more than a small head */
    struct weir_buf body = weir_buf_grow_init(BODY_SLACK);
    weir_probe_id(id);
    weir_probe_body(&body, id, probe->metric, 0);
    const struct weir_probe_request request = {
        .method = "POST",
        .id = id,
        .key = key,
        .padding = padding,
        .attributes = size > others + ATTRIBUTES_MIN ? size - others : ATTRIBUTES_MIN,
        .body = weir_buf_view(&body),
    };
    int status = finish(probe, &request, attempt);
    weir_buf_done(&body);
    return status;
}

static void say_head(struct weir_probe *probe, const struct attempt *attempt, size_t passes)
{
    char largest[32];
    char passing[32] = "none that was tried";
    size_words(probe->options->head_bytes, largest, sizeof largest);
    if (passes > 0) {
        size_words(passes, passing, sizeof passing);
    }
    weir_probe_say(probe, WEIR_PROBE_FAIL, "largest head",
                   "%s for %s; passes: %s. %s. Raise the head limits on the way (nginx "
                   "large_client_header_buffers 4 128k, HAProxy tune.bufsize 131072), or, if your "
                   "stream has few common attributes, look again with --head",
                   attempt->words, largest, passing,
                   attempt->answer.status == 413 ? LOST_413 : AGAIN);
}

static void check_head(struct weir_probe *probe)
{
    struct attempt first;
    struct attempt smaller;
    char words[32];
    size_t passes = 0;
    size_t size = probe->options->head_bytes;
    size_words(size, words, sizeof words);
    if (try_head(probe, size, &first) == 200) {
        weir_probe_say(probe, WEIR_PROBE_OK, "largest head", "%s of headers: %s", words,
                       first.words);
        return;
    }
    for (size_t step = (size_t)64 << 10; passes == 0 && step >= WEIR_PROBE_HEAD_MIN; step /= 2) {
        if (step < size && !is_timeout(probe, &first) && try_head(probe, step, &smaller) == 200) {
            passes = step;
        }
    }
    say_head(probe, &first, passes);
}

/* ---- the body ---- */

struct shape {
    const char *what;
    size_t size;
    bool is_gzip;
    enum weir_probe_level worst;
};

/* Sends a body of this size; its status, or -1 when there is no memory for it. */
static int try_body(struct weir_probe *probe, size_t size, bool is_gzip, struct attempt *attempt)
{
    char id[WEIR_PROBE_ID_SIZE];
    uint8_t *packed = NULL;
    size_t packed_size = 0;
    struct weir_buf body = weir_buf_grow_init(size + BODY_SLACK);
    weir_probe_id(id);
    (void)weir_buf_reserve(&body, size + 1); /* at once, instead of by doubling */
    weir_probe_body(&body, id, probe->metric, size);
    struct weir_bytes bytes = weir_buf_view(&body);
    if (is_gzip && !body.failed) {
        packed = weir_probe_gzip(bytes, &packed_size);
        bytes = weir_bytes_of(packed, packed_size);
    }
    int status = -1;
    if (!body.failed && (packed != NULL || !is_gzip)) {
        struct weir_probe_request request = {.method = "POST",
                                             .id = id,
                                             .key = probe->options->key,
                                             .is_gzip = is_gzip,
                                             .body = bytes};
        status = finish(probe, &request, attempt);
        if (status == 0 && !is_timeout(probe, attempt)) {
            request.expects_100 = true;
            status = finish(probe, &request, attempt);
        }
    }
    weir_mem_free(packed);
    weir_buf_done(&body);
    return status;
}

/* The largest of ever smaller bodies that passes; 0 when none does. */
static size_t find_passing(struct weir_probe *probe, const struct shape *shape)
{
    struct attempt attempt;
    size_t size = shape->size;
    for (int step = 0; step < STEPS_MAX && size / 2 >= WEIR_PROBE_BODY_MIN; step++) {
        size /= 2;
        int status = try_body(probe, size, shape->is_gzip, &attempt);
        if (status == 200) {
            return size;
        }
        if (status < 0 || is_timeout(probe, &attempt)) {
            return 0;
        }
    }
    return 0;
}

static void say_body(struct weir_probe *probe, const struct shape *shape,
                     const struct attempt *attempt)
{
    char largest[32];
    char passing[32] = "none that was tried";
    size_t passes = is_timeout(probe, attempt) ? 0 : find_passing(probe, shape);
    size_words(shape->size, largest, sizeof largest);
    if (passes > 0) {
        size_words(passes, passing, sizeof passing);
    }
    bool is_413 = attempt->answer.status == 413;
    weir_probe_say(probe, is_413 ? WEIR_PROBE_FAIL : shape->worst, shape->what,
                   "%s for %s; passes: %s. %s. Raise the body limit of whatever stands in the way "
                   "(nginx: client_max_body_size 0), and its timeouts",
                   attempt->words, largest, passing, is_413 ? LOST_413 : AGAIN);
}

static void check_body(struct weir_probe *probe, const struct shape *shape)
{
    struct attempt attempt;
    char words[32];
    char sent[48];
    size_words(shape->size, words, sizeof words);
    int status = try_body(probe, shape->size, shape->is_gzip, &attempt);
    if (status < 0) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, shape->what, "no memory here for %s", words);
    } else if (status == 200) {
        (void)snprintf(sent, sizeof sent, " (%zu bytes compressed)", attempt.sent);
        weir_probe_say(probe, WEIR_PROBE_OK, shape->what, "%s%s: %s", words,
                       shape->is_gzip ? sent : "", attempt.words);
    } else {
        say_body(probe, shape, &attempt);
    }
}

void weir_probe_check_sizes(struct weir_probe *probe)
{
    size_t size = probe->options->body_bytes;
    const struct shape packed = {"largest body", size, true, WEIR_PROBE_FAIL};
    const struct shape plain = {"largest body, plain", size, false, WEIR_PROBE_FAIL};
    const struct shape third = {"largest body, base64", size + size / 3 + (size / 3) % 2, true,
                                WEIR_PROBE_WARN};
    check_head(probe);
    check_body(probe, &packed);
    if (probe->options->is_large) {
        check_body(probe, &plain);
        check_body(probe, &third);
    }
}
