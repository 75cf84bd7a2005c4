/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stock of spare files, made in idle time so that the lane finds blocks that were written
 * before.
 *
 *   spare  [ segment header, number 0 | zeros ....................... ]   clean: zeroed to the end
 *          [ zeros ........ | unwritten blocks ....................... ]   on the way
 *                           ^ zeroed
 *          [ a segment's header | dead records ....................... ]   clean: recycled
 *
 * The header is written last and only when all zeros are on the disk, so a start knows a clean
 * spare by the one intact header it begins with, whichever that is; all others are zeroed again
 * from their begin. No header makes a spare a segment: the name does, and the number in the header
 * is not the one in the name.
 *
 * Each step is synced by itself: one sync of 256 MiB at the end would stand in front of the lane's
 * own for as long as the disk needs for that. Zeros go past the page cache, which has better things
 * to hold, and from which copying them costs ten times the processor time of sending them.
 *
 * Made is one spare at most, and only when one will be wanted soon (the caller says). While
 * destinations keep up, segments come back as fast as they are filled, and after the first two no
 * zero is written any more: zeroing ahead of a ring that recycles itself would double what is
 * written.
 *
 *   I1  at most `spares_wanted` files, all of the usual size
 *   I2  a spare that anything failed on is removed, and nothing is tried again (`blocked`) before
 *       weir_segments_take or _release has been there
 *
 * Called with the lock of segment.c held but for weir_segments_prepare, which takes it, and
 * weir_segments_find_spares, which comes before any second thread.
 */
#include "segment_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"

/* Never written: the kernel's page of zeros behind all of it. */
static _Alignas(WEIR_DISK_BLOCK) uint8_t zeros[WEIR_SPARE_STEP];

static void close_file(const struct weir_segments *segments, struct weir_spare *spare)
{
    const struct weir_disk *disk = segments->options.disk;
    if (spare->file >= 0) {
        (void)disk->ops->close(disk->self, spare->file);
        spare->file = -1;
    }
}

static void forget(struct weir_segments *segments, size_t index)
{
    segments->spares[index] = segments->spares[--segments->spare_count];
}

static void remove_spare(struct weir_segments *segments, size_t index)
{
    const struct weir_disk *disk = segments->options.disk;
    struct weir_spare *spare = &segments->spares[index];
    char name[WEIR_SEGMENT_FILE_NAME];
    close_file(segments, spare);
    weir_segments_name(spare->number, true, name);
    (void)disk->ops->remove(disk->self, name);
    segments->names_changed = true;
    forget(segments, index);
}

/* The one that is furthest, or with `last` the one that is least far. */
static size_t choose(const struct weir_segments *segments, bool last)
{
    size_t chosen = 0;
    for (size_t i = 1; i < segments->spare_count; i++) {
        const struct weir_spare *spare = &segments->spares[i];
        const struct weir_spare *best = &segments->spares[chosen];
        bool further = spare->clean != best->clean ? spare->clean : spare->zeroed > best->zeroed;
        chosen = further != last ? i : chosen;
    }
    return chosen;
}

bool weir_segments_pick_spare(struct weir_segments *segments, uint64_t *ret_number)
{
    if (segments->spare_count == 0) {
        return false;
    }
    size_t chosen = choose(segments, false);
    close_file(segments, &segments->spares[chosen]);
    *ret_number = segments->spares[chosen].number;
    forget(segments, chosen);
    return true;
}

bool weir_segments_drop_spare(struct weir_segments *segments)
{
    if (segments->spare_count == 0) {
        return false;
    }
    remove_spare(segments, choose(segments, true));
    return true;
}

/* ---- at start ---- */

struct stock {
    uint64_t *numbers;
    size_t count;
    size_t capacity;
    bool no_memory;
};

static bool parse_spare(const char *name, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) {
            return false; /* the end, too */
        }
        number = number << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return strcmp(name + 16, ".spare") == 0;
}

static void visit_name(void *argument, const char *name)
{
    struct stock *stock = argument;
    uint64_t number;
    if (stock->no_memory || !parse_spare(name, &number)) {
        return;
    }
    if (stock->count == stock->capacity) {
        size_t capacity = stock->capacity * 2 + 8;
        uint64_t *larger = weir_mem_resize(stock->numbers, capacity, sizeof *larger);
        if (larger == NULL) {
            stock->no_memory = true;
            return;
        }
        stock->numbers = larger;
        stock->capacity = capacity;
    }
    stock->numbers[stock->count++] = number;
}

/* Whether a file is of the usual size, and whether it says that it is clean. */
static bool look_at(const struct weir_segments *segments, const char *name, bool *ret_clean)
{
    const struct weir_disk *disk = segments->options.disk;
    int file = disk->ops->open(disk->self, name, WEIR_DISK_WRITE);
    if (file < 0) {
        return false;
    }
    uint8_t bytes[WEIR_FRAME_SEGMENT_HEADER];
    size_t size = 0;
    int64_t file_size = disk->ops->size(disk->self, file);
    bool is_usual = file_size >= 0 && (uint64_t)file_size == segments->options.segment_bytes;
    bool is_read = is_usual && weir_disk_read(disk, file, bytes, sizeof bytes, 0, &size) == WEIR_OK;
    (void)disk->ops->close(disk->self, file);
    struct weir_frame_segment header;
    *ret_clean = is_read && weir_frame_segment_read(weir_bytes_of(bytes, size), &header) == WEIR_OK;
    return is_read;
}

static void keep_or_remove(struct weir_segments *segments, uint64_t number)
{
    const struct weir_disk *disk = segments->options.disk;
    char name[WEIR_SEGMENT_FILE_NAME];
    bool clean = false;
    weir_segments_name(number, true, name);
    if (segments->spare_count < segments->spares_wanted && look_at(segments, name, &clean)) {
        segments->spares[segments->spare_count++] = (struct weir_spare){
            .number = number,
            .zeroed = clean ? segments->options.segment_bytes : 0,
            .file = -1,
            .clean = clean,
        };
    } else {
        (void)disk->ops->remove(disk->self, name);
        segments->names_changed = true;
    }
    if (number >= segments->next_number) {
        segments->next_number = number + 1;
    }
}

enum weir_status weir_segments_find_spares(struct weir_segments *segments)
{
    const struct weir_disk *disk = segments->options.disk;
    struct stock stock = {NULL, 0, 0, false};
    int listed = disk->ops->list(disk->self, "", visit_name, &stock);
    bool is_good = listed >= 0 && !stock.no_memory;
    for (size_t i = 0; is_good && i < stock.count; i++) {
        keep_or_remove(segments, stock.numbers[i]);
    }
    weir_mem_free(stock.numbers);
    if (stock.no_memory) {
        return WEIR_ENOMEM;
    }
    return listed < 0 ? WEIR_EIO : WEIR_OK;
}

/* ---- ahead ---- */

static bool open_spare(const struct weir_segments *segments, struct weir_spare *spare,
                       enum weir_disk_mode mode)
{
    const struct weir_disk *disk = segments->options.disk;
    if (spare->file < 0) {
        char name[WEIR_SEGMENT_FILE_NAME];
        weir_segments_name(spare->number, true, name);
        spare->file = disk->ops->open(disk->self, name, mode);
    }
    return spare->file >= 0;
}

/* The mark that says that all of it is zeros. */
static bool mark_clean(struct weir_segments *segments, struct weir_spare *spare)
{
    const struct weir_disk *disk = segments->options.disk;
    struct weir_frame_segment mark =
        weir_segments_header(segments, 0, segments->options.segment_bytes, NULL);
    close_file(segments, spare); /* a header is no block that could go past the cache */
    spare->clean = open_spare(segments, spare, WEIR_DISK_WRITE) &&
                   weir_segments_put_header(segments, spare->file, &mark) == WEIR_OK &&
                   disk->ops->sync(disk->self, spare->file) >= 0;
    close_file(segments, spare);
    return spare->clean;
}

/* One step, or the mark after the last. */
static bool zero_some(struct weir_segments *segments, struct weir_spare *spare)
{
    const struct weir_disk *disk = segments->options.disk;
    uint64_t left = segments->options.segment_bytes - spare->zeroed;
    struct iovec part = {zeros, left < sizeof zeros ? (size_t)left : sizeof zeros};
    size_t size = part.iov_len;
    if (left == 0) {
        return mark_clean(segments, spare);
    }
    if (!open_spare(segments, spare, WEIR_DISK_DIRECT) ||
        weir_disk_write(disk, spare->file, &part, 1, spare->zeroed) != WEIR_OK ||
        disk->ops->sync(disk->self, spare->file) < 0) {
        return false;
    }
    spare->zeroed += size;
    return true;
}

static bool make_spare(struct weir_segments *segments)
{
    struct weir_spare spare = {.number = segments->next_number++, .file = -1};
    char name[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(spare.number, true, name);
    if (weir_segments_create(segments, name, segments->options.segment_bytes, &spare.file) !=
        WEIR_OK) {
        return false;
    }
    close_file(segments, &spare); /* opened anew for the zeros */
    segments->spares[segments->spare_count++] = spare;
    return true;
}

static bool is_over_limit(const struct weir_segments *segments)
{
    uint64_t spares = segments->spare_count * segments->options.segment_bytes;
    return spares > weir_segments_free_bytes(segments);
}

static bool sync_names(struct weir_segments *segments)
{
    const struct weir_disk *disk = segments->options.disk;
    if (disk->ops->sync_directory(disk->self, "") < 0) {
        return false;
    }
    segments->names_changed = false;
    return true;
}

static size_t first_unclean(const struct weir_segments *segments)
{
    size_t i = 0;
    while (i < segments->spare_count && segments->spares[i].clean) {
        i++;
    }
    return i;
}

/* The one thing to do next; *ret_more: there was one. False: it failed. */
static bool do_one_thing(struct weir_segments *segments, bool soon, bool *ret_more)
{
    *ret_more = true;
    if (segments->names_changed) {
        return sync_names(segments);
    }
    if (is_over_limit(segments)) {
        return weir_segments_drop_spare(segments);
    }
    size_t unclean = soon ? first_unclean(segments) : segments->spare_count;
    if (unclean < segments->spare_count) {
        bool good = zero_some(segments, &segments->spares[unclean]);
        if (!good) {
            remove_spare(segments, unclean);
        }
        return good;
    }
    if (soon && segments->spare_count == 0 &&
        weir_segments_unused(segments) >= segments->options.segment_bytes) {
        return make_spare(segments);
    }
    *ret_more = false;
    return true;
}

bool weir_segments_prepare(struct weir_segments *segments, bool soon)
{
    int locked = pthread_mutex_lock(&segments->lock);
    WEIR_ASSERT(locked == 0);
    bool more = false;
    if (!segments->blocked) {
        segments->blocked = !do_one_thing(segments, soon, &more);
    }
    more = more && !segments->blocked;
    int unlocked = pthread_mutex_unlock(&segments->lock);
    WEIR_ASSERT(unlocked == 0);
    return more;
}
