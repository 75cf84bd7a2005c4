/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destinations come and go while lane, keeper, exporter and backlog run: guests take turns in a few
 * slots, each with one request, and leave as soon as nothing is owed to them; "beta" is removed and
 * comes back all the time. What was committed for a guest is settled once, under the guest's name.
 */
#include "../../unit/spool/spool_rig.h"
#include "weir/rcu.h"
#include "weir/thread.h"

enum { VISITS = 48, GUESTS = 5 };

/* Which request is to be committed, for which slot: written before `invited`, read after it. */
static uint32_t slots[VISITS];
static _Atomic uint32_t invited; /* control ─► lane: guests in their slots; release, acquire */
static _Atomic uint32_t served; /* lane ─► control, exporter: their requests are committed; same */
static _Atomic bool over;
static _Atomic uint32_t settled[VISITS]; /* times; exporter and backlog ─► test, by the join */

static void begin(void)
{
    weir_rcu_thread_start();
    assert_int_equal(weir_metrics_thread_start(), WEIR_OK);
}

static void end(void)
{
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

static void name_of(uint32_t visit, char out[16])
{
    (void)snprintf(out, 16, "guest-%u", visit % GUESTS);
}

static void lane(void *argument)
{
    (void)argument;
    begin();
    for (uint32_t i = 0; i < VISITS; i++) {
        /* acquire: control's release */
        while (atomic_load_explicit(&invited, memory_order_acquire) <= i) {
            (void)usleep(20);
        }
        struct job *job = job_make((int)i, 600, 0);
        uint64_t guest = UINT64_C(1) << slots[i];
        job->job.owed = UINT64_C(1) | guest | (i % 2 == 0 ? UINT64_C(2) : 0);
        job->job.live = i % 3 == 0 ? 0 : guest;
        job->points[slots[i]] = 5;
        job_commit((int)i, 1);
        assert_int_equal(job->job.status, WEIR_OK);
        /* release: control's and the exporter's acquire */
        atomic_store_explicit(&served, i + 1, memory_order_release);
    }
    end();
}

static void control(void *argument)
{
    (void)argument;
    const struct weir_spool_destination beta = {"beta", 1 << 20};
    begin();
    for (uint32_t i = 0; i < VISITS; i++) {
        char name[16];
        uint32_t slot = 0;
        name_of(i, name);
        const struct weir_spool_destination guest = {name, 0};
        weir_spool_destination_remove(rig.spool, 1);
        assert_int_equal(weir_spool_destination_open(rig.spool, &guest, &slots[i]), WEIR_OK);
        assert_in_range(slots[i], 2, 61);
        assert_int_equal(weir_spool_destination_open(rig.spool, &beta, &slot), WEIR_OK);
        assert_int_equal(slot, 1);
        atomic_store_explicit(&invited, i + 1, memory_order_release); /* lane */
        /* acquire: the lane's release; from here on nothing is decided for the guest */
        while (atomic_load_explicit(&served, memory_order_acquire) <= i) {
            (void)usleep(20);
        }
        weir_spool_destination_remove(rig.spool, slots[i]);
        while (weir_spool_destination_free(rig.spool, slots[i]) != WEIR_OK) {
            (void)usleep(20);
        }
    }
    end();
}

/* What is live for a guest: settled, or kept, by then for the dead letter. */
static void exporter(void *argument)
{
    (void)argument;
    begin();
    for (uint32_t i = 0; i < VISITS; i++) {
        while (atomic_load_explicit(&served, memory_order_acquire) <= i) { /* the lane's release */
            (void)usleep(20);
        }
        if (jobs[i].job.live != 0) {
            bool kept = i % 3 == 1;
            if (!kept) {
                /* relaxed: read after the joins */
                atomic_fetch_add_explicit(&settled[i], 1, memory_order_relaxed);
            }
            weir_spool_settle(rig.spool, jobs[i].job.ticket, slots[i],
                              kept ? WEIR_KEPT : WEIR_SETTLED);
        }
    }
    end();
}

static void keeper(void *argument)
{
    (void)argument;
    begin();
    while (!atomic_load_explicit(&over, memory_order_acquire)) { /* the test's release */
        int64_t wake_ns;
        assert_int_equal(weir_spool_keep(rig.spool, rig.now, &wake_ns), WEIR_OK);
    }
    end();
}

/* One record of a slot: it has the name that it was committed for. False: none waits. */
static bool drain_one(uint32_t destination)
{
    struct weir_backlog_place place;
    struct weir_frame_record record;
    struct weir_bytes body;
    char name[16];
    if (weir_backlog_next(rig.spool, destination, &place) != WEIR_OK) {
        return false;
    }
    assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body), WEIR_OK);
    uint32_t visit = (record.content_crc - 1) / 1000;
    assert_true(visit < VISITS);
    name_of(visit, name);
    if (strcmp(place.name, "alpha") != 0 && strcmp(place.name, "beta") != 0) {
        assert_string_equal(place.name, name);
        /* relaxed: read after the joins */
        atomic_fetch_add_explicit(&settled[visit], 1, memory_order_relaxed);
    }
    weir_spool_settle(rig.spool, place.ticket, place.destination, WEIR_SETTLED);
    return true;
}

static void backlog(void *argument)
{
    (void)argument;
    begin();
    bool last = false;
    while (!last) {
        last = atomic_load_explicit(&over, memory_order_acquire); /* the test's release */
        bool some = false;
        for (uint32_t slot = 0; slot <= WEIR_BACKLOG_GONE; slot++) {
            some = drain_one(slot) || some;
        }
        last = last && !some;
    }
    end();
}

static void test_guests_come_and_go(void **state)
{
    (void)state;
    rig.options.limit = 64 * SEGMENT;
    rig_start();
    struct weir_thread *threads[5];
    void (*const bodies[5])(void *) = {lane, control, exporter, keeper, backlog};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(weir_thread_start(WEIR_ROLE_TEST, "race", bodies[i], NULL, &threads[i]),
                         WEIR_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        weir_thread_join(threads[i]);
    }
    atomic_store_explicit(&over, true, memory_order_release); /* keeper and backlog acquire */
    weir_thread_join(threads[4]);
    weir_thread_join(threads[3]);
    for (uint32_t i = 0; i < VISITS; i++) {
        /* relaxed: after the joins */
        assert_int_equal(atomic_load_explicit(&settled[i], memory_order_relaxed), 1);
    }
    assert_int_equal(rig_look().records, 0);
    assert_int_equal(rig_look().open, 3);
    rig_restart();
    assert_int_equal(rig.report.records, 0);
    assert_int_equal(rig.report.lost_records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_guests_come_and_go, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
