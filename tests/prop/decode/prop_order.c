/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which a request's points are numbered, against the rules of docs/formats/spool.md as
 * plainly as they can be written: a stable sort by the first points of namespace, resource and
 * metric among those that remain. Notes on the disk count in it, so it may depend on nothing else:
 * not on what was taken back, and not on the keys of hashes, which are others in each process.
 */
#include "../../unit/decode/fixture.h"
#include "weir/rand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROUNDS = 300, POINTS = 600 }; /* several of the collector's blocks */

struct model_point {
    uint32_t namespace, resource, metric;
    uint32_t number;   /* in the order they came */
    uint32_t first[3]; /* numbers: of its namespace, of the pair, of all three */
};

static struct model_point model[POINTS];
static uint32_t model_count;
static uint8_t contents[POINTS][4];

static struct weir_bytes text_of(char kind, uint32_t number)
{
    static char texts[26][64][4];
    char *text = texts[kind - 'a'][number];
    text[0] = kind;
    text[1] = (char)('0' + number / 10);
    text[2] = (char)('0' + number % 10);
    return weir_bytes_str(text);
}

static void add_point(struct weir_collect *collect, const struct model_point *point)
{
    static const struct weir_bytes none;
    const struct weir_resource *resource =
        weir_collect_resource(collect, text_of('r', point->resource), none, none);
    struct weir_metric key = {.scope = weir_collect_scope(collect, resource, none),
                              .head = text_of('m', point->metric),
                              .data = WEIR_METRIC_SUMMARY};
    weir_collect_point(collect, weir_collect_metric(collect, &key), text_of('n', point->namespace),
                       weir_bytes_of(contents[point->number], sizeof(contents[0])), 1);
    model[model_count++] = *point;
}

/* How much of two points is the same: 0 to 3 of namespace, resource, metric. */
static int common(const struct model_point *a, const struct model_point *b)
{
    if (a->namespace != b->namespace) {
        return 0;
    }
    if (a->resource != b->resource) {
        return 1;
    }
    return a->metric != b->metric ? 2 : 3;
}

static int by_rules(const void *left, const void *right)
{
    const struct model_point *a = left;
    const struct model_point *b = right;
    for (int i = 0; i < 3; i++) {
        if (a->first[i] != b->first[i]) {
            return a->first[i] < b->first[i] ? -1 : 1;
        }
    }
    return a->number < b->number ? -1 : a->number > b->number;
}

static void sort_model(void)
{
    for (uint32_t i = 0; i < model_count; i++) {
        for (int level = 0; level < 3; level++) {
            uint32_t first = 0;
            while (common(&model[first], &model[i]) <= level) {
                first++;
            }
            model[i].first[level] = model[first].number;
        }
    }
    qsort(model, model_count, sizeof(model[0]), by_rules);
}

static void check(const struct weir_runs *runs)
{
    assert_true(weir_runs_validate(runs));
    assert_int_equal(runs->points, model_count);
    uint32_t at = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        const struct weir_run *run = &runs->runs[i];
        for (uint32_t k = 0; k < run->count; k++, at++) {
            assert_ptr_equal(run->points[k].data, contents[model[at].number]);
            assert_true(weir_bytes_eq(run->name, text_of('n', model[at].namespace)));
        }
        assert_true(at == model_count || common(&model[at - 1], &model[at]) < 2);
    }
}

static void one_request(struct weir_rand *rand)
{
    struct fixture fixture;
    struct weir_runs runs;
    fixture_open(&fixture);
    uint32_t kinds[3];
    for (int i = 0; i < 3; i++) {
        kinds[i] = 1 + (uint32_t)weir_rand_below(rand, weir_rand_below(rand, 2) == 0 ? 3 : 40);
    }
    uint32_t count = (uint32_t)weir_rand_below(rand, POINTS);
    model_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct model_point point = {.namespace = (uint32_t)weir_rand_below(rand, kinds[0]),
                                          .resource = (uint32_t)weir_rand_below(rand, kinds[1]),
                                          .metric = (uint32_t)weir_rand_below(rand, kinds[2]),
                                          .number = i};
        add_point(fixture.collect, &point);
        if (weir_rand_below(rand, 100) == 0) {
            model_count -= (uint32_t)weir_rand_below(rand, model_count + 1);
            weir_collect_rollback(fixture.collect, (struct weir_collect_mark){model_count});
        }
    }
    sort_model();
    assert_int_equal(weir_collect_finish(fixture.collect, &runs), WEIR_OK);
    check(&runs);
    fixture_close(&fixture);
}

static void test_points_are_numbered_by_the_rules(void **state)
{
    (void)state;
    struct weir_rand rand;
    weir_rand_init(&rand, 1);
    for (int i = 0; i < ROUNDS; i++) {
        one_request(&rand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_points_are_numbered_by_the_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
