/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ledger_rig.h"

/* A job that remembers what it was told. */
struct waiter {
    struct weir_spool_job job;
    uint32_t told;
    enum weir_status status;
};

static void delivered(struct weir_spool_job *job, enum weir_status status)
{
    struct waiter *waiter = (struct waiter *)job;
    waiter->told++;
    waiter->status = status;
}

static struct waiter waiter_at(int64_t received_ns)
{
    return (struct waiter){.job = {.received_ns = received_ns, .delivered = delivered}};
}

static void assert_told(const struct waiter *waiter, enum weir_status status)
{
    assert_int_equal(waiter->told, 1);
    assert_int_equal(waiter->status, status);
}

static void test_told_when_all_have_it(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(false, 0);
    struct waiter first = waiter_at(0);
    struct waiter repeated = waiter_at(0);
    struct waiter late = waiter_at(0);
    struct weir_ticket *ticket = rig_commit(ledger, NULL, 1, RIG_A | RIG_B, RIG_A | RIG_B);
    struct weir_ticket *other = rig_commit(ledger, NULL, 2, RIG_A, RIG_A);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &first.job);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &repeated.job);
    rig_attempted(ledger, ticket, 0, 5);
    rig_part(ledger, ticket, 0, (struct weir_span){0, 10}, WEIR_SETTLED);
    rig_part(ledger, ticket, 1, (struct weir_span){0, 9}, WEIR_SETTLED);
    assert_int_equal(first.told, 0);
    rig_part(ledger, ticket, 1, (struct weir_span){10, 11}, WEIR_SETTLED);
    assert_told(&first, WEIR_OK);
    assert_told(&repeated, WEIR_OK);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &late.job);
    assert_told(&late, WEIR_OK);
    weir_ledger_settle(ledger, other, 0, WEIR_SETTLED);
    assert_int_equal(rig_look(ledger).records, 0);
    weir_ledger_free(ledger);
}

static void test_kept_is_no_delivery(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(false, 0);
    struct waiter waiting = waiter_at(0);
    struct waiter repeated = waiter_at(0);
    struct weir_ticket *ticket = rig_commit(ledger, NULL, 1, RIG_A | RIG_B, RIG_A | RIG_B);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &waiting.job);
    weir_ledger_settle(ledger, ticket, 0, WEIR_KEPT);
    weir_ledger_settle(ledger, ticket, 1, WEIR_SETTLED);
    assert_told(&waiting, WEIR_ECLOSED);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &repeated.job);
    assert_told(&repeated, WEIR_ECLOSED);
    /* More of them than are remembered one by one: none of them is ever called delivered. */
    for (uint64_t i = 2; i < 2000; i++) {
        ticket = rig_commit(ledger, NULL, i, RIG_A, RIG_A);
        weir_ledger_settle(ledger, ticket, 0, WEIR_KEPT);
    }
    for (uint64_t i = 1; i < 2000; i++) {
        struct waiter again = waiter_at(0);
        weir_ledger_attach(ledger, RIG_EPOCH + i, &again.job);
        assert_told(&again, WEIR_ECLOSED);
    }
    struct waiter good = waiter_at(0);
    weir_ledger_attach(ledger, RIG_EPOCH + 2000, &good.job);
    assert_told(&good, WEIR_OK);
    weir_ledger_free(ledger);
}

static void test_timeouts_are_each_job_s_own(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(false, 0);
    struct waiter first = waiter_at(10);
    struct waiter second = waiter_at(30);
    assert_int_equal(weir_ledger_expire(ledger, 1000), INT64_MAX);
    struct weir_ticket *ticket = rig_commit(ledger, NULL, 1, RIG_A, RIG_A);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &first.job);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &second.job);
    assert_int_equal(weir_ledger_expire(ledger, 109), 110);
    assert_int_equal(first.told, 0);
    assert_int_equal(weir_ledger_expire(ledger, 110), 130);
    assert_told(&first, WEIR_ETIMEOUT);
    weir_ledger_settle(ledger, ticket, 0, WEIR_SETTLED);
    assert_told(&second, WEIR_OK);
    assert_told(&first, WEIR_ETIMEOUT);
    weir_ledger_free(ledger);
}

static void test_dismissed_ones_and_those_that_come_after(void **state)
{
    (void)state;
    struct weir_ledger *ledger = rig_new(false, 0);
    struct waiter first = waiter_at(0);
    struct waiter second = waiter_at(0);
    struct weir_ticket *ticket = rig_commit(ledger, NULL, 1, RIG_A, RIG_A);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &first.job);
    weir_ledger_dismiss(ledger);
    assert_told(&first, WEIR_ECLOSED);
    weir_ledger_attach(ledger, RIG_EPOCH + 1, &second.job);
    assert_told(&second, WEIR_ECLOSED);
    weir_ledger_settle(ledger, ticket, 0, WEIR_SETTLED);
    assert_told(&first, WEIR_ECLOSED);
    weir_ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_when_all_have_it),
        cmocka_unit_test(test_kept_is_no_delivery),
        cmocka_unit_test(test_timeouts_are_each_job_s_own),
        cmocka_unit_test(test_dismissed_ones_and_those_that_come_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
