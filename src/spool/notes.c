/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the release log. notes_bytes.c has what is in them.
 *
 *   notes.0000000000000007   [ header ][ snapshot ][ frame ][ frame ]   appended to
 *   notes.0000000000000008   [ header ][ snapshot ]                     to be the next
 *   set-aside/notes....      of a version that we cannot read, or damaged with nothing to follow it
 *
 *   (none) ─open─► whole ──append fails, or a snapshot may or may not be there──► failed
 *                    ▲                                                              │
 *                    └───────────────────────── snapshot ───────────────────────────┘
 *
 *   none -> whole       begin, take_over (weir_notes_open)
 *   whole -> failed     weir_notes_append, weir_notes_write, weir_notes_snapshot
 *   failed -> whole     weir_notes_snapshot
 *
 * Which file counts after a crash: the one with the highest number whose header and first frame
 * check. A new file is complete and durable before the old one is removed, so there is always one.
 *
 *   I1  a file is never written or synced again after a failure
 *   I2  numbers are never used twice, those in set-aside/ among them
 *   I3  a file that may win after a crash is the last one that was told anything: when a new file
 *       was written but its directory did not sync, nothing more goes to the old one
 *   I4  every file of a directory's log has the same hash key
 *
 * Reading bypasses the page cache, so that what a failed sync left there is not taken for durable.
 * Threads: one, but for weir_notes_write; `lock` is for what that looks at, and held over writes to
 * the log, not over syncs. Full: WEIR_EFULL, the keeper comes again. Deliberately remembers nothing
 * of notes but their bytes' number.
 */
#include "notes_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rand.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { FILES_MAX = 32, NAME_SIZE = 22 /* notes. and 16 digits */, GROWN_MIN = 1 << 20 };

#define FILE_BYTES_MAX ((uint64_t)8 << 30)
#define ASIDE          "set-aside"

struct weir_notes {
    struct weir_disk disk;
    struct weir_rand rand;
    bool is_seeded;
    struct weir_notes_header header;
    uint64_t next_number;
    pthread_mutex_t lock; /* the next three, and the header */
    int file;
    uint64_t size; /* the next frame goes here */
    bool failed;
    uint64_t snapshot_size; /* of the file when it began */
    bool other_version;     /* the file's is not the one to write */
};

/* What the directory has. */
struct listing {
    uint64_t numbers[FILES_MAX]; /* descending */
    uint32_t count;
    uint64_t highest; /* seen anywhere */
};

struct name {
    char text[WEIR_DISK_NAME_MAX];
};

static struct name name_of(const char *folder, uint64_t number)
{
    struct name name;
    (void)snprintf(name.text, sizeof name.text, "%snotes.%016llx", folder,
                   (unsigned long long)number);
    return name;
}

static bool parse_name(const char *text, uint64_t *ret_number)
{
    if (strlen(text) != NAME_SIZE || memcmp(text, "notes.", 6) != 0) {
        return false;
    }
    uint64_t number = 0;
    for (const char *at = text + 6; *at != '\0'; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        if (!is_digit && (*at < 'a' || *at > 'f')) {
            return false;
        }
        number = number << 4 | (uint64_t)(is_digit ? *at - '0' : *at - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

/* -- what is there ------------------------------------------------------------------------- */

static void note_highest(void *argument, const char *text)
{
    struct listing *listing = argument;
    uint64_t number = 0;
    if (parse_name(text, &number) && number > listing->highest && number < UINT64_MAX) {
        listing->highest = number;
    }
}

/* Of more files than can be (two, after a crash) the newest count. */
static void note_file(void *argument, const char *text)
{
    struct listing *listing = argument;
    uint64_t number = 0;
    if (!parse_name(text, &number) || number == UINT64_MAX) {
        return;
    }
    note_highest(argument, text);
    uint32_t at = 0;
    while (at < listing->count && listing->numbers[at] > number) {
        at++;
    }
    if (at == FILES_MAX) {
        return;
    }
    uint32_t moved = (listing->count < FILES_MAX ? listing->count : FILES_MAX - 1) - at;
    memmove(listing->numbers + at + 1, listing->numbers + at, moved * sizeof listing->numbers[0]);
    listing->numbers[at] = number;
    listing->count += listing->count < FILES_MAX ? 1 : 0;
}

static enum weir_status list(const struct weir_disk *disk, struct listing *ret)
{
    *ret = (struct listing){.count = 0};
    if (disk->ops->list(disk->self, "", note_file, ret) < 0) {
        return WEIR_EIO;
    }
    int result = disk->ops->list(disk->self, ASIDE, note_highest, ret);
    return result < 0 && result != -ENOENT ? WEIR_EIO : WEIR_OK;
}

/* A whole file, in memory that the caller gives back. */
static enum weir_status read_open_file(const struct weir_disk *disk, int file, uint8_t **ret_memory,
                                       size_t *ret_size)
{
    int64_t size = disk->ops->size(disk->self, file);
    if (size < 0) {
        return WEIR_EIO;
    }
    if ((uint64_t)size > FILE_BYTES_MAX) {
        return WEIR_EMALFORMED;
    }
    size_t room = ((size_t)size / WEIR_DISK_BLOCK + 1) * WEIR_DISK_BLOCK;
    uint8_t *memory = weir_mem_aligned(WEIR_DISK_BLOCK, room);
    if (memory == NULL) {
        return WEIR_ENOMEM;
    }
    size_t got = 0;
    enum weir_status status = weir_disk_read(disk, file, memory, room, 0, &got);
    if (status != WEIR_OK) {
        weir_mem_free(memory);
        return status;
    }
    *ret_memory = memory;
    *ret_size = got;
    return WEIR_OK;
}

static enum weir_status read_file(const struct weir_disk *disk, uint64_t number,
                                  uint8_t **ret_memory, size_t *ret_size)
{
    int file = disk->ops->open(disk->self, name_of("", number).text, WEIR_DISK_READ);
    if (file < 0) {
        return WEIR_EIO;
    }
    enum weir_status status = read_open_file(disk, file, ret_memory, ret_size);
    (void)disk->ops->close(disk->self, file);
    return status;
}

/* Out of the way, by its own name; a failure leaves it, to be met again. */
static void set_aside(const struct weir_disk *disk, uint64_t number)
{
    (void)disk->ops->make_directory(disk->self, ASIDE);
    (void)disk->ops->rename(disk->self, name_of("", number).text, name_of(ASIDE "/", number).text);
    (void)disk->ops->sync_directory(disk->self, ASIDE);
    (void)disk->ops->sync_directory(disk->self, "");
}

/* -- opening ------------------------------------------------------------------------------- */

static void fill_random(struct weir_notes *notes, uint64_t *words, size_t count)
{
    if (!notes->is_seeded) {
        weir_rand_system(words, count * sizeof *words);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        words[i] = weir_rand_u64(&notes->rand);
    }
}

/* Whether the file can be the log: header and first frame check. WEIR_EMALFORMED, _EUNSUPPORTED. */
static enum weir_status check(uint64_t number, struct weir_bytes bytes,
                              struct weir_notes_header *ret)
{
    struct weir_notes_header header;
    WEIR_TRY(weir_notes_header_read(bytes, &header));
    struct weir_bytes left = weir_bytes_from(bytes, WEIR_NOTES_HEADER);
    struct weir_bytes snapshot;
    if (header.number != number ||
        weir_notes_frame_read(header.salt, &left, &snapshot) != WEIR_OK) {
        return WEIR_EMALFORMED;
    }
    *ret = header;
    return WEIR_OK;
}

/* The file is the log: its notes are visited, its torn tail is cut. What an earlier process wrote
 * and did not sync may be among them: the next append's sync covers it, before anything is done
 * about it. When it cannot be written any more the log has failed, and a snapshot helps. */
static void take_over(struct weir_notes *notes, struct weir_bytes bytes,
                      struct weir_notes_reader *reader)
{
    struct weir_bytes left = weir_bytes_from(bytes, WEIR_NOTES_HEADER);
    struct weir_bytes frame;
    while (weir_notes_frame_read(notes->header.salt, &left, &frame) == WEIR_OK) {
        notes->snapshot_size =
            notes->snapshot_size == 0 ? bytes.size - left.size : notes->snapshot_size;
        weir_notes_each(frame, reader->visit, reader->argument);
    }
    notes->size = bytes.size - left.size;
    reader->torn_bytes += left.size;
    const struct weir_disk *disk = &notes->disk;
    notes->file =
        disk->ops->open(disk->self, name_of("", notes->header.number).text, WEIR_DISK_WRITE);
    notes->failed =
        notes->file < 0 ||
        (left.size > 0 && disk->ops->truncate(disk->self, notes->file, notes->size) < 0);
}

/* One file, newest first. WEIR_OK: it is the log. WEIR_ENOTFOUND: it is not. */
static enum weir_status try_file(struct weir_notes *notes, uint64_t number,
                                 struct weir_notes_reader *reader)
{
    uint8_t *memory = NULL;
    size_t size = 0;
    enum weir_status status = read_file(&notes->disk, number, &memory, &size);
    if (status == WEIR_OK) {
        status = check(number, weir_bytes_of(memory, size), &notes->header);
    }
    if (status == WEIR_OK) {
        take_over(notes, weir_bytes_of(memory, size), reader);
    } else if (status == WEIR_EUNSUPPORTED) {
        set_aside(&notes->disk, number);
        reader->unreadable++;
        status = WEIR_ENOTFOUND;
    } else if (status == WEIR_EMALFORMED) {
        reader->torn_bytes += size;
        status = WEIR_ENOTFOUND;
    }
    weir_mem_free(memory);
    return status;
}

/* Those that lost: superseded, or torn before they counted. Without a winner they are kept. */
static void clear_others(const struct weir_notes *notes, const struct listing *listing, bool is_won)
{
    const struct weir_disk *disk = &notes->disk;
    for (uint32_t i = 0; i < listing->count; i++) {
        uint64_t number = listing->numbers[i];
        if (number == 0) {
            continue;
        }
        if (is_won && number != notes->header.number) {
            (void)disk->ops->remove(disk->self, name_of("", number).text);
        } else if (!is_won) {
            set_aside(disk, number);
        }
    }
}

/* The winner, its bytes and its name, before the others go. A failure ends the start: what is on
 * the disk then is for the next process to read. */
static enum weir_status make_sure(struct weir_notes *notes)
{
    const struct weir_disk *disk = &notes->disk;
    bool synced = notes->file < 0 || disk->ops->sync(disk->self, notes->file) == 0;
    return synced && disk->ops->sync_directory(disk->self, "") == 0 ? WEIR_OK : WEIR_EIO;
}

static enum weir_status open_log(struct weir_notes *notes, unsigned version,
                                 struct weir_notes_reader *reader)
{
    struct listing listing;
    WEIR_TRY(list(&notes->disk, &listing));
    notes->next_number = listing.highest + 1;
    enum weir_status status = WEIR_ENOTFOUND;
    for (uint32_t i = 0; i < listing.count && status == WEIR_ENOTFOUND; i++) {
        uint64_t unreadable = reader->unreadable;
        status = try_file(notes, listing.numbers[i], reader);
        if (reader->unreadable > unreadable) {
            listing.numbers[i] = 0; /* nobody's: it stays whatever comes */
        }
    }
    if (status != WEIR_OK && status != WEIR_ENOTFOUND) {
        return status;
    }
    if (status == WEIR_OK && listing.count > 1) { /* an earlier process may not have synced it */
        WEIR_TRY(make_sure(notes));
    }
    if (status != WEIR_OK || notes->file >= 0) {
        clear_others(notes, &listing, status == WEIR_OK);
    }
    notes->other_version = status == WEIR_OK && notes->header.version != version;
    notes->header.version = version;
    if (status == WEIR_OK) {
        return WEIR_OK;
    }
    fill_random(notes, notes->header.hash_key, 2);
    return weir_notes_snapshot(notes, weir_bytes_of(NULL, 0));
}

enum weir_status weir_notes_open(const struct weir_disk *disk, unsigned version, uint64_t seed,
                                 struct weir_notes_reader *reader, struct weir_notes **ret)
{
    WEIR_ASSERT(version <= WEIR_NOTES_VERSION);
    reader->torn_bytes = 0;
    reader->unreadable = 0;
    struct weir_notes *notes = weir_mem_zalloc(1, sizeof *notes);
    if (notes == NULL) {
        return WEIR_ENOMEM;
    }
    notes->disk = *disk;
    notes->file = -1;
    (void)pthread_mutex_init(&notes->lock, NULL);
    notes->is_seeded = seed != 0;
    weir_rand_init(&notes->rand, seed);
    enum weir_status status = open_log(notes, version == 0 ? WEIR_NOTES_VERSION : version, reader);
    if (status != WEIR_OK) {
        weir_notes_close(notes);
        return status;
    }
    *ret = notes;
    return WEIR_OK;
}

static void close_file(struct weir_notes *notes)
{
    if (notes->file >= 0) {
        (void)notes->disk.ops->close(notes->disk.self, notes->file);
        notes->file = -1;
    }
}

void weir_notes_close(struct weir_notes *notes)
{
    if (notes != NULL) {
        close_file(notes);
        (void)pthread_mutex_destroy(&notes->lock);
        weir_mem_free(notes);
    }
}

void weir_notes_hash_key(const struct weir_notes *notes, uint64_t ret_key[2])
{
    ret_key[0] = notes->header.hash_key[0];
    ret_key[1] = notes->header.hash_key[1];
}

/* -- writing ------------------------------------------------------------------------------- */

static enum weir_status write_frame(struct weir_notes *notes, struct weir_bytes notes_)
{
    if (notes->failed || notes_.size > UINT32_MAX - WEIR_NOTES_PAD_MAX) {
        return WEIR_EIO;
    }
    uint8_t frame[WEIR_NOTES_FRAME];
    uint8_t pad[WEIR_NOTES_PAD_MAX];
    size_t padded = weir_notes_pad(notes->size, notes_.size, pad);
    weir_notes_frame_write(notes->header.salt, notes_, weir_bytes_of(pad, padded), frame);
    struct iovec parts[3] = {
        {frame, sizeof frame},
        {(void *)(uintptr_t)notes_.data, notes_.size},
        {pad, padded},
    };
    enum weir_status status = weir_disk_write(&notes->disk, notes->file, parts, 3, notes->size);
    if (status != WEIR_OK) {
        notes->failed = true;
        return status == WEIR_EFULL ? WEIR_EFULL : WEIR_EIO;
    }
    notes->size += sizeof frame + notes_.size + padded;
    return WEIR_OK;
}

enum weir_status weir_notes_write(struct weir_notes *notes, struct weir_bytes notes_)
{
    if (notes_.size == 0) {
        return WEIR_OK;
    }
    (void)pthread_mutex_lock(&notes->lock);
    enum weir_status status = write_frame(notes, notes_);
    (void)pthread_mutex_unlock(&notes->lock);
    return status;
}

enum weir_status weir_notes_append(struct weir_notes *notes, struct weir_bytes notes_)
{
    WEIR_TRY(weir_notes_write(notes, notes_));
    if (notes_.size == 0) {
        return WEIR_OK;
    }
    enum weir_status status =
        weir_disk_status(notes->disk.ops->sync(notes->disk.self, notes->file));
    (void)pthread_mutex_lock(&notes->lock);
    notes->failed = notes->failed || status != WEIR_OK;
    (void)pthread_mutex_unlock(&notes->lock);
    return status == WEIR_OK || status == WEIR_EFULL ? status : WEIR_EIO;
}

bool weir_notes_wants_snapshot(struct weir_notes *notes)
{
    (void)pthread_mutex_lock(&notes->lock);
    bool wants = notes->failed || notes->other_version ||
                 (notes->size > GROWN_MIN && notes->size > 2 * notes->snapshot_size);
    (void)pthread_mutex_unlock(&notes->lock);
    return wants;
}

/* Writes the new file; *ret_file is it. `ret_doubt`: after a failure it may be found whole. */
static enum weir_status write_file(struct weir_notes *notes, const struct weir_notes_header *header,
                                   struct weir_bytes snapshot, int *ret_file, bool *ret_doubt)
{
    const struct weir_disk *disk = &notes->disk;
    int file = disk->ops->open(disk->self, name_of("", header->number).text, WEIR_DISK_CREATE);
    WEIR_TRY(weir_disk_status(file));
    uint8_t head[WEIR_NOTES_HEADER + WEIR_NOTES_FRAME];
    weir_notes_header_write(header, head);
    uint8_t pad[WEIR_NOTES_PAD_MAX];
    size_t padded = weir_notes_pad(WEIR_NOTES_HEADER, snapshot.size, pad);
    weir_notes_frame_write(header->salt, snapshot, weir_bytes_of(pad, padded),
                           head + WEIR_NOTES_HEADER);
    struct iovec parts[3] = {
        {head, sizeof head},
        {pad, padded},
        {pad, padded},
    };
    if (snapshot.size > 0) {
        parts[1] = (struct iovec){(void *)(uintptr_t)snapshot.data, snapshot.size};
    }
    enum weir_status status = weir_disk_write(disk, file, parts, snapshot.size == 0 ? 2 : 3, 0);
    *ret_doubt = status != WEIR_OK && status != WEIR_EFULL;
    if (status == WEIR_OK) {
        status = weir_disk_status(disk->ops->sync(disk->self, file));
        if (status == WEIR_OK) {
            status = weir_disk_status(disk->ops->sync_directory(disk->self, ""));
        }
        *ret_doubt = status != WEIR_OK;
    }
    if (status != WEIR_OK) {
        (void)disk->ops->close(disk->self, file);
        (void)disk->ops->remove(disk->self, name_of("", header->number).text);
        return status;
    }
    *ret_file = file;
    return WEIR_OK;
}

enum weir_status weir_notes_snapshot(struct weir_notes *notes, struct weir_bytes snapshot)
{
    if (snapshot.size > UINT32_MAX - WEIR_NOTES_PAD_MAX) {
        return WEIR_EFULL;
    }
    struct weir_notes_header header = notes->header;
    header.number = notes->next_number++;
    fill_random(notes, &header.salt, 1);
    int file = -1;
    bool doubt = false;
    enum weir_status status = write_file(notes, &header, snapshot, &file, &doubt);
    if (status != WEIR_OK) {
        (void)pthread_mutex_lock(&notes->lock);
        notes->failed = notes->failed || doubt; /* I3 */
        (void)pthread_mutex_unlock(&notes->lock);
        return status == WEIR_EFULL || status == WEIR_ENOMEM ? status : WEIR_EIO;
    }
    (void)pthread_mutex_lock(&notes->lock);
    bool has_old = notes->file >= 0 || notes->size > 0;
    close_file(notes);
    if (has_old) {
        const struct weir_disk *disk = &notes->disk;
        (void)disk->ops->remove(disk->self, name_of("", notes->header.number).text);
    }
    notes->header = header;
    notes->file = file;
    uint8_t pad[WEIR_NOTES_PAD_MAX];
    notes->size = WEIR_NOTES_HEADER + WEIR_NOTES_FRAME + snapshot.size +
                  weir_notes_pad(WEIR_NOTES_HEADER, snapshot.size, pad);
    notes->snapshot_size = notes->size;
    notes->failed = false;
    notes->other_version = false;
    (void)pthread_mutex_unlock(&notes->lock);
    return WEIR_OK;
}
