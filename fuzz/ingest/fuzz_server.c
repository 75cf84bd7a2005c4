/* SPDX-License-Identifier: Apache-2.0 */
/* The whole server, from a connection's bytes to its answers and the points in the ring. Input: one
 * byte of circumstances (server.h), one of how the rest is cut, the bytes that the peer sends.
 * Oracles: answers are as design has them; a plain reader of requests finds one for each 200, with
 * the id that is repeated; the points that came out are those that the decoder alone finds in the
 * bodies answered 200; nothing follows `Connection: close`; nothing is held afterwards. */
#include "../support/plain_http.h"
#include "../support/server.h"
#include "weir/panic.h"

enum { STREAM_MAX = 1 << 16 };

static uint64_t points_of(const struct plain_request *request, const struct plain_answer *answer)
{
    WEIR_ASSERT(request->is_post);
    WEIR_ASSERT(request->id.size == 0 || weir_bytes_eq(request->id, answer->id));
    return server_points(request->body, request->gzip, request->arn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct plain_request requests[PLAIN_REQUESTS_MAX];
    static uint8_t chunks[STREAM_MAX];
    if (size < 2 || size > STREAM_MAX) {
        return 0;
    }
    struct weir_bytes stream = weir_bytes_of(data + 2, size - 2);
    struct server_heard heard = server_play(data[0], data[1], stream);
    uint32_t count = plain_requests(stream, chunks, requests);
    struct plain_answer answer = {.closes = false};
    bool is_over = false;
    uint64_t points = 0;
    for (uint32_t i = 0; plain_answer(&heard.answers, &answer); i++) {
        WEIR_ASSERT(!is_over);
        is_over = answer.closes;
        WEIR_ASSERT(i < count || (i == count && answer.status != 200) || answer.is_health);
        if (answer.status == 200 && !answer.is_health) {
            points += points_of(&requests[i], &answer);
        }
    }
    bool all_heard = (data[0] & SERVER_HANGS_UP) == 0;
    WEIR_ASSERT(all_heard ? points == heard.points : points <= heard.points);
    return 0;
}
