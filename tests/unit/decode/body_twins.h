/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_DECODE_BODY_TWINS_H
#define WEIR_TEST_DECODE_BODY_TWINS_H

/*
 * One body decoded twice: its records undone where they lie in the text, and moved, the text given
 * back. What comes out must be the same. Which way is taken is for the limit to say: text above a
 * quarter of it stays, and so does all text under BODY_TWINS_MIN. No cmocka.
 */
#include "both_ways.h"
#include "synthetic.h"
#include "weir/base64.h"

#define BODY_TWINS_MIN  ((size_t)64 << 10)
#define BODY_TWINS_WIDE ((size_t)64 << 20) /* a limit of which no test's text is a quarter */

struct body_twin {
    struct fixture fixture;
    struct weir_body_result result;
    enum weir_status status;
    size_t budget;
};

/* Takes whatever region was given back for text of this size, and writes all over it. */
static inline void body_twin_scribble(struct body_twin *twin, size_t size)
{
    struct weir_arena_budget gate = {fixture_take, fixture_give, &(size_t){BODY_TWINS_WIDE}};
    struct weir_arena *arena = NULL;
    enum weir_status status = weir_arena_new(twin->fixture.regions, gate, 0, &arena);
    WEIR_ASSERT(status == WEIR_OK);
    uint8_t *memory = weir_arena_scratch(arena, size);
    WEIR_ASSERT(memory != NULL);
    memset(memory, 0xEE, size);
    weir_arena_unref(arena, 0);
}

/* Decodes with all of the budget, and writes over what went back. */
static inline void body_twin_decode(struct body_twin *twin, struct weir_inflater *inflater,
                                    struct weir_bytes body, const struct weir_body_options *options)
{
    *twin = (struct body_twin){.budget = twin->budget};
    fixture_open_bare(&twin->fixture, twin->budget);
    twin->status = weir_body_decode(inflater, twin->fixture.arena, body, options, &twin->result);
    size_t charged = twin->budget - twin->fixture.budget_left;
    WEIR_ASSERT(weir_arena_size(twin->fixture.arena) == charged);
    if (twin->status == WEIR_OK) {
        body_twin_scribble(twin, twin->result.inflated_bytes);
        body_twin_scribble(twin, twin->result.inflated_bytes + 4096);
    }
}

/* True: all was given back. */
static inline bool body_twin_close(struct body_twin *twin)
{
    fixture_close(&twin->fixture);
    return twin->fixture.budget_left == twin->budget;
}

static inline bool body_twins_same_tally(const struct weir_tally *a, const struct weir_tally *b)
{
    bool same = memcmp(a->records, b->records, sizeof(a->records)) == 0 &&
                memcmp(a->quarantined, b->quarantined, sizeof(a->quarantined)) == 0 &&
                a->kept_count == b->kept_count;
    for (uint32_t i = 0; same && i < a->kept_count; i++) {
        same = a->kept[i].reason == b->kept[i].reason && a->kept[i].record == b->kept[i].record &&
               weir_bytes_eq(a->kept[i].whole, b->kept[i].whole);
    }
    return same;
}

static inline bool body_twins_same(const struct body_twin *a, const struct body_twin *b)
{
    const struct weir_body_result *one = &a->result;
    const struct weir_body_result *two = &b->result;
    if (a->status != b->status || !weir_bytes_eq(one->request_id, two->request_id)) {
        return false;
    }
    if (a->status != WEIR_OK) {
        return (one->error == NULL) == (two->error == NULL) &&
               (one->error == NULL || strcmp(one->error, two->error) == 0) &&
               one->error_offset == two->error_offset && one->is_crowded == two->is_crowded;
    }
    return both_ways_same(&one->runs, &two->runs) &&
           body_twins_same_tally(one->tally, two->tally) &&
           one->timestamp_ms == two->timestamp_ms && one->inflated_bytes == two->inflated_bytes &&
           one->content_crc == two->content_crc && weir_runs_validate(&two->runs);
}

/* A body of `points` points in records of all formats, and of one that is none, with spaces behind
 * it up to `size`. */
static inline struct weir_buf body_twins_build(struct weir_rand *rand, unsigned points, size_t size)
{
    struct weir_buf body = weir_buf_grow_init(1 << 24);
    struct weir_buf record = weir_buf_grow_init(1 << 20);
    synthetic_body_begin(&body);
    weir_buf_printf(&body, "{\"data\":\"bm8gbWV0cmlj\"}"); /* "no metric" */
    while (points > 0) {
        uint64_t format = weir_rand_below(rand, 3);
        record.size = 0;
        for (uint64_t i = weir_rand_below(rand, 9); i > 0 && points > 0; i--, points--) {
            struct synthetic_point point = synthetic_random(rand);
            if (format == 0) {
                synthetic_json(&record, &point);
            } else {
                synthetic_otlp(&record, &point, format == 1);
            }
        }
        size_t room = weir_base64_encoded_size(record.size);
        weir_buf_printf(&body, ",{\"data\":\"");
        weir_base64_encode(weir_buf_view(&record), weir_buf_reserve(&body, room));
        body.size += room;
        weir_buf_printf(&body, "\"}");
    }
    weir_buf_printf(&body, "]}");
    for (; body.size < size; body.size++) {
        *weir_buf_reserve(&body, 1) = ' ';
    }
    WEIR_ASSERT(!body.failed && !record.failed);
    weir_buf_done(&record);
    return body;
}

static inline struct weir_buf body_twins_gzip(struct weir_bytes plain)
{
    struct weir_deflater *deflater = NULL;
    struct weir_buf packed = weir_buf_grow_init(1 << 24);
    enum weir_status status = weir_deflater_new(1, &deflater);
    WEIR_ASSERT(status == WEIR_OK);
    size_t bound = weir_gzip_bound(deflater, plain.size);
    uint8_t *room = weir_buf_reserve(&packed, bound);
    status = weir_gzip_deflate(deflater, plain, room, bound, &packed.size);
    WEIR_ASSERT(status == WEIR_OK);
    weir_deflater_free(deflater);
    return packed;
}

#endif
