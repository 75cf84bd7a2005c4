/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_MAIL_H
#define WEIR_PIPELINE_MAIL_H

#include "weir/letterbox.h"

#include <semaphore.h>
#include <stdatomic.h>

/*
 * Letters from a thread that can wait: up to WEIR_MAIL_SLOTS are with the letterbox at a time, and
 * a record is only settled when all its letters are durable. One thread; the letterbox's thread
 * only calls back.
 */
#define WEIR_MAIL_SLOTS 16u

struct weir_mail {
    struct weir_letterbox *letterbox;
    struct weir_letter slots[WEIR_MAIL_SLOTS];
    uint32_t used; /* slots put and not waited for */
    sem_t done;    /* posted once for each */
    /* The first failure since weir_mail_finish; letterbox's thread, read after the semaphore. */
    _Atomic int failure;
};

/* WEIR_EIO when the system has no semaphore. */
WEIR_MUST_USE enum weir_status weir_mail_init(struct weir_mail *mail,
                                              struct weir_letterbox *letterbox);
/* After finish. */
void weir_mail_done(struct weir_mail *mail);

/* Puts a copy of the letter; its payload and destination must stay until finish. Waits when all
 * slots are used. After a failure it is dropped: what it belongs to will come again. */
void weir_mail_put(struct weir_mail *mail, const struct weir_letter *letter);

/* Waits for all. WEIR_OK when all are durable; else the first failure. */
WEIR_MUST_USE enum weir_status weir_mail_finish(struct weir_mail *mail);

#endif
