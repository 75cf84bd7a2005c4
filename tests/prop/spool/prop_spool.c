/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spool and a model of it side by side, through random commits, repetitions, settlements, steps
 * of the keeper, stops and kills, on a real directory:
 *
 *   P1  what was answered with OK is read back, byte for byte, until it is settled
 *   P2  what was settled, and noted by the keeper or a stop, never comes back
 *   P3  what was settled and not noted comes back after a kill only
 *   P4  a repetition of what was answered with OK gets EEXIST, over stops and kills
 *   P5  nothing is lost, torn or in quarantine; bytes on disk stay within the limit
 */
#include "../../unit/spool/spool_rig.h"

enum { RUNS = 12, STEPS = 60, DESTINATIONS = 2 };

enum debt { NOT_OWED, OWED, LIVE, SETTLED, NOTED };

static enum debt debts[JOBS_MAX][DESTINATIONS];
static int used; /* jobs made so far */
static struct weir_rand prng;

static uint32_t below(uint32_t bound)
{
    return (uint32_t)weir_rand_below(&prng, bound);
}

static void submit(void)
{
    int count = (int)below(8) + 1;
    count = count > JOBS_MAX - used ? JOBS_MAX - used : count;
    for (int i = used; i < used + count; i++) {
        size_t size = below(below(4) == 0 ? 90000 : 3000) + 1;
        (void)(below(3) == 0 ? job_with_margins : job_make)(i, size, below(4));
    }
    if (count == 0) {
        return;
    }
    job_commit(used, count);
    for (int i = used; i < used + count; i++) {
        bool accepted = jobs[i].job.status == WEIR_OK;
        assert_true(accepted || jobs[i].job.status == WEIR_EFULL);
        for (int d = 0; d < DESTINATIONS; d++) {
            bool live = (jobs[i].job.live >> d & 1) != 0;
            debts[i][d] = !accepted ? NOT_OWED : live ? LIVE : OWED;
        }
    }
    used += count;
}

/* P4. */
static void repeat(void)
{
    if (used == 0) {
        return;
    }
    struct weir_spool_job *original = &jobs[below((uint32_t)used)].job;
    if (original->status != WEIR_OK) {
        return;
    }
    struct job again = {.done = 0};
    again.job = *original;
    again.job.next = NULL;
    weir_spool_commit(rig.spool, &again.job, rig.now);
    assert_int_equal(again.done, 1);
    assert_int_equal(again.job.status, WEIR_EEXIST);
}

/* What is live ends, all of it or some, delivered or kept. */
static void settle(bool all)
{
    for (int i = 0; i < used; i++) {
        for (uint32_t d = 0; d < DESTINATIONS; d++) {
            if (debts[i][d] == LIVE && (all || below(3) == 0)) {
                bool kept = below(3) == 0;
                weir_spool_settle(rig.spool, jobs[i].job.ticket, d,
                                  kept ? WEIR_KEPT : WEIR_SETTLED);
                debts[i][d] = kept ? OWED : SETTLED;
            }
        }
    }
}

/* P1, P2, P3. Reads at most `most` records for one destination. */
static void drain(uint32_t destination, int most)
{
    struct weir_backlog_place place;
    while (most-- > 0 && weir_backlog_next(rig.spool, destination, &place) == WEIR_OK) {
        struct weir_frame_record record;
        struct weir_bytes body;
        assert_int_equal(weir_backlog_read(rig.spool, &place, rig.memory, &record, &body), WEIR_OK);
        size_t n = (record.content_crc - 1) / 1000;
        assert_true(n < (size_t)used);
        assert_int_equal(debts[n][destination], OWED);
        support_assert_bytes(body, jobs[n].job.body);
        weir_spool_settle(rig.spool, place.ticket, destination, WEIR_SETTLED);
        debts[n][destination] = SETTLED;
    }
}

static void expect_all_owed(void)
{
    struct weir_spool_stat stat = rig_look();
    for (int d = 0; d < DESTINATIONS; d++) {
        uint64_t owed = 0;
        for (int i = 0; i < used; i++) {
            owed += debts[i][d] == OWED;
        }
        assert_int_equal(stat.backlog_records[d], owed);
    }
    assert_true(stat.bytes <= rig.options.limit); /* P5 */
    assert_false(stat.failed);
}

static void change(enum debt from, enum debt to)
{
    for (int i = 0; i < used; i++) {
        for (int d = 0; d < DESTINATIONS; d++) {
            debts[i][d] = debts[i][d] == from ? to : debts[i][d];
        }
    }
}

static void keep(void)
{
    assert_int_equal(rig_keep(), WEIR_OK);
    change(SETTLED, NOTED);
}

static void restart(bool killed)
{
    settle(true);
    rig.fail_write = rig.fail_sync = killed ? 1 : 0; /* a kill: no last note */
    rig.fail_count = 1 << 30;
    rig_stop();
    rig.fail_write = rig.fail_sync = 0;
    change(SETTLED, killed ? OWED : NOTED);
    rig_start();
    assert_int_equal(rig.report.lost_records, 0);
    assert_int_equal(rig.report.torn_records, 0);
    assert_false(rig_has("quarantine"));
}

static void run(void)
{
    used = 0;
    memset(debts, 0, sizeof debts);
    rig.options.segment_bytes = SEGMENT * (1 + below(3));
    rig.options.limit = rig.options.segment_bytes * (4 + below(40));
    rig.options.version = 1 + below(WEIR_FRAME_VERSION);
    rig.failing_direct = below(4) == 0 ? -EINVAL : 0;
    roomy_used = 0;
    rig_start();
    for (int step = 0; step < STEPS; step++) {
        switch (below(8)) {
        case 0:
        case 1: submit(); break;
        case 2: repeat(); break;
        case 3: settle(false); break;
        case 4: drain(below(DESTINATIONS), (int)below(20)); break;
        case 5:
        case 6: keep(); break;
        default: restart(below(2) == 0); break;
        }
        expect_all_owed();
    }
    restart(below(2) == 0);
    drain(0, JOBS_MAX);
    drain(1, JOBS_MAX);
    expect_all_owed();
    assert_int_equal(rig_look().records, 0);
    rig_stop();
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s/*", rig.path);
    /* tidy: allow banned -- whatever is there */
    assert_int_equal(system(command), 0);
}

static void test_a_spool_and_its_model_agree(void **state)
{
    (void)state;
    prng = support_rand(20261122);
    for (int i = 0; i < RUNS; i++) {
        run();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_spool_and_its_model_agree, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
