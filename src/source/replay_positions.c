/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far each file was taken.
 *
 *   "replay-positions", a line each, 59 bytes, the last one of a file counts:
 *
 *   [ 32 hex: the file ][ ' ' ][ 16 hex: offset ][ ' ' ][ 8 hex: CRC-32C of all before ][ LF ]
 *
 *   in memory: a table with linear probing, at most half full, doubled; id {0,0} is an empty slot
 *
 * At an opening that finds more than twice as many lines as files, a new file replaces the old one:
 * written, synced, renamed.
 *
 *   I1  a line that does not check is no line: a torn end costs a position, and the ids of the
 *       requests make up for it
 *   I2  nothing here stands in the way of a replay: whatever cannot be written is left out
 *
 * One thread.
 */
#include "replay_internal.h"
#include "weir/buf.h"
#include "weir/crc32c.h"
#include "weir/mem.h"
#include <inttypes.h>
#include <stdio.h>

#define NAME     "replay-positions"
#define NEW_NAME "replay-positions.new"
enum { LINE = 59, CHECKED = 50, SLOTS_MIN = 64, SPARE_LINES = 64 };
#define FILE_MAX ((size_t)1 << 30)

struct slot {
    struct weir_source_id id;
    uint64_t offset;
};

struct weir_replay_positions {
    struct weir_disk disk;
    int file; /* -1: cannot be written */
    struct slot *slots;
    size_t slot_count, used, lines;
};

static bool is_same(struct weir_source_id a, struct weir_source_id b)
{
    return a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

/* The slot of an id, or the empty one where it would be. */
static struct slot *find(const struct weir_replay_positions *positions, struct weir_source_id id)
{
    size_t at = (size_t)id.words[0] & (positions->slot_count - 1);
    while (!is_same(positions->slots[at].id, id) &&
           !is_same(positions->slots[at].id, (struct weir_source_id){{0, 0}})) {
        at = (at + 1) & (positions->slot_count - 1);
    }
    return &positions->slots[at];
}

static bool grow(struct weir_replay_positions *positions)
{
    struct weir_replay_positions old = *positions;
    size_t count = old.slot_count == 0 ? SLOTS_MIN : old.slot_count * 2;
    struct slot *slots = weir_mem_zalloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    positions->slots = slots;
    positions->slot_count = count;
    for (size_t i = 0; i < old.slot_count; i++) {
        if (!is_same(old.slots[i].id, (struct weir_source_id){{0, 0}})) {
            *find(positions, old.slots[i].id) = old.slots[i];
        }
    }
    weir_mem_free(old.slots);
    return true;
}

static bool remember(struct weir_replay_positions *positions, struct weir_source_id id,
                     uint64_t offset)
{
    if (positions->used * 2 >= positions->slot_count && !grow(positions)) {
        return false;
    }
    struct slot *slot = find(positions, id);
    positions->used += is_same(slot->id, id) ? 0 : 1;
    *slot = (struct slot){id, offset};
    return true;
}

static void format(char *line, struct weir_source_id id, uint64_t offset)
{
    (void)snprintf(line, LINE + 1, "%016" PRIx64 "%016" PRIx64 " %016" PRIx64 " ", id.words[0],
                   id.words[1], offset);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(line, CHECKED));
    (void)snprintf(line + CHECKED, LINE + 1 - CHECKED, "%08" PRIx32 "\n", crc);
}

/* Lower-case hexadecimal digits; what else stands there the checksum finds. */
static uint64_t hex(const uint8_t *text, size_t digits)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        uint8_t digit = text[i] >= 'a' ? (uint8_t)(text[i] - 'a' + 10) : (uint8_t)(text[i] - '0');
        value = value << 4 | (digit & 15U);
    }
    return value;
}

static bool read_line(struct weir_replay_positions *positions, const uint8_t *line)
{
    char again[LINE + 1];
    struct weir_source_id id = {{hex(line, 16), hex(line + 16, 16)}};
    uint64_t offset = hex(line + 33, 16);
    format(again, id, offset);
    return memcmp(again, line, LINE) != 0 || remember(positions, id, offset);
}

static enum weir_status read_all(struct weir_replay_positions *positions, int file)
{
    uint8_t chunk[LINE * 256];
    size_t got = 0;
    uint64_t offset = 0;
    do {
        WEIR_TRY(weir_disk_read(&positions->disk, file, chunk, sizeof chunk, offset, &got));
        for (size_t at = 0; at + LINE <= got; at += LINE) {
            positions->lines++;
            if (!read_line(positions, chunk + at)) {
                return WEIR_ENOMEM;
            }
        }
        offset += got;
    } while (got == sizeof chunk && offset < FILE_MAX);
    return WEIR_OK;
}

static enum weir_status load(struct weir_replay_positions *positions)
{
    const struct weir_disk *disk = &positions->disk;
    int file = disk->ops->open(disk->self, NAME, WEIR_DISK_WRITE); /* READ would want alignment */
    if (file < 0) {
        enum weir_status status = weir_disk_status(file);
        return status == WEIR_ENOTFOUND ? WEIR_OK : WEIR_EIO;
    }
    enum weir_status status = read_all(positions, file);
    int64_t size = disk->ops->size(disk->self, file);
    if (size > 0 && size % LINE != 0) {
        int cut = disk->ops->truncate(disk->self, file, (uint64_t)(size - size % LINE));
        status = status == WEIR_OK && cut < 0 ? WEIR_EIO : status; /* lines would be out of step */
    }
    (void)disk->ops->close(disk->self, file);
    return status;
}

static void append(struct weir_replay_positions *positions, struct weir_bytes lines)
{
    struct iovec part = {.iov_len = lines.size};
    memcpy(&part.iov_base, &lines.data, sizeof part.iov_base); /* it is only read */
    if (positions->file >= 0 &&
        weir_disk_write(&positions->disk, positions->file, &part, 1, 0) != WEIR_OK) {
        (void)positions->disk.ops->close(positions->disk.self, positions->file);
        positions->file = -1;
    }
}

static void sync_and_close(struct weir_replay_positions *positions)
{
    if (positions->file >= 0) {
        (void)positions->disk.ops->sync(positions->disk.self, positions->file);
        (void)positions->disk.ops->close(positions->disk.self, positions->file);
        positions->file = -1;
    }
}

static int open_appending(const struct weir_replay_positions *positions, const char *name)
{
    return positions->disk.ops->open(positions->disk.self, name, WEIR_DISK_APPEND);
}

/* A file with one line for each slot in place of the old one. */
static void compact(struct weir_replay_positions *positions)
{
    const struct weir_disk *disk = &positions->disk;
    char line[LINE + 1];
    (void)disk->ops->remove(disk->self, NEW_NAME);
    positions->file = open_appending(positions, NEW_NAME);
    for (size_t i = 0; i < positions->slot_count; i++) {
        if (!is_same(positions->slots[i].id, (struct weir_source_id){{0, 0}})) {
            format(line, positions->slots[i].id, positions->slots[i].offset);
            append(positions, weir_bytes_of(line, LINE));
        }
    }
    bool written = positions->file >= 0 && disk->ops->sync(disk->self, positions->file) >= 0;
    sync_and_close(positions);
    if (written) {
        (void)disk->ops->rename(disk->self, NEW_NAME, NAME);
        (void)disk->ops->sync_directory(disk->self, "");
    }
}

enum weir_status weir_replay_positions_open(const struct weir_disk *disk, bool restart,
                                            struct weir_replay_positions **ret)
{
    struct weir_replay_positions *positions = weir_mem_zalloc(1, sizeof *positions);
    if (positions == NULL) {
        return WEIR_ENOMEM;
    }
    positions->disk = *disk;
    positions->file = -1;
    enum weir_status status = grow(positions) ? WEIR_OK : WEIR_ENOMEM;
    if (status == WEIR_OK && restart) {
        (void)disk->ops->remove(disk->self, NAME);
    } else if (status == WEIR_OK) {
        status = load(positions);
    }
    if (status != WEIR_OK) {
        weir_replay_positions_close(positions);
        return status;
    }
    if (positions->lines > positions->used * 2 + SPARE_LINES) {
        compact(positions);
    }
    positions->file = open_appending(positions, NAME);
    *ret = positions;
    return WEIR_OK;
}

void weir_replay_positions_close(struct weir_replay_positions *positions)
{
    if (positions == NULL) {
        return;
    }
    sync_and_close(positions);
    weir_mem_free(positions->slots);
    weir_mem_free(positions);
}

uint64_t weir_replay_positions_get(const struct weir_replay_positions *positions,
                                   struct weir_source_id id)
{
    return find(positions, id)->offset;
}

void weir_replay_positions_put(struct weir_replay_positions *positions, struct weir_source_id id,
                               uint64_t offset)
{
    char line[LINE + 1];
    if (remember(positions, id, offset)) {
        format(line, id, offset);
        append(positions, weir_bytes_of(line, LINE));
    }
}
