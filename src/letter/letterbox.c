/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dead letter: letters in, lines on the disk, `done` out.
 *
 *   put ─► queue ─► step: every letter is written (letterbox_write.c), then one commit for all
 *   (any)           the thread, or whoever steps it
 *
 *   I4  a letter is in exactly one of: the queue, pending, its sender's hands
 *   I6  the lock protects the queue and `stopping` only; everything else is the thread's, and what
 *       weir_letterbox_look reads is atomic
 *
 * Threads: put and look are anybody's; step belongs to the letterbox's thread, or, where none was
 * started, to one thread of the caller's, which has a metrics slab. The thread sleeps until a
 * letter comes; while the box is full it also looks once a second whether somebody has made room.
 *
 * Slow disk: the queue grows; its letters are in their senders' memory, which is accounted for
 * there. So the queue has no bound of its own.
 */
#include "letterbox_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include "weir/pulse.h"
#include "weir/rcu.h"
#include "weir/thread.h"
#include <errno.h>

#define FILE_BYTES     (UINT64_C(64) << 20)
#define FILE_BYTES_MIN (UINT64_C(64) << 10)
#define LINE_MAX_BYTES ((size_t)4 << 20) /* of a line: 1.4 MB of base64, and texts */
enum { FULL_LOOK_S = 1, LIMIT_PART = 8 };

static struct weir_letter *take_queue(struct weir_letterbox *box)
{
    (void)pthread_mutex_lock(&box->lock);
    struct weir_letter *letters = box->queue;
    box->queue = NULL;
    box->queue_end = &box->queue;
    (void)pthread_mutex_unlock(&box->lock);
    return letters;
}

void weir_letterbox_step(struct weir_letterbox *letterbox)
{
    weir_letterbox_look_for_room(letterbox);
    struct weir_letter *letter = take_queue(letterbox);
    while (letter != NULL) {
        struct weir_letter *next = letter->next;
        weir_letterbox_write(letterbox, letter);
        letter = next;
    }
    weir_letterbox_commit(letterbox);
}

/* The thread. */

static bool is_full(const struct weir_letterbox *box)
{
    return atomic_load_explicit(&box->full, memory_order_relaxed); /* our own store */
}

/* Waits for letters; also a second, while it is full. False: the end, and nothing waits. */
static bool wait_for_letters(struct weir_letterbox *box)
{
    struct timespec until;
    (void)pthread_mutex_lock(&box->lock);
    bool woken = false;
    weir_pulse_rest();
    while (box->queue == NULL && !box->stopping && !woken) {
        if (!is_full(box)) {
            (void)pthread_cond_wait(&box->bell, &box->lock);
            continue;
        }
        int64_t when = weir_clock_wall_ns() + FULL_LOOK_S * WEIR_NS_PER_S;
        until = (struct timespec){.tv_sec = when / WEIR_NS_PER_S, .tv_nsec = when % WEIR_NS_PER_S};
        woken = pthread_cond_timedwait(&box->bell, &box->lock, &until) == ETIMEDOUT;
    }
    bool more = box->queue != NULL || !box->stopping;
    (void)pthread_mutex_unlock(&box->lock);
    weir_pulse_beat();
    return more;
}

static void run(void *argument)
{
    struct weir_letterbox *box = argument;
    WEIR_ASSERT_ROLE(WEIR_ROLE_LETTERS);
    weir_rcu_thread_start();
    enum weir_status counting = weir_metrics_thread_start();
    WEIR_ASSERT(counting == WEIR_OK);
    weir_letterbox_show(box);
    while (wait_for_letters(box)) {
        weir_letterbox_step(box);
    }
    weir_metrics_thread_stop();
    weir_rcu_thread_stop();
}

enum weir_status weir_letterbox_start(struct weir_letterbox *letterbox)
{
    WEIR_ASSERT(letterbox->thread == NULL);
    return weir_thread_start(WEIR_ROLE_LETTERS, "weir-letters", run, letterbox, &letterbox->thread);
}

void weir_letterbox_put(struct weir_letterbox *letterbox, struct weir_letter *letter)
{
    WEIR_ASSERT(letter->done != NULL);
    letter->next = NULL;
    (void)pthread_mutex_lock(&letterbox->lock);
    *letterbox->queue_end = letter;
    letterbox->queue_end = &letter->next;
    (void)pthread_cond_signal(&letterbox->bell);
    (void)pthread_mutex_unlock(&letterbox->lock);
}

static uint64_t file_bytes(const struct weir_letterbox_options *options)
{
    if (options->file_bytes > 0) {
        return options->file_bytes;
    }
    uint64_t part = options->limit / LIMIT_PART;
    part = part < FILE_BYTES_MIN ? FILE_BYTES_MIN : part;
    return part > FILE_BYTES ? FILE_BYTES : part;
}

enum weir_status weir_letterbox_open(const struct weir_letterbox_options *options,
                                     struct weir_letterbox **ret)
{
    const struct weir_disk_ops *ops = options->disk.ops;
    enum weir_status locked = weir_disk_status(ops->lock(options->disk.self));
    if (locked != WEIR_OK) {
        return locked == WEIR_EAGAIN ? WEIR_EEXIST : locked;
    }
    struct weir_letterbox *box = weir_mem_zalloc(1, sizeof *box);
    if (box == NULL) {
        return WEIR_ENOMEM;
    }
    box->options = *options;
    box->options.file_bytes = file_bytes(options);
    box->files = (struct weir_letter_files){.disk = &box->options.disk, .current = -1};
    enum weir_status status = weir_letter_files_stock(&box->files);
    if (status != WEIR_OK) {
        weir_mem_free(box);
        return status;
    }
    (void)pthread_mutex_init(&box->lock, NULL);
    (void)pthread_cond_init(&box->bell, NULL);
    box->queue_end = &box->queue;
    box->pending_end = &box->pending;
    box->line = weir_buf_grow_init(LINE_MAX_BYTES);
    atomic_init(&box->bytes, box->files.bytes);
    *ret = box;
    return WEIR_OK;
}

void weir_letterbox_close(struct weir_letterbox *letterbox)
{
    if (letterbox == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&letterbox->lock);
    letterbox->stopping = true;
    (void)pthread_cond_signal(&letterbox->bell);
    (void)pthread_mutex_unlock(&letterbox->lock);
    weir_thread_join(letterbox->thread);
    if (letterbox->queue != NULL) {
        weir_letterbox_step(letterbox); /* nobody was started */
    }
    weir_letter_files_end(&letterbox->files, true);
    weir_mem_free(letterbox->files.items);
    weir_buf_done(&letterbox->line);
    (void)pthread_cond_destroy(&letterbox->bell);
    (void)pthread_mutex_destroy(&letterbox->lock);
    weir_mem_free(letterbox);
}

struct weir_letterbox_stat weir_letterbox_look(const struct weir_letterbox *letterbox)
{
    /* partners: weir_letterbox_show, and set_flag and add of letterbox_write.c */
    return (struct weir_letterbox_stat){
        .bytes = atomic_load_explicit(&letterbox->bytes, memory_order_relaxed),
        .limit = letterbox->options.limit,
        .lines = atomic_load_explicit(&letterbox->lines, memory_order_relaxed),
        .evicted_files = atomic_load_explicit(&letterbox->evicted_files, memory_order_relaxed),
        .evicted_bytes = atomic_load_explicit(&letterbox->evicted_bytes, memory_order_relaxed),
        .full = atomic_load_explicit(&letterbox->full, memory_order_relaxed),
        .failed = atomic_load_explicit(&letterbox->failed, memory_order_relaxed),
    };
}
