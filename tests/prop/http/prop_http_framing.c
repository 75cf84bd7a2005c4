/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of body framing, over seeded random streams, sound ones and damaged ones:
 *   P1  what a sender chunks is what comes out, and the body ends exactly where the sender ended it
 *   P2  however the stream is cut, payload, end and status are the same as byte by byte
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support.h"
#include "weir/buf.h"
#include "weir/http_framing.h"

#define ROUNDS      2000
#define STREAM_MAX  16384
#define PAYLOAD_MAX 2048

struct outcome {
    enum weir_status status;
    uint64_t payload_bytes;
    uint64_t overhead_bytes;
    uint8_t payload[STREAM_MAX];
};

static const struct weir_http_head chunked = {.framing = WEIR_HTTP_CHUNKED};

/* Feeds `stream` in pieces of 1..`piece_max` bytes. */
static void run(struct weir_rand *rand, struct weir_bytes stream, size_t piece_max,
                struct outcome *ret)
{
    struct weir_http_body body;
    weir_http_body_init(&body, &chunked);
    ret->status = WEIR_EAGAIN;
    size_t payload_size = 0;
    for (size_t at = 0; at < stream.size && ret->status == WEIR_EAGAIN;) {
        size_t size = 1 + (size_t)weir_rand_below(rand, piece_max);
        size = size < stream.size - at ? size : stream.size - at;
        size_t consumed = size;
        struct weir_bytes payload = {NULL, 0};
        const char *reason = NULL;
        ret->status = weir_http_body_feed(&body, weir_bytes_of(stream.data + at, size), &consumed,
                                          &payload, &reason);
        if (payload.size > 0) {
            memcpy(ret->payload + payload_size, payload.data, payload.size);
        }
        payload_size += payload.size;
        at += consumed;
    }
    ret->payload_bytes = body.payload_bytes;
    ret->overhead_bytes = body.overhead_bytes;
    assert_int_equal(body.payload_bytes, payload_size);
}

static void put_chunk(struct weir_rand *rand, struct weir_buf *stream, struct weir_bytes data)
{
    static const char *const extensions[] = {"", "", ";a", ";name=\"quoted value\""};
    weir_buf_printf(stream, weir_rand_below(rand, 2) == 0 ? "%zx" : "%04zX", data.size);
    weir_buf_put(stream, weir_bytes_str(extensions[weir_rand_below(rand, 4)]));
    weir_buf_put(stream, WEIR_BYTES("\r\n"));
    weir_buf_put(stream, data);
    weir_buf_put(stream, WEIR_BYTES("\r\n"));
}

/* Chunks `payload` at random; chunks of 8 bytes and more stay clear of the limit on framing. */
static void put_body(struct weir_rand *rand, struct weir_buf *stream, struct weir_bytes payload)
{
    while (payload.size > 0) {
        size_t size = 8 + (size_t)weir_rand_below(rand, 200);
        size = size < payload.size ? size : payload.size;
        put_chunk(rand, stream, weir_bytes_of(payload.data, size));
        payload = weir_bytes_from(payload, size);
    }
    weir_buf_put(stream, WEIR_BYTES("0\r\n\r\n"));
}

static struct weir_bytes random_payload(struct weir_rand *rand, uint8_t *memory)
{
    size_t size = (size_t)weir_rand_below(rand, PAYLOAD_MAX);
    for (size_t i = 0; i < size; i++) {
        memory[i] = (uint8_t)weir_rand_u64(rand);
    }
    return weir_bytes_of(memory, size);
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(1);
    static struct outcome outcome;
    static uint8_t stream_memory[STREAM_MAX];
    static uint8_t payload_memory[PAYLOAD_MAX];
    for (int round = 0; round < ROUNDS; round++) {
        struct weir_buf stream = weir_buf_fixed(stream_memory, sizeof stream_memory);
        struct weir_bytes payload = random_payload(&rand, payload_memory);
        put_body(&rand, &stream, payload);
        size_t end = stream.size;
        weir_buf_put(&stream, WEIR_BYTES("POST / HTTP/1.1\r\n"));
        assert_false(stream.failed);
        run(&rand, weir_buf_view(&stream), 1 + (size_t)weir_rand_below(&rand, 400), &outcome);
        assert_int_equal(outcome.status, WEIR_OK);
        assert_int_equal(outcome.payload_bytes + outcome.overhead_bytes, end);
        support_assert_bytes(weir_bytes_of(outcome.payload, outcome.payload_bytes), payload);
    }
}

static void damage(struct weir_rand *rand, uint8_t *data, size_t size)
{
    static const uint8_t bytes[] = "\r\n;0f \tz\x80";
    for (uint64_t left = 1 + weir_rand_below(rand, 3); left > 0; left--) {
        data[weir_rand_below(rand, size)] = bytes[weir_rand_below(rand, sizeof bytes)];
    }
}

static void the_cuts_do_not_matter(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(2);
    static struct outcome bytewise;
    static struct outcome cut;
    static uint8_t stream_memory[STREAM_MAX];
    static uint8_t payload_memory[PAYLOAD_MAX];
    unsigned int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct weir_buf stream = weir_buf_fixed(stream_memory, sizeof stream_memory);
        put_body(&rand, &stream, random_payload(&rand, payload_memory));
        assert_false(stream.failed);
        damage(&rand, stream.data, stream.size);
        run(&rand, weir_buf_view(&stream), 1, &bytewise);
        run(&rand, weir_buf_view(&stream), 1 + (size_t)weir_rand_below(&rand, 400), &cut);
        assert_int_equal(cut.status, bytewise.status);
        assert_int_equal(cut.overhead_bytes, bytewise.overhead_bytes);
        support_assert_bytes(weir_bytes_of(cut.payload, cut.payload_bytes),
                             weir_bytes_of(bytewise.payload, bytewise.payload_bytes));
        refused += bytewise.status == WEIR_EMALFORMED ? 1 : 0;
    }
    assert_in_range(refused, ROUNDS / 10, ROUNDS); /* the damage does damage */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(the_cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
