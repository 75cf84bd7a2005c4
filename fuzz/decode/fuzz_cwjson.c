/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: a record is its lines, the quarantined ones too; what is written passes the OTLP check;
 * a line's two readers. */
#include "../../tests/unit/decode/cwjson_twins.h"
#include "../../tests/unit/decode/fixture.h"
#include "weir/cwjson.h"
#include "weir/otlp_check.h"

static void decode_whole(struct weir_collect *collect, struct weir_bytes record)
{
    weir_cwjson_decode(collect, (struct weir_cwjson_context){{NULL, 0}, {NULL, 0}}, record, 0);
}

static void decode_lines(struct weir_collect *collect, struct weir_bytes rest)
{
    while (rest.size > 0) {
        const uint8_t *feed = memchr(rest.data, '\n', rest.size);
        size_t size = feed == NULL ? rest.size : (size_t)(feed - rest.data);
        twins_check(weir_bytes_of(rest.data, size));
        decode_whole(collect, weir_bytes_of(rest.data, size));
        rest = weir_bytes_from(rest, size + (feed != NULL));
    }
}

static void check_same(const struct weir_runs *a, const struct weir_runs *b)
{
    WEIR_ASSERT(a->count == b->count && a->points == b->points);
    for (uint32_t i = 0; i < a->points; i++) { /* all runs' points are one array */
        const struct weir_point *one = &a->runs[0].points[i];
        const struct weir_point *two = &b->runs[0].points[i];
        struct weir_bytes data = weir_bytes_of(one->data, one->size);
        WEIR_ASSERT(weir_bytes_eq(data, weir_bytes_of(two->data, two->size)));
        WEIR_ASSERT(one->metric->hash == two->metric->hash);
        WEIR_ASSERT(weir_otlp_check_message(WEIR_OTLP_METRIC, one->metric->head));
        bool is_gauge = one->metric->data == WEIR_METRIC_GAUGE;
        WEIR_ASSERT(weir_otlp_check_message(
            is_gauge ? WEIR_OTLP_NUMBER_POINT : WEIR_OTLP_SUMMARY_POINT, data));
    }
}

/* A line that is none stays as it is, whatever is written over those around it. */
static void check_same_quarantined(const struct weir_tally *a, const struct weir_tally *b)
{
    WEIR_ASSERT(a->kept_count == b->kept_count);
    for (uint32_t i = 0; i < a->kept_count; i++) {
        WEIR_ASSERT(a->kept[i].reason == b->kept[i].reason);
        WEIR_ASSERT(weir_bytes_eq(a->kept[i].whole, b->kept[i].whole));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard copy[2];
    struct fixture fixture[2];
    struct weir_runs runs[2];
    for (int i = 0; i < 2; i++) {
        copy[i] = guard_copy(weir_bytes_of(data, size));
        fixture_open(&fixture[i]);
        (i == 0 ? decode_whole : decode_lines)(fixture[i].collect, guard_view(&copy[i]));
        enum weir_status status = weir_collect_finish(fixture[i].collect, &runs[i]);
        WEIR_ASSERT(status == WEIR_OK && weir_runs_validate(&runs[i]));
    }
    check_same(&runs[0], &runs[1]);
    check_same_quarantined(fixture[0].collect->tally, fixture[1].collect->tally);
    for (int i = 0; i < 2; i++) {
        fixture_close(&fixture[i]);
        guard_free(&copy[i]);
    }
    return 0;
}
