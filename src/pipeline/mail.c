/* SPDX-License-Identifier: Apache-2.0 */
#include "mail.h"

#include "weir/panic.h"
#include <errno.h>

enum weir_status weir_mail_init(struct weir_mail *mail, struct weir_letterbox *letterbox)
{
    mail->letterbox = letterbox;
    mail->used = 0;
    atomic_init(&mail->failure, WEIR_OK);
    return sem_init(&mail->done, 0, 0) == 0 ? WEIR_OK : WEIR_EIO;
}

void weir_mail_done(struct weir_mail *mail)
{
    WEIR_ASSERT(mail->used == 0);
    (void)sem_destroy(&mail->done);
}

static void on_done(struct weir_letter *letter, enum weir_status status)
{
    struct weir_mail *mail = letter->user;
    int none = WEIR_OK;
    if (status != WEIR_OK) {
        /* Relaxed: the semaphore orders it. Fails where there was a failure before. */
        (void)atomic_compare_exchange_strong_explicit(&mail->failure, &none, (int)status,
                                                      memory_order_relaxed, memory_order_relaxed);
    }
    int posted = sem_post(&mail->done);
    WEIR_ASSERT(posted == 0);
}

static void wait_for_all(struct weir_mail *mail)
{
    while (mail->used > 0) {
        if (sem_wait(&mail->done) == 0) {
            mail->used--;
        } else {
            WEIR_ASSERT(errno == EINTR);
        }
    }
}

void weir_mail_put(struct weir_mail *mail, const struct weir_letter *letter)
{
    if (mail->used == WEIR_MAIL_SLOTS) {
        wait_for_all(mail);
    }
    /* Relaxed: a hint; finish looks after the semaphore. */
    if (atomic_load_explicit(&mail->failure, memory_order_relaxed) != WEIR_OK) {
        return;
    }
    struct weir_letter *slot = &mail->slots[mail->used++];
    *slot = *letter;
    slot->next = NULL;
    slot->done = on_done;
    slot->user = mail;
    weir_letterbox_put(mail->letterbox, slot);
}

enum weir_status weir_mail_finish(struct weir_mail *mail)
{
    wait_for_all(mail);
    /* Relaxed: after the semaphore, and nobody else writes now. */
    int failure = atomic_load_explicit(&mail->failure, memory_order_relaxed);
    atomic_store_explicit(&mail->failure, WEIR_OK, memory_order_relaxed);
    return (enum weir_status)failure;
}
