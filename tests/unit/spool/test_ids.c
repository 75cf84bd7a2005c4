/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "weir/ids.h"
#include "weir/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t hash_key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static struct weir_ids *make(uint32_t capacity, int64_t window_ns)
{
    struct weir_ids *ids = NULL;
    assert_int_equal(weir_ids_new(capacity, window_ns, hash_key, &ids), WEIR_OK);
    return ids;
}

static struct weir_id id_of(uint64_t key, uint32_t content, int64_t wall_ns)
{
    return (struct weir_id){.key = {key, ~key},
                            .content_crc = content,
                            .content_size = content % 7,
                            .wall_ns = wall_ns,
                            .lsn = key * 1000 + content + 1};
}

static void test_key_keeps_stream_and_id_apart(void **state)
{
    (void)state;
    struct weir_ids *ids = make(4, 100);
    uint64_t a[2];
    uint64_t b[2];
    weir_ids_key(ids, WEIR_BYTES("ab"), WEIR_BYTES("c"), a);
    weir_ids_key(ids, WEIR_BYTES("a"), WEIR_BYTES("bc"), b);
    assert_memory_not_equal(a, b, sizeof a);
    weir_ids_key(ids, WEIR_BYTES("c"), WEIR_BYTES("ab"), b);
    assert_memory_not_equal(a, b, sizeof a);
    weir_ids_key(ids, WEIR_BYTES("ab"), WEIR_BYTES("c"), b);
    assert_memory_equal(a, b, sizeof a);
    weir_ids_free(ids);
}

static void test_key_is_keyed(void **state)
{
    (void)state;
    const uint64_t other_key[2] = {1, 2};
    struct weir_ids *one = make(4, 100);
    struct weir_ids *other = NULL;
    assert_int_equal(weir_ids_new(4, 100, other_key, &other), WEIR_OK);
    uint64_t a[2];
    uint64_t b[2];
    weir_ids_key(one, WEIR_BYTES("s"), WEIR_BYTES("i"), a);
    weir_ids_key(other, WEIR_BYTES("s"), WEIR_BYTES("i"), b);
    assert_memory_not_equal(a, b, sizeof a);
    weir_ids_free(one);
    weir_ids_free(other);
}

static void test_same_is_repeated_and_other_content_is_other(void **state)
{
    (void)state;
    struct weir_ids *ids = make(8, 100);
    struct weir_id first = id_of(1, 5, 10);
    struct weir_id found = {.lsn = 99};
    assert_int_equal(weir_ids_look(ids, &first, 10, &found), WEIR_IDS_NEW);
    assert_int_equal(found.lsn, 99);
    assert_false(weir_ids_add(ids, &first));
    assert_int_equal(weir_ids_look(ids, &first, 50, &found), WEIR_IDS_REPEATED);
    assert_int_equal(found.lsn, first.lsn);
    struct weir_id second = id_of(1, 6, 20);
    assert_int_equal(weir_ids_look(ids, &second, 50, &found), WEIR_IDS_OTHER);
    assert_int_equal(found.lsn, first.lsn);
    assert_false(weir_ids_add(ids, &second));
    assert_int_equal(weir_ids_look(ids, &first, 50, &found), WEIR_IDS_REPEATED);
    assert_int_equal(weir_ids_look(ids, &second, 50, &found), WEIR_IDS_REPEATED);
    assert_int_equal(found.lsn, second.lsn);
    /* Size alone, and the key's second half alone, make a difference too. */
    struct weir_id longer = first;
    longer.content_size++;
    assert_int_equal(weir_ids_look(ids, &longer, 50, &found), WEIR_IDS_OTHER);
    struct weir_id half = first;
    half.key[1]++;
    assert_int_equal(weir_ids_look(ids, &half, 50, &found), WEIR_IDS_NEW);
    weir_ids_free(ids);
}

static void test_window_ends_to_the_nanosecond(void **state)
{
    (void)state;
    struct weir_ids *ids = make(8, 100);
    struct weir_id id = id_of(1, 5, 10);
    struct weir_id found;
    (void)weir_ids_add(ids, &id);
    assert_int_equal(weir_ids_look(ids, &id, 110, &found), WEIR_IDS_REPEATED);
    assert_int_equal(weir_ids_look(ids, &id, 111, &found), WEIR_IDS_NEW);
    weir_ids_expire(ids, 110);
    assert_int_equal(weir_ids_count(ids), 1);
    weir_ids_expire(ids, 111);
    assert_int_equal(weir_ids_count(ids), 0);
    weir_ids_free(ids);
}

static void test_clock_back_makes_nothing_younger(void **state)
{
    (void)state;
    struct weir_ids *ids = make(8, 100);
    struct weir_id old = id_of(1, 5, 1000);
    struct weir_id later = id_of(2, 5, 500); /* the clock went back */
    struct weir_id found;
    (void)weir_ids_add(ids, &old);
    (void)weir_ids_add(ids, &later);
    assert_int_equal(weir_ids_count(ids), 2); /* not dropped as too old */
    assert_int_equal(weir_ids_look(ids, &later, 500, &found), WEIR_IDS_REPEATED);
    weir_ids_expire(ids, 1101);
    assert_int_equal(weir_ids_count(ids), 0);
    (void)weir_ids_add(ids, &old);
    weir_ids_expire(ids, INT64_MIN);
    assert_int_equal(weir_ids_look(ids, &old, INT64_MIN, &found), WEIR_IDS_REPEATED);
    weir_ids_expire(ids, INT64_MAX);
    assert_int_equal(weir_ids_count(ids), 0);
    weir_ids_free(ids);
}

static void test_full_drops_the_oldest_and_says_so(void **state)
{
    (void)state;
    struct weir_ids *ids = make(2, 100);
    struct weir_id found;
    struct weir_id a = id_of(1, 1, 1);
    struct weir_id b = id_of(2, 1, 2);
    struct weir_id c = id_of(3, 1, 3);
    assert_false(weir_ids_add(ids, &a));
    assert_false(weir_ids_add(ids, &b));
    assert_true(weir_ids_add(ids, &c));
    assert_int_equal(weir_ids_look(ids, &a, 3, &found), WEIR_IDS_NEW);
    assert_int_equal(weir_ids_look(ids, &b, 3, &found), WEIR_IDS_REPEATED);
    struct weir_id d = id_of(4, 1, 200); /* what has expired is not missed */
    assert_false(weir_ids_add(ids, &d));
    assert_int_equal(weir_ids_count(ids), 1);
    weir_ids_free(ids);
}

static void test_said_twice_is_one(void **state)
{
    (void)state;
    struct weir_ids *ids = make(2, 100);
    struct weir_id a = id_of(1, 1, 1);
    (void)weir_ids_add(ids, &a);
    assert_false(weir_ids_add(ids, &a));
    assert_int_equal(weir_ids_count(ids), 1);
    weir_ids_free(ids);
}

static void test_free_takes_null(void **state)
{
    (void)state;
    weir_ids_free(NULL);
}

/* One id for everything: a run as long as the table, were there one index only. A look that went
 * through all would make this 10^10 steps. */
static void test_one_id_for_everything_stays_cheap(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct weir_ids *ids = make(MANY, INT64_MAX);
    struct weir_id found;
    for (uint32_t i = 0; i < MANY * 2; i++) {
        struct weir_id id = id_of(7, i, i);
        assert_int_equal(weir_ids_look(ids, &id, i, &found),
                         i == 0 ? WEIR_IDS_NEW : WEIR_IDS_OTHER);
        assert_int_equal(weir_ids_add(ids, &id), i >= MANY);
    }
    weir_ids_free(ids);
}

/* -- against a list ------------------------------------------------------------------------ */

enum { LIST_CAPACITY = 40, OPERATIONS = 100000, WINDOW = 60 };

struct list {
    struct weir_id entries[LIST_CAPACITY];
    uint32_t count;
    int64_t now_ns;
};

static void list_expire(struct list *list, int64_t wall_ns)
{
    list->now_ns = wall_ns > list->now_ns ? wall_ns : list->now_ns;
    while (list->count > 0 && list->now_ns - list->entries[0].wall_ns > WINDOW) {
        list->count--;
        memmove(list->entries, list->entries + 1, list->count * sizeof list->entries[0]);
    }
}

static bool list_add(struct list *list, const struct weir_id *id)
{
    list_expire(list, id->wall_ns);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->entries[i].key[0] == id->key[0] &&
            list->entries[i].content_crc == id->content_crc) {
            list->entries[i].lsn = id->lsn;
            return false;
        }
    }
    bool full = list->count == LIST_CAPACITY;
    if (full) {
        list->count--;
        memmove(list->entries, list->entries + 1, list->count * sizeof list->entries[0]);
    }
    list->entries[list->count] = *id;
    list->entries[list->count++].wall_ns = list->now_ns;
    return full;
}

static enum weir_ids_verdict list_look(const struct list *list, const struct weir_id *id,
                                       int64_t wall_ns, uint64_t *ret_lsn)
{
    enum weir_ids_verdict verdict = WEIR_IDS_NEW;
    int64_t now_ns = wall_ns > list->now_ns ? wall_ns : list->now_ns;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct weir_id *at = &list->entries[i];
        if (at->key[0] != id->key[0] || now_ns - at->wall_ns > WINDOW) {
            continue;
        }
        *ret_lsn = at->lsn;
        if (at->content_crc == id->content_crc) {
            return WEIR_IDS_REPEATED;
        }
        verdict = WEIR_IDS_OTHER;
    }
    return verdict;
}

static void check_entry(void *argument, const struct weir_id *id)
{
    const struct weir_id **next = argument;
    assert_memory_equal((*next)->key, id->key, sizeof id->key);
    assert_int_equal((*next)->content_crc, id->content_crc);
    assert_int_equal((*next)->wall_ns, id->wall_ns);
    (*next)++;
}

static void test_is_as_a_list(void **state)
{
    (void)state;
    struct weir_rand rand = support_rand(7);
    struct weir_ids *ids = make(LIST_CAPACITY, WINDOW);
    static struct list list;
    list.now_ns = INT64_MIN / 2;
    int64_t wall_ns = 0;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        wall_ns += (int64_t)weir_rand_below(&rand, 6) - 1;
        wall_ns += weir_rand_below(&rand, 5000) == 0 ? 100 : 0;
        struct weir_id id =
            id_of(weir_rand_below(&rand, 30), (uint32_t)weir_rand_below(&rand, 3), wall_ns);
        id.lsn = i + 1;
        uint64_t lsn = 0;
        struct weir_id found = {.lsn = 0};
        enum weir_ids_verdict expected = list_look(&list, &id, wall_ns, &lsn);
        assert_int_equal(weir_ids_look(ids, &id, wall_ns, &found), expected);
        assert_int_equal(found.lsn, lsn);
        if (weir_rand_below(&rand, 3) == 0) {
            assert_int_equal(weir_ids_add(ids, &id), list_add(&list, &id));
        } else if (weir_rand_below(&rand, 50) == 0) {
            weir_ids_expire(ids, wall_ns);
            list_expire(&list, wall_ns);
        }
        assert_int_equal(weir_ids_count(ids), list.count);
        if (i % 64 == 0) {
            const struct weir_id *next = list.entries;
            weir_ids_each(ids, check_entry, (void *)&next);
            assert_ptr_equal(next, list.entries + list.count);
        }
    }
    weir_ids_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key_keeps_stream_and_id_apart),
        cmocka_unit_test(test_key_is_keyed),
        cmocka_unit_test(test_same_is_repeated_and_other_content_is_other),
        cmocka_unit_test(test_window_ends_to_the_nanosecond),
        cmocka_unit_test(test_clock_back_makes_nothing_younger),
        cmocka_unit_test(test_full_drops_the_oldest_and_says_so),
        cmocka_unit_test(test_said_twice_is_one),
        cmocka_unit_test(test_free_takes_null),
        cmocka_unit_test(test_one_id_for_everything_stays_cheap),
        cmocka_unit_test(test_is_as_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
