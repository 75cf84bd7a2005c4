/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_GZIP_TWINS_H
#define WEIR_TEST_GZIP_TWINS_H

/*
 * A packed body decoded twice: with the checksum on the envelope's way, and the plain way, all of
 * it inflated and checked by libdeflate before anything else. Both say the same about it, whatever
 * is wrong. Stands alone (no cmocka), so that the fuzzer can have it.
 */
#include "../../support/guard.h"
#include "fixture.h"
#include "weir/crc32.h"
#include "weir/mem.h"

#define GZIP_TWINS_BUDGET ((size_t)64 << 20)

struct gzip_twin {
    struct fixture fixture;
    struct weir_body_result result;
    enum weir_status status;
};

static inline void gzip_twins_refuse(struct gzip_twin *twin, enum weir_status status,
                                     const char *error)
{
    twin->status = status;
    twin->result.error = error;
}

/* The plain way. */
static inline void gzip_twins_plain(struct gzip_twin *twin, struct weir_inflater *inflater,
                                    struct weir_bytes packed,
                                    const struct weir_body_options *options)
{
    struct weir_body_options plain = *options;
    size_t size = 0;
    size_t capacity = options->body_limit + 1;
    uint8_t *text = weir_mem_alloc(capacity);
    WEIR_ASSERT(text != NULL);
    plain.gzip = false;
    fixture_open_bare(&twin->fixture, GZIP_TWINS_BUDGET);
    enum weir_status status = weir_gzip_inflate(inflater, packed, text, capacity, &size);
    if (status == WEIR_EMALFORMED) {
        gzip_twins_refuse(twin, status,
                          "the body is not sound gzip, though Content-Encoding says so");
    } else if (status == WEIR_EFULL || size > options->body_limit) {
        gzip_twins_refuse(twin, WEIR_ELIMIT, "the body is larger than the limit");
    } else {
        struct weir_bytes view = weir_bytes_of(text, size);
        twin->status = weir_body_decode(NULL, twin->fixture.arena, view, &plain, &twin->result);
        WEIR_ASSERT(twin->status != WEIR_OK || twin->result.content_crc == weir_crc32(view));
    }
    weir_mem_free(text);
}

static inline void gzip_twins_same_runs(const struct weir_runs *a, const struct weir_runs *b)
{
    WEIR_ASSERT(a->count == b->count);
    WEIR_ASSERT(a->points == b->points);
    for (uint32_t i = 0; i < a->points; i++) { /* all runs' points are one array */
        const struct weir_point *one = &a->runs[0].points[i];
        const struct weir_point *two = &b->runs[0].points[i];
        WEIR_ASSERT(weir_bytes_eq(weir_bytes_of(one->data, one->size),
                                  weir_bytes_of(two->data, two->size)));
        WEIR_ASSERT(one->metric->hash == two->metric->hash);
    }
}

static inline void gzip_twins_same(const struct gzip_twin *a, const struct gzip_twin *b)
{
    const struct weir_body_result *one = &a->result;
    const struct weir_body_result *two = &b->result;
    WEIR_ASSERT(a->status == b->status);
    WEIR_ASSERT((one->error == NULL) == (two->error == NULL));
    WEIR_ASSERT(one->error == NULL || strcmp(one->error, two->error) == 0);
    WEIR_ASSERT(one->error_offset == two->error_offset);
    WEIR_ASSERT(one->is_crowded == two->is_crowded);
    WEIR_ASSERT(weir_bytes_eq(one->request_id, two->request_id));
    WEIR_ASSERT(one->timestamp_ms == two->timestamp_ms);
    WEIR_ASSERT(one->inflated_bytes == two->inflated_bytes);
    WEIR_ASSERT(one->content_crc == two->content_crc);
    WEIR_ASSERT((one->tally == NULL) == (two->tally == NULL));
    gzip_twins_same_runs(&one->runs, &two->runs);
}

/* Decodes `packed` both ways, and gives the status of both. */
static inline enum weir_status gzip_twins_check(struct weir_inflater *inflater,
                                                struct weir_bytes packed,
                                                const struct weir_body_options *options)
{
    struct gzip_twin quick = {.status = WEIR_OK};
    struct gzip_twin plain = {.status = WEIR_OK};
    struct guard copy = guard_copy(packed);
    WEIR_ASSERT(options->gzip);
    fixture_open_bare(&quick.fixture, GZIP_TWINS_BUDGET);
    quick.status =
        weir_body_decode(inflater, quick.fixture.arena, guard_view(&copy), options, &quick.result);
    gzip_twins_plain(&plain, inflater, packed, options);
    gzip_twins_same(&quick, &plain);
    fixture_close(&quick.fixture);
    fixture_close(&plain.fixture);
    guard_free(&copy);
    return plain.status;
}

#endif
