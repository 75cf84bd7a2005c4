/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_TOKEN_SERVER_H
#define WEIR_TESTS_TOKEN_SERVER_H

#include "weir/clock.h"
#include "weir/oauth.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The other side of an OAuth state machine: a clock of our own, and answers by hand. */
#define SECOND WEIR_NS_PER_S

struct desk {
    struct weir_oauth *oauth;
    int64_t now_ns;
    int64_t wake_ns;
    struct weir_transport_request request; /* of the last FETCH */
    uint32_t fetches;
};

static const struct weir_oauth_options desk_defaults = {
    .token_url = "https://id.example/token",
    .client_id = "weir",
    .client_secret = "s3cret",
    .style = WEIR_OAUTH_BASIC,
    .timeout_ns = 10 * SECOND,
    .expiry_buffer_ns = 300 * SECOND,
};

static inline struct desk desk_open(const struct weir_oauth_options *options)
{
    struct desk desk = {.now_ns = 1000 * SECOND};
    assert_int_equal(weir_oauth_new(options, 7, &desk.oauth), WEIR_OK);
    return desk;
}

static inline void desk_close(struct desk *desk)
{
    weir_oauth_free(desk->oauth);
}

/* Whether there is something to fetch now. */
static inline bool desk_polls(struct desk *desk)
{
    enum weir_oauth_todo todo;
    assert_int_equal(
        weir_oauth_poll(desk->oauth, desk->now_ns, &todo, &desk->request, &desk->wake_ns), WEIR_OK);
    desk->fetches += todo == WEIR_OAUTH_FETCH;
    return todo == WEIR_OAUTH_FETCH;
}

static inline enum weir_oauth_outcome desk_answers(struct desk *desk, int status, const char *body)
{
    const struct weir_transport_reply reply = {.failure = WEIR_TRANSPORT_ANSWERED,
                                               .status = status,
                                               .retry_after_ns = -1,
                                               .body = weir_bytes_str(body)};
    return weir_oauth_reply(desk->oauth, &reply, desk->now_ns);
}

static inline const char *desk_header(struct desk *desk)
{
    return weir_oauth_header(desk->oauth, desk->now_ns);
}

/* Fetches, and is given `token` for an hour. */
static inline void desk_fetches(struct desk *desk, const char *token)
{
    char body[256];
    (void)snprintf(body, sizeof(body), "{\"access_token\":\"%s\",\"expires_in\":3600}", token);
    assert_true(desk_polls(desk));
    assert_int_equal(desk_answers(desk, 200, body), WEIR_OAUTH_TOKEN);
}

#endif
