/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/keyring.h"

#include "weir/rcu.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct weir_keys *one(const char *name, const char *key)
{
    const struct weir_key_spec spec = {.name = name, .key = weir_bytes_str(key)};
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(&spec, 1, &keys), WEIR_OK);
    return keys;
}

static enum weir_key_verdict judge(const struct weir_keys *keys, const char *presented)
{
    uint32_t index = 0;
    return weir_keys_check(keys, weir_bytes_str(presented), (struct weir_bytes){NULL, 0}, 1,
                           &index);
}

static void test_what_is_published_counts_for_who_holds_afterwards(void **state)
{
    (void)state;
    struct weir_keyring *ring = NULL;
    assert_int_equal(weir_keyring_new(one("a", "old"), &ring), WEIR_OK);
    const struct weir_keys *before = weir_keyring_hold(ring);
    weir_keyring_publish(ring, one("b", "new"));
    const struct weir_keys *after = weir_keyring_hold(ring);
    assert_int_equal(judge(before, "old"), WEIR_KEY_OK);
    assert_int_equal(judge(before, "new"), WEIR_KEY_UNKNOWN);
    assert_int_equal(judge(after, "new"), WEIR_KEY_OK);
    assert_int_equal(judge(after, "old"), WEIR_KEY_UNKNOWN);
    assert_string_equal(weir_keys_name(before, 0), "a"); /* still there */
    weir_keyring_release(before);
    weir_keyring_release(after);
    weir_keyring_free(ring);
}

static void test_held_keys_outlive_their_ring(void **state)
{
    (void)state;
    struct weir_keyring *ring = NULL;
    assert_int_equal(weir_keyring_new(one("a", "old"), &ring), WEIR_OK);
    const struct weir_keys *first = weir_keyring_hold(ring);
    const struct weir_keys *second = weir_keyring_hold(ring);
    assert_ptr_equal(first, second);
    weir_keyring_free(ring);
    weir_keyring_release(first);
    assert_string_equal(weir_keys_name(second, 0), "a");
    weir_keyring_release(second);
}

static void test_no_lock_and_back(void **state)
{
    (void)state;
    struct weir_keyring *ring = NULL;
    assert_int_equal(weir_keyring_new(NULL, &ring), WEIR_OK);
    assert_null(weir_keyring_hold(ring));
    weir_keyring_publish(ring, one("a", "key"));
    const struct weir_keys *keys = weir_keyring_hold(ring);
    assert_int_equal(judge(keys, "wrong"), WEIR_KEY_UNKNOWN);
    weir_keyring_publish(ring, NULL);
    assert_null(weir_keyring_hold(ring));
    assert_int_equal(judge(keys, "key"), WEIR_KEY_OK);
    weir_keyring_release(keys);
    weir_keyring_free(ring);
}

static void test_a_set_of_no_keys_is_a_locked_door(void **state)
{
    (void)state;
    struct weir_keyring *ring = NULL;
    struct weir_keys *none = NULL;
    assert_int_equal(weir_keys_new(NULL, 0, &none), WEIR_OK);
    assert_int_equal(weir_keyring_new(none, &ring), WEIR_OK);
    const struct weir_keys *keys = weir_keyring_hold(ring);
    assert_non_null(keys);
    assert_int_equal(judge(keys, "key"), WEIR_KEY_UNKNOWN);
    weir_keyring_release(keys);
    weir_keyring_free(ring);
}

static void test_nothing_is_a_door_without_a_lock(void **state)
{
    (void)state;
    assert_null(weir_keyring_hold(NULL));
    weir_keyring_release(NULL);
    weir_keyring_free(NULL);
}

static int start(void **state)
{
    (void)state;
    weir_rcu_thread_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    weir_rcu_thread_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_published_counts_for_who_holds_afterwards),
        cmocka_unit_test(test_held_keys_outlive_their_ring),
        cmocka_unit_test(test_no_lock_and_back),
        cmocka_unit_test(test_a_set_of_no_keys_is_a_locked_door),
        cmocka_unit_test(test_nothing_is_a_door_without_a_lock),
    };
    return cmocka_run_group_tests_name("keyring", tests, start, stop);
}
