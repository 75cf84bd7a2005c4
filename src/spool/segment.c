/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the spool: taking, ending and releasing segments. The stock of spare files is in
 * segment_spares.c.
 *
 *   |◄──────────────────────────── limit ────────────────────────────►|
 *   [ sealed | sealed, cut | active | oversized ][ spare | spare ][   ]
 *   |◄───────────────── used ──────────────────►|◄───── free ────────►|
 *
 * A segment's life, and who takes each edge:
 *
 *   spare  ──► active   weir_segments_take: renamed, directory synced, header written
 *   (none) ──► active   weir_segments_take: created, reserved, directory synced, header written
 *   active ──► sealed   weir_segments_seal: closed, cut to what is used where wanted
 *   sealed ──► spare    weir_segments_release: renamed; every block of it was reserved and most
 *                       were written, and its records are dead by the salt of its next life
 *   sealed ──► (none)   weir_segments_release: cut, tainted, of another size, or enough spares
 *   (none) ──► spare    weir_segments_prepare, and at start what is there
 *
 *   I1  used + bytes of spares <= limit, from the moment weir_segments_prepare has had its say
 *       about what a start found; used alone is above it only where a start found more (a lower
 *       limit)
 *   I2  weir_segments_take returns a file whose name is durable; its header is not yet, and need
 *       not be: the first commit's sync makes both durable at once. A header that is the file's
 *       last life's says so by its number
 *   I3  next_number only grows, and each number is used for one file
 *   I4  a file on which anything failed is never used again
 *
 * Threads: one lock around everything but reading `used`. It is held over system calls; the longest
 * is a step of zeroing. That the lane may have to wait for such a step once a segment was taken
 * against a second lock and a state "busy" of spares that would let it pass.
 *
 * When the limit is reached: WEIR_EFULL, but spares give way first, and the last segment may be
 * smaller than usual. When the disk is full although the limit is not: the same. When a file cannot
 * be removed or renamed: it keeps counting as used, and the next start meets it again.
 *
 * Not here: reading, what is in a segment, and when it is owed to nobody.
 */
#include "segment_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rand.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { INTERRUPTIONS_MAX = 100 };

static void lock(struct weir_segments *segments)
{
    int locked = pthread_mutex_lock(&segments->lock);
    WEIR_ASSERT(locked == 0);
}

static void unlock(struct weir_segments *segments)
{
    int unlocked = pthread_mutex_unlock(&segments->lock);
    WEIR_ASSERT(unlocked == 0);
}

/* Relaxed: a number that stands for itself; its writers are ordered by the lock, and those who read
 * without (weir_segments_free_bytes) have to live with one that is a moment old. */
static uint64_t used_bytes(const struct weir_segments *segments)
{
    return atomic_load_explicit(&segments->used, memory_order_relaxed);
}

static void set_used(struct weir_segments *segments, uint64_t bytes)
{
    /* partner: used_bytes, see there */
    atomic_store_explicit(&segments->used, bytes, memory_order_relaxed);
}

/* A file may have shrunk behind our back: never below nothing. */
static void give_back(struct weir_segments *segments, uint64_t bytes)
{
    uint64_t used = used_bytes(segments);
    set_used(segments, used > bytes ? used - bytes : 0);
}

void weir_segments_name(uint64_t number, bool is_spare, char ret[WEIR_SEGMENT_FILE_NAME])
{
    int size = snprintf(ret, WEIR_SEGMENT_FILE_NAME, "%016" PRIx64 "%s", number,
                        is_spare ? ".spare" : ".segment");
    WEIR_ASSERT(size > 0 && size < WEIR_SEGMENT_FILE_NAME);
}

uint64_t weir_segments_unused(const struct weir_segments *segments)
{
    uint64_t spares = segments->spare_count * segments->options.segment_bytes;
    uint64_t taken = used_bytes(segments) + spares;
    return taken < segments->options.limit ? segments->options.limit - taken : 0;
}

/* Seeded: the same number gives the same salt, and no number comes twice. */
static uint64_t salt_of(const struct weir_segments *segments, uint64_t number)
{
    uint64_t salt;
    if (segments->options.seed == 0) {
        weir_rand_system(&salt, sizeof salt);
        return salt;
    }
    struct weir_rand rand;
    weir_rand_init(&rand, segments->options.seed ^ number * UINT64_C(0x9E3779B97F4A7C15));
    return weir_rand_u64(&rand);
}

struct weir_frame_segment weir_segments_header(const struct weir_segments *segments,
                                               uint64_t number, uint64_t size,
                                               const struct weir_frame_segment *roster)
{
    struct weir_frame_segment header = {0};
    if (roster != NULL) {
        header = *roster;
    }
    header.version = segments->options.version;
    header.number = number;
    header.salt = salt_of(segments, number);
    header.size = size;
    header.mended = false;
    return header;
}

enum weir_status weir_segments_put_header(const struct weir_segments *segments, int file,
                                          const struct weir_frame_segment *header)
{
    uint8_t bytes[WEIR_FRAME_SEGMENT_HEADER];
    weir_frame_segment_write(header, bytes);
    struct iovec part = {bytes, sizeof bytes};
    return weir_disk_write(segments->options.disk, file, &part, 1, 0);
}

static int allocate(const struct weir_disk *disk, int file, uint64_t size)
{
    int result = -EINTR;
    for (int i = 0; i < INTERRUPTIONS_MAX && result == -EINTR; i++) {
        result = disk->ops->allocate(disk->self, file, size);
    }
    return result;
}

/* Whatever went wrong: no room is told apart, all else is the same to the caller. */
static enum weir_status failure_of(int64_t result)
{
    return weir_disk_status(result) == WEIR_EFULL ? WEIR_EFULL : WEIR_EIO;
}

enum weir_status weir_segments_create(const struct weir_segments *segments, const char *name,
                                      uint64_t size, int *ret_file)
{
    const struct weir_disk *disk = segments->options.disk;
    int file = disk->ops->open(disk->self, name, WEIR_DISK_CREATE);
    if (file < 0) {
        return failure_of(file);
    }
    int result = allocate(disk, file, size);
    if (result < 0) {
        (void)disk->ops->close(disk->self, file);
        (void)disk->ops->remove(disk->self, name);
        return failure_of(result);
    }
    *ret_file = file;
    return WEIR_OK;
}

enum weir_status weir_segments_new(const struct weir_segments_options *options,
                                   uint64_t next_number, struct weir_segments **ret)
{
    WEIR_ASSERT(options->segment_bytes % WEIR_FRAME_COMMIT_ALIGN == 0);
    WEIR_ASSERT(options->segment_bytes > WEIR_FRAME_SEGMENT_HEADER);
    WEIR_ASSERT(options->version >= WEIR_FRAME_VERSION_MIN);
    WEIR_ASSERT(options->version <= WEIR_FRAME_VERSION);
    struct weir_segments *segments = weir_mem_zalloc(1, sizeof *segments);
    if (segments == NULL) {
        return WEIR_ENOMEM;
    }
    int initialised = pthread_mutex_init(&segments->lock, NULL);
    WEIR_ASSERT(initialised == 0);
    segments->options = *options;
    segments->next_number = next_number > 0 ? next_number : 1; /* 0 stands for spares */
    segments->spares_wanted = options->limit / options->segment_bytes >= 8 ? 2 : 1;
    _Static_assert(WEIR_SPARES_MAX >= 2, "as many as can be wanted");
    enum weir_status status = weir_segments_find_spares(segments);
    if (status != WEIR_OK) {
        weir_segments_free(segments);
        return status;
    }
    *ret = segments;
    return WEIR_OK;
}

void weir_segments_free(struct weir_segments *segments)
{
    if (segments == NULL) {
        return;
    }
    uint64_t number;
    while (weir_segments_pick_spare(segments, &number)) {
        /* closed; its file stays for the next start */
    }
    pthread_mutex_destroy(&segments->lock);
    weir_mem_free(segments);
}

void weir_segments_adopt(struct weir_segments *segments, uint64_t bytes)
{
    lock(segments);
    set_used(segments, used_bytes(segments) + bytes);
    unlock(segments);
}

uint64_t weir_segments_free_bytes(const struct weir_segments *segments)
{
    uint64_t used = used_bytes(segments);
    return used < segments->options.limit ? segments->options.limit - used : 0;
}

/* The last steps of both ways to a segment. The name first: a header in a file whose name is lost
 * is nobody's. The file is removed where this fails. */
static enum weir_status make_ready(struct weir_segments *segments, const char *name, int file,
                                   const struct weir_frame_segment *header)
{
    const struct weir_disk *disk = segments->options.disk;
    enum weir_status status = WEIR_EIO;
    if (disk->ops->sync_directory(disk->self, "") >= 0) {
        segments->names_changed = false;
        status = weir_segments_put_header(segments, file, header);
    }
    if (status != WEIR_OK) {
        (void)disk->ops->close(disk->self, file);
        (void)disk->ops->remove(disk->self, name);
        segments->names_changed = true;
    }
    return status;
}

static void hand_out(struct weir_segments *segments, const struct weir_frame_segment *header,
                     int file, struct weir_segment *ret)
{
    set_used(segments, used_bytes(segments) + header->size);
    const struct weir_disk *disk = segments->options.disk;
    char name[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(header->number, false, name);
    *ret = (struct weir_segment){.header = *header,
                                 .file = file,
                                 .direct = disk->ops->open(disk->self, name, WEIR_DISK_DIRECT),
                                 .position = WEIR_FRAME_SEGMENT_HEADER};
}

/* WEIR_ENOTFOUND: there is no spare, or it was of no use and is gone. */
static enum weir_status take_spare(struct weir_segments *segments,
                                   const struct weir_frame_segment *roster,
                                   struct weir_segment *ret)
{
    const struct weir_disk *disk = segments->options.disk;
    uint64_t old_number;
    if (!weir_segments_pick_spare(segments, &old_number)) {
        return WEIR_ENOTFOUND;
    }
    struct weir_frame_segment header = weir_segments_header(
        segments, segments->next_number++, segments->options.segment_bytes, roster);
    char spare[WEIR_SEGMENT_FILE_NAME];
    char name[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(old_number, true, spare);
    weir_segments_name(header.number, false, name);
    int file = disk->ops->open(disk->self, spare, WEIR_DISK_WRITE);
    if (file < 0 || disk->ops->rename(disk->self, spare, name) < 0) {
        if (file >= 0) {
            (void)disk->ops->close(disk->self, file);
        }
        (void)disk->ops->remove(disk->self, spare);
        segments->names_changed = true;
        return WEIR_ENOTFOUND;
    }
    WEIR_TRY(make_ready(segments, name, file, &header));
    hand_out(segments, &header, file, ret);
    return WEIR_OK;
}

static enum weir_status take_new(struct weir_segments *segments, uint64_t size,
                                 const struct weir_frame_segment *roster, struct weir_segment *ret)
{
    struct weir_frame_segment header =
        weir_segments_header(segments, segments->next_number++, size, roster);
    char name[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(header.number, false, name);
    int file = -1;
    WEIR_TRY(weir_segments_create(segments, name, size, &file));
    WEIR_TRY(make_ready(segments, name, file, &header));
    hand_out(segments, &header, file, ret);
    return WEIR_OK;
}

/* A file of the usual size, or as large as `need`, or as what is left of the limit allows; spares
 * give way. Ends: each turn has a spare less, or a smaller size. */
static enum weir_status take_fitting(struct weir_segments *segments, uint64_t need,
                                     const struct weir_frame_segment *roster,
                                     struct weir_segment *ret)
{
    uint64_t size = need > segments->options.segment_bytes ? need : segments->options.segment_bytes;
    for (;;) {
        uint64_t unused = weir_segments_unused(segments) & ~(WEIR_FRAME_COMMIT_ALIGN - 1);
        if (unused < size && weir_segments_drop_spare(segments)) {
            continue;
        }
        size = unused < size && unused > need ? unused : size;
        enum weir_status status =
            unused < size ? WEIR_EFULL : take_new(segments, size, roster, ret);
        if (status != WEIR_EFULL) {
            return status;
        }
        if (!weir_segments_drop_spare(segments)) {
            if (size == need) {
                return WEIR_EFULL;
            }
            size = need;
        }
    }
}

enum weir_status weir_segments_take(struct weir_segments *segments, uint64_t bytes,
                                    const struct weir_frame_segment *roster,
                                    struct weir_segment *ret)
{
    uint64_t need;
    if (__builtin_add_overflow(bytes, WEIR_FRAME_SEGMENT_HEADER + WEIR_FRAME_COMMIT_ALIGN - 1,
                               &need)) {
        return WEIR_EFULL;
    }
    need &= ~(uint64_t)(WEIR_FRAME_COMMIT_ALIGN - 1);
    if (need == WEIR_FRAME_SEGMENT_HEADER) {
        need += WEIR_FRAME_COMMIT_ALIGN; /* a segment of a header alone is none */
    }
    lock(segments);
    segments->blocked = false;
    bool is_usual = need <= segments->options.segment_bytes;
    enum weir_status status = is_usual ? take_spare(segments, roster, ret) : WEIR_ENOTFOUND;
    if (status == WEIR_ENOTFOUND) {
        status = take_fitting(segments, need, roster, ret);
    }
    unlock(segments);
    return status;
}

void weir_segments_seal(struct weir_segments *segments, struct weir_segment *segment, bool cut)
{
    const struct weir_disk *disk = segments->options.disk;
    WEIR_ASSERT(segment->file >= 0);
    WEIR_ASSERT(segment->position <= segment->header.size);
    lock(segments);
    if (cut && disk->ops->truncate(disk->self, segment->file, segment->position) >= 0) {
        give_back(segments, segment->header.size - segment->position);
    }
    (void)disk->ops->close(disk->self, segment->file); /* all that counts was synced */
    segment->file = -1;
    if (segment->direct >= 0) {
        (void)disk->ops->close(disk->self, segment->direct);
        segment->direct = -1;
    }
    unlock(segments);
}

/* What a file takes now; a cut one less than its header says. */
static uint64_t size_on_disk(const struct weir_disk *disk, const char *name, uint64_t otherwise)
{
    int file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    if (file < 0) {
        return otherwise;
    }
    int64_t size = disk->ops->size(disk->self, file);
    (void)disk->ops->close(disk->self, file);
    return size < 0 ? otherwise : (uint64_t)size;
}

static bool recycle(struct weir_segments *segments, uint64_t number, const char *name)
{
    const struct weir_disk *disk = segments->options.disk;
    char spare[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(number, true, spare);
    if (segments->spare_count >= segments->spares_wanted ||
        disk->ops->rename(disk->self, name, spare) < 0) {
        return false;
    }
    segments->spares[segments->spare_count++] = (struct weir_spare){
        .number = number, .zeroed = segments->options.segment_bytes, .file = -1, .clean = true};
    return true;
}

void weir_segments_release(struct weir_segments *segments, const struct weir_frame_segment *header,
                           bool cut_or_tainted)
{
    const struct weir_disk *disk = segments->options.disk;
    char name[WEIR_SEGMENT_FILE_NAME];
    weir_segments_name(header->number, false, name);
    lock(segments);
    segments->blocked = false;
    bool is_usual = !cut_or_tainted && header->size == segments->options.segment_bytes;
    uint64_t size = is_usual ? header->size : size_on_disk(disk, name, header->size);
    int removed = 0;
    if (!is_usual || !recycle(segments, header->number, name)) {
        removed = disk->ops->remove(disk->self, name);
    }
    if (removed >= 0 || removed == -ENOENT) {
        give_back(segments, size);
        segments->names_changed = true;
    }
    unlock(segments);
}
