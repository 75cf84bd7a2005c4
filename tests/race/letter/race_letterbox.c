/* SPDX-License-Identifier: Apache-2.0 */
/* Several threads put letters while others look; each letter comes back once, as durable. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "counting.h"
#include "simdisk.h"
#include "weir/letterbox.h"
#include "weir/panic.h"
#include "weir/thread.h"
#include <stdatomic.h>

enum { THREADS = 4, LETTERS = 300 };

struct sender {
    struct weir_thread *thread;
    struct weir_letterbox *box;
    struct weir_letter letters[LETTERS];
    _Atomic uint32_t done;
};

static struct sender senders[THREADS];

static void on_done(struct weir_letter *letter, enum weir_status status)
{
    struct sender *sender = letter->user;
    WEIR_ASSERT(status == WEIR_OK);
    /* release: pairs with the acquire in the test */
    atomic_fetch_add_explicit(&sender->done, 1, memory_order_release);
}

static void send(void *argument)
{
    struct sender *sender = argument;
    for (int i = 0; i < LETTERS; i++) {
        sender->letters[i] = (struct weir_letter){.kind = WEIR_LETTER_RECORD,
                                                  .payload = WEIR_BYTES("{}"),
                                                  .destination = "d",
                                                  .reason = "refused",
                                                  .done = on_done,
                                                  .user = sender};
        weir_letterbox_put(sender->box, &sender->letters[i]);
        (void)weir_letterbox_look(sender->box);
    }
}

static void test_every_letter_comes_back_once(void **state)
{
    (void)state;
    struct simdisk *sim = simdisk_new(1);
    struct weir_letterbox_options options = {
        .disk = simdisk_disk(sim), .limit = 64 << 20, .file_bytes = 32 << 10};
    struct weir_letterbox *box = NULL;
    counting_start();
    assert_int_equal(weir_letterbox_open(&options, &box), WEIR_OK);
    assert_int_equal(weir_letterbox_start(box), WEIR_OK);
    for (int i = 0; i < THREADS; i++) {
        senders[i].box = box;
        assert_int_equal(
            weir_thread_start(WEIR_ROLE_TEST, "sender", send, &senders[i], &senders[i].thread),
            WEIR_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        weir_thread_join(senders[i].thread);
    }
    weir_letterbox_close(box);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(atomic_load_explicit(&senders[i].done, memory_order_acquire), LETTERS);
    }
    counting_stop();
    simdisk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_letter_comes_back_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
