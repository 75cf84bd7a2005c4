/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lane, exporters, backlog and keeper at one ledger, as they are in the program: at the end nothing
 * is owed, every point was settled once, and each segment was given back once.
 */
#include "support.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../unit/spool/ledger_rig.h"

enum { RECORDS = 3000, PER_SEGMENT = 100, QUEUE = RECORDS };

struct race {
    struct weir_ledger *ledger;
    /* Tickets on their way to the exporters; a slot is filled by the lane (release) and taken by
     * whoever exchanges it (acquire). */
    struct weir_ticket *_Atomic queue[QUEUE];
    atomic_bool lane_ended, all_settled;
};

static void *lane(void *argument)
{
    struct race *race = argument;
    static const uint32_t points[2] = {10, 10};
    struct weir_ledger_segment *segment = NULL;
    for (uint64_t lsn = 1; lsn <= RECORDS; lsn++) {
        if ((lsn - 1) % PER_SEGMENT == 0) {
            if (segment != NULL) {
                weir_ledger_seal(race->ledger, segment, false);
            }
            segment = rig_segment(race->ledger, (lsn - 1) / PER_SEGMENT + 1);
        }
        uint64_t live = lsn % 3 == 0 ? 0 : RIG_A | (lsn % 2 == 0 ? RIG_B : 0);
        struct weir_spool_job job = {
            .owed = RIG_A | RIG_B, .live = live, .live_points = points, .points = 20};
        struct weir_ledger_record record = rig_record(lsn, job.owed);
        assert_int_equal(weir_ledger_reserve(race->ledger, segment, 1, job.owed), WEIR_OK);
        assert_int_equal(weir_ledger_ticket_new(race->ledger, &job), WEIR_OK);
        weir_ledger_commit(race->ledger, segment, &record, &job);
        atomic_store_explicit(&race->queue[lsn - 1], job.ticket, memory_order_release);
    }
    weir_ledger_seal(race->ledger, segment, false);
    atomic_store_explicit(&race->lane_ended, true, memory_order_release);
    return NULL;
}

/* Every second destination B is in memory: whether this one is, its number says. */
static void export_ticket(struct race *race, struct weir_ticket *ticket, uint32_t at)
{
    if ((at + 1) % 2 == 0) {
        rig_part(race->ledger, ticket, 1, (struct weir_span){0, 10}, WEIR_SETTLED);
    }
    rig_part(race->ledger, ticket, 0, (struct weir_span){0, 4}, WEIR_SETTLED);
    rig_attempted(race->ledger, ticket, 0, at);
    rig_part(race->ledger, ticket, 0, (struct weir_span){4, 10},
             at % 5 == 0 ? WEIR_KEPT : WEIR_SETTLED);
}

static void *exporter(void *argument)
{
    struct race *race = argument;
    bool ended = false;
    while (!ended) {
        ended = atomic_load_explicit(&race->lane_ended, memory_order_acquire);
        for (uint32_t i = 0; i < QUEUE; i++) {
            struct weir_ticket *ticket =
                atomic_exchange_explicit(&race->queue[i], NULL, memory_order_acq_rel);
            if (ticket != NULL) {
                export_ticket(race, ticket, i);
            }
        }
    }
    return NULL;
}

static void *backlog(void *argument)
{
    struct race *race = argument;
    uint32_t turn = 0;
    while (!atomic_load_explicit(&race->lane_ended, memory_order_acquire) ||
           rig_look(race->ledger).records > 0) {
        struct weir_backlog_place place;
        uint32_t destination = turn++ % 2;
        if (weir_ledger_next(race->ledger, destination, &place) != WEIR_OK) {
            continue;
        }
        weir_ledger_expect(race->ledger, place.ticket, destination, 3, 20);
        rig_part(race->ledger, place.ticket, destination, (struct weir_span){15, 18},
                 turn % 7 == 0 ? WEIR_KEPT : WEIR_SETTLED);
    }
    atomic_store_explicit(&race->all_settled, true, memory_order_release);
    return NULL;
}

static uint32_t keep(struct race *race, bool durable)
{
    struct weir_buf notes = weir_buf_grow_init((size_t)16 << 20);
    uint32_t freed = 0;
    if (weir_ledger_wants_snapshot(race->ledger)) {
        weir_ledger_snapshot(race->ledger, &notes);
    } else {
        weir_ledger_take(race->ledger, &notes);
    }
    weir_ledger_noted(race->ledger, durable);
    struct weir_ledger_segment *segment = weir_ledger_released(race->ledger, true);
    for (; segment != NULL; segment = weir_ledger_released(race->ledger, true)) {
        weir_ledger_segment_free(race->ledger, segment);
        freed++;
    }
    weir_buf_done(&notes);
    return freed;
}

static void *keeper(void *argument)
{
    struct race *race = argument;
    uint32_t freed = 0;
    uint32_t turn = 0;
    while (!atomic_load_explicit(&race->all_settled, memory_order_acquire)) {
        freed += keep(race, turn++ % 10 != 9);
    }
    freed += keep(race, true);
    freed += keep(race, true); /* where the one before was no snapshot yet */
    assert_int_equal(freed, RECORDS / PER_SEGMENT);
    return NULL;
}

static void test_all_at_once(void **state)
{
    (void)state;
    static struct race race;
    race.ledger = rig_new(true, 100000);
    void *(*const bodies[])(void *) = {lane, backlog, keeper, exporter, exporter, exporter};
    enum { THREADS = sizeof bodies / sizeof bodies[0] };
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &race), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    struct weir_spool_stat stat = rig_look(race.ledger);
    assert_int_equal(stat.records, 0);
    assert_int_equal(stat.owed_bytes, 0);
    assert_int_equal(stat.backlog_bytes[0] + stat.backlog_bytes[1], 0);
    weir_ledger_free(race.ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
