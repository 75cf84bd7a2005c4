/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written where, and what happens when that fails.
 *
 *   letter ─► lines, their size known
 *             room?  rotate at file_bytes ── over the limit: reject, or evict
 *             append                      ┐ any of them fails:
 *   commit: one sync for all              ┘ recover
 *
 *   pending: letters that are appended and not synced, in order. Whatever makes us leave a file
 *   (it is full, a file must be evicted, the end of the queue) commits first.
 *
 *   recover   the file that failed is ended, cut back to what is synced, and never written again;
 *             all pending letters go to a new file, once; if that fails too they are given back:
 *             WEIR_EFULL where the disk is full, else WEIR_EIO
 *
 *   full      set when a letter was given back for want of room (the limit's, or the disk's), and
 *             kept until there is room for it, whatever smaller ones get through meanwhile
 *
 *   I5  a letter's lines are appended without a commit between them, so they are in one file
 *   I7  what is pending is in the current file; a file that somebody took away is one that failed
 *
 * It does not judge letters, does not log their content, and never gives one up by itself. The
 * thread that steps the box.
 */
#include "letterbox_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include <errno.h>

/* Counting and telling. */

void weir_letterbox_show(struct weir_letterbox *letterbox)
{
    /* partner: weir_letterbox_look */
    atomic_store_explicit(&letterbox->bytes, letterbox->files.bytes, memory_order_relaxed);
    weir_metrics_set(weir_metrics_series(WEIR_M_DEAD_LETTER_BYTES, NULL),
                     (double)letterbox->files.bytes);
    weir_metrics_set(weir_metrics_series(WEIR_M_DEAD_LETTER_LIMIT, NULL),
                     (double)letterbox->options.limit);
}

static void set_flag(_Atomic bool *flag, bool value)
{
    atomic_store_explicit(flag, value, memory_order_relaxed); /* partner: weir_letterbox_look */
}

static bool get_flag(const _Atomic bool *flag)
{
    return atomic_load_explicit(flag, memory_order_relaxed); /* our own, or a moment old */
}

static void add(_Atomic uint64_t *counter, uint64_t count)
{
    atomic_fetch_add_explicit(counter, count, memory_order_relaxed); /* weir_letterbox_look */
}

static void set_full(struct weir_letterbox *box, uint64_t refused_bytes)
{
    bool was_full = get_flag(&box->full);
    if (!was_full || refused_bytes > box->refused_bytes) {
        box->refused_bytes = refused_bytes;
    }
    if (!was_full) {
        weir_log(WEIR_LOG_ERROR, "dead letter full", WEIR_LOG_INT("bytes", box->files.bytes),
                 WEIR_LOG_INT("limit", box->options.limit),
                 WEIR_LOG_STR("what_to_do", "move or replay its files, or raise dead_letter.limit; "
                                            "until then requests are refused"));
    }
    set_flag(&box->full, true);
}

static void tell_failure(enum weir_status status)
{
    weir_log(WEIR_LOG_ERROR, "dead letter write failed",
             WEIR_LOG_STR("reason", weir_status_text(status)),
             WEIR_LOG_STR("system", errno == 0 ? "" : strerrordesc_np(errno)));
}

/* What is pending goes back to its senders. */
static void give_back(struct weir_letterbox *box, enum weir_status status)
{
    struct weir_letter *letter = box->pending;
    box->pending = NULL;
    box->pending_end = &box->pending;
    box->pending_bytes = 0;
    while (letter != NULL) {
        struct weir_letter *next = letter->next;
        letter->next = NULL;
        letter->done(letter, status);
        letter = next;
    }
}

/* Writing. */

static enum weir_status append(struct weir_letterbox *box, const struct weir_letter_cut *cut)
{
    for (uint32_t i = 0; i < cut->count; i++) {
        struct weir_letter_line line = weir_letter_cut_line(cut, i);
        box->line.size = 0;
        box->line.failed = false;
        weir_letter_write(&box->line, &line);
        if (box->line.failed) {
            return WEIR_ENOMEM;
        }
        WEIR_TRY(weir_letter_files_append(&box->files, weir_buf_view(&box->line)));
    }
    return WEIR_OK;
}

static enum weir_status begin(struct weir_letterbox *box)
{
    int64_t (*wall_ns)(void) =
        box->options.wall_ns == NULL ? weir_clock_wall_ns : box->options.wall_ns;
    return weir_letter_files_begin(&box->files, wall_ns());
}

static enum weir_status append_again(struct weir_letterbox *box, const struct weir_letter *letter)
{
    struct weir_letter_cut cut;
    WEIR_TRY(weir_letter_cut_init(&cut, letter));
    enum weir_status status = append(box, &cut);
    weir_letter_cut_done(&cut);
    return status;
}

/* All that is pending, into a new file, and synced. */
static enum weir_status write_anew(struct weir_letterbox *box)
{
    if (box->files.bytes + box->pending_bytes > box->options.limit && !box->options.evict) {
        return WEIR_EFULL; /* the failed file could not be cut */
    }
    WEIR_TRY(begin(box));
    for (const struct weir_letter *letter = box->pending; letter != NULL; letter = letter->next) {
        WEIR_TRY(append_again(box, letter));
    }
    return weir_letter_files_sync(&box->files);
}

static void succeed(struct weir_letterbox *box)
{
    for (const struct weir_letter *letter = box->pending; letter != NULL; letter = letter->next) {
        struct weir_bytes reason = weir_bytes_str(letter->reason);
        weir_metrics_add(weir_metrics_series(WEIR_M_DEAD_LETTER_LINES, &reason), letter->lines);
        add(&box->lines, letter->lines);
    }
    set_flag(&box->failed, false);
    weir_letterbox_show(box);
    give_back(box, WEIR_OK);
}

/* A write or a sync failed: once more, elsewhere. */
static void recover(struct weir_letterbox *box, enum weir_status failure)
{
    uint64_t bytes = box->pending_bytes;
    tell_failure(failure);
    weir_letter_files_end(&box->files, false);
    enum weir_status status = write_anew(box);
    if (status == WEIR_OK) {
        succeed(box);
        return;
    }
    tell_failure(status);
    weir_letter_files_end(&box->files, false);
    if (status == WEIR_EFULL) {
        set_full(box, bytes);
    } else {
        set_flag(&box->failed, true);
        status = WEIR_EIO;
    }
    weir_letterbox_show(box);
    give_back(box, status);
}

void weir_letterbox_commit(struct weir_letterbox *letterbox)
{
    if (letterbox->pending == NULL) {
        return;
    }
    enum weir_status status = weir_letter_files_sync(&letterbox->files);
    if (status == WEIR_OK) {
        succeed(letterbox);
    } else {
        recover(letterbox, status);
    }
}

/* Room. */

static void evict(struct weir_letterbox *box)
{
    uint64_t bytes = weir_letter_files_evict(&box->files);
    add(&box->evicted_files, 1);
    add(&box->evicted_bytes, bytes);
    weir_metrics_add(weir_metrics_series(WEIR_M_DEAD_LETTER_EVICTED, NULL), 1);
    weir_log(WEIR_LOG_WARN, "dead letter file evicted", WEIR_LOG_INT("bytes", bytes));
}

static bool has_room(const struct weir_letterbox *box, uint64_t size)
{
    return size <= box->options.limit && box->files.bytes <= box->options.limit - size;
}

/* Ends the current file, having synced what is in it. */
static void leave(struct weir_letterbox *box)
{
    weir_letterbox_commit(box);
    weir_letter_files_end(&box->files, true);
}

/* The oldest files go until there is room, the current one too where it must; a letter that is
 * larger than the limit is alone then. */
static void evict_for(struct weir_letterbox *box, uint64_t size)
{
    while (!has_room(box, size) && box->files.count > 0) {
        if (box->files.count == 1 && box->files.current >= 0) {
            leave(box);
        }
        if (box->files.count > 0) {
            evict(box);
        }
    }
}

/* Looks at the directory again; what we know is the best guess where it cannot be read. */
static void restock(struct weir_letterbox *box)
{
    if (weir_letter_files_stock(&box->files) == WEIR_OK && box->files.current < 0 &&
        box->pending != NULL) {
        recover(box, WEIR_ENOTFOUND);
    }
}

/* Sees to it that a letter of `size` bytes may be appended to the current file. */
static enum weir_status make_room(struct weir_letterbox *box, uint64_t size)
{
    struct weir_letter_files *files = &box->files;
    if (!has_room(box, size)) {
        restock(box);
    }
    if (!has_room(box, size) && !box->options.evict) {
        return WEIR_EFULL;
    }
    evict_for(box, size);
    if (files->current >= 0 && files->items[files->count - 1].bytes > 0 &&
        files->items[files->count - 1].bytes + size > box->options.file_bytes) {
        leave(box);
    }
    return files->current >= 0 ? WEIR_OK : begin(box);
}

/* The letter as lines, and their size. */
static enum weir_status cut_and_measure(struct weir_letter *letter, struct weir_letter_cut *cut,
                                        uint64_t *ret_size)
{
    uint64_t total = 0;
    WEIR_TRY(weir_letter_cut_init(cut, letter));
    for (uint32_t i = 0; i < cut->count; i++) {
        struct weir_letter_line line = weir_letter_cut_line(cut, i);
        size_t size = weir_letter_size(&line);
        if (size == 0) {
            weir_letter_cut_done(cut);
            return WEIR_ENOMEM;
        }
        total += size;
    }
    letter->lines = cut->count;
    *ret_size = total;
    return WEIR_OK;
}

static void append_pending(struct weir_letterbox *box, struct weir_letter *letter, uint64_t size)
{
    letter->next = NULL;
    *box->pending_end = letter;
    box->pending_end = &letter->next;
    box->pending_bytes += size;
}

void weir_letterbox_write(struct weir_letterbox *letterbox, struct weir_letter *letter)
{
    struct weir_letter_cut cut;
    uint64_t size;
    enum weir_status status = cut_and_measure(letter, &cut, &size);
    if (status != WEIR_OK) {
        tell_failure(status);
        letter->done(letter, WEIR_EIO);
        return;
    }
    status = make_room(letterbox, size);
    if (status == WEIR_EFULL && !has_room(letterbox, size) && !letterbox->options.evict) {
        set_full(letterbox, size);
        letter->done(letter, WEIR_EFULL);
    } else {
        append_pending(letterbox, letter, size);
        status = status == WEIR_OK ? append(letterbox, &cut) : status;
        if (status != WEIR_OK) {
            recover(letterbox, status);
        }
    }
    weir_letter_cut_done(&cut);
}

/* While it is full: whether somebody has made room. */
void weir_letterbox_look_for_room(struct weir_letterbox *letterbox)
{
    if (!get_flag(&letterbox->full) || weir_letter_files_stock(&letterbox->files) != WEIR_OK) {
        return;
    }
    int64_t free_bytes = letterbox->options.disk.ops->free_bytes(letterbox->options.disk.self);
    if (has_room(letterbox, letterbox->refused_bytes) && free_bytes >= 0 &&
        (uint64_t)free_bytes >= letterbox->refused_bytes) {
        weir_log(WEIR_LOG_INFO, "dead letter has room",
                 WEIR_LOG_INT("bytes", letterbox->files.bytes));
        set_flag(&letterbox->full, false);
    }
    weir_letterbox_show(letterbox);
}
