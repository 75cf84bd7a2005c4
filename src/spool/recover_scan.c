/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One segment, read from front to back by the headers of its records.
 *
 *   [ header ][ h | payload | h | payload | pad ][ h | payload | pad ][ ####### ][ h | payload ...
 *              └── hop ──────►└── hop ──────────►└── hop ────────────►│         ▲
 *                                                                     └ resync ─┘ every 64th byte
 *
 *   I1  a record is found when its header's checksum is right and its payload ends within the file:
 *       whatever lies before it
 *   I2  a resync goes to the end of the file: what is behind damage, or a torn commit, is found
 *   I3  no read is larger than the window, which is made once for a segment; payloads are read in
 *       pieces only to be checked
 *
 * Reads go past the page cache, so what is found is what the disk has. A block that cannot be read
 * counts as zeros. The cost: some pages for each large record, small ones all (a megabyte at a
 * time, as fast as the disk can), and all bytes behind the last one; that is little, because a
 * segment is sealed when the next commit does not fit, and an active one is cut at the next start.
 */
#include "recover_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <string.h>

#define HOP_BYTES    ((size_t)32 << 10)
#define HOP_MAX      ((size_t)1 << 20) /* where records are small, and each page has one */
#define WINDOW_BYTES (HOP_MAX + 2 * WEIR_DISK_BLOCK)
_Static_assert(HOP_MAX >= WEIR_FRAME_HEADER_MAX, "a header fits");

struct scan {
    const struct weir_disk *disk;
    int file;
    uint64_t size;   /* of the file */
    uint8_t *window; /* aligned, WINDOW_BYTES */
    uint64_t begin;  /* what of the file is in it */
    size_t filled;
    size_t hop;              /* how much is read at a time */
    uint64_t blocks_skipped; /* not readable */
};

/* -- bytes ---------------------------------------------------------------------------------- */

/* Block by block, zeros for those that cannot be read. */
static void read_around(struct scan *scan, uint64_t begin, size_t size)
{
    memset(scan->window, 0, size);
    for (size_t at = 0; at < size; at += WEIR_DISK_BLOCK) {
        size_t got = 0;
        enum weir_status status = weir_disk_read(scan->disk, scan->file, scan->window + at,
                                                 WEIR_DISK_BLOCK, begin + at, &got);
        scan->blocks_skipped += status == WEIR_OK ? 0 : 1;
    }
}

/* At least `wanted` bytes from `offset` on (fewer at the file's end), in the window. */
static struct weir_bytes view(struct scan *scan, uint64_t offset, size_t wanted)
{
    uint64_t left = scan->size - offset;
    wanted = wanted < left ? wanted : (size_t)left;
    if (offset < scan->begin || offset + wanted > scan->begin + scan->filled) {
        uint64_t begin = offset - offset % WEIR_DISK_BLOCK;
        size_t size = (size_t)(offset - begin) + wanted + WEIR_DISK_BLOCK - 1;
        size -= size % WEIR_DISK_BLOCK;
        WEIR_ASSERT(size <= WINDOW_BYTES);
        size_t got = 0;
        if (weir_disk_read(scan->disk, scan->file, scan->window, size, begin, &got) != WEIR_OK) {
            read_around(scan, begin, size);
            got = size;
        }
        if (got < size) {
            memset(scan->window + got, 0, size - got);
        }
        scan->begin = begin;
        scan->filled = size;
    }
    size_t skipped = (size_t)(offset - scan->begin);
    size_t size = scan->filled - skipped;
    size = size < left ? size : (size_t)left;
    return weir_bytes_of(scan->window + skipped, size);
}

/* Several small records a read: more and more as long as little is skipped between reads. */
static void view_some(struct scan *scan, uint64_t offset)
{
    bool is_dense = offset < scan->begin + scan->filled + HOP_BYTES;
    scan->hop = is_dense ? scan->hop * 2 : HOP_BYTES;
    scan->hop = scan->hop > HOP_MAX ? HOP_MAX : scan->hop;
    (void)view(scan, offset, scan->hop);
}

static enum weir_status open_scan(const struct weir_disk *disk,
                                  const struct weir_found_segment *segment, struct scan *ret)
{
    char name[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment->number, NULL, name);
    *ret = (struct scan){.disk = disk, .size = segment->size, .hop = HOP_BYTES};
    ret->file = -1;
    for (int i = 0; i < WEIR_RECOVER_TRIES && ret->file < 0; i++) {
        ret->file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    }
    if (ret->file < 0) {
        return weir_disk_status(ret->file);
    }
    ret->window = weir_mem_aligned(WEIR_DISK_BLOCK, WINDOW_BYTES);
    if (ret->window == NULL) {
        disk->ops->close(disk->self, ret->file);
        return WEIR_ENOMEM;
    }
    return WEIR_OK;
}

static void close_scan(struct scan *scan, uint64_t segment)
{
    scan->disk->ops->close(scan->disk->self, scan->file);
    weir_mem_free(scan->window);
    if (scan->blocks_skipped > 0) {
        weir_log(WEIR_LOG_ERROR, "parts of a segment cannot be read",
                 WEIR_LOG_HEX("segment", segment), WEIR_LOG_INT("blocks", scan->blocks_skipped));
    }
}

/* -- records -------------------------------------------------------------------------------- */

static struct weir_frame_segment header_of(const struct weir_found_segment *segment)
{
    return (struct weir_frame_segment){.version = segment->version,
                                       .number = segment->number,
                                       .salt = segment->salt,
                                       .size = segment->size};
}

/* I1. The record that begins at `offset`. */
static bool record_at(struct scan *scan, const struct weir_frame_segment *header, uint64_t offset,
                      struct weir_frame_record *ret, size_t *ret_header)
{
    size_t wanted = 0;
    struct weir_bytes bytes = view(scan, offset, WEIR_FRAME_RECORD_ALIGN);
    enum weir_status status = weir_frame_record_read(header, bytes, ret, &wanted);
    if (status == WEIR_EAGAIN) {
        wanted = wanted > WEIR_FRAME_RECORD_ALIGN ? wanted : 2 * WEIR_FRAME_RECORD_ALIGN;
        if (wanted > WEIR_FRAME_HEADER_MAX) {
            return false;
        }
        bytes = view(scan, offset, wanted);
        status = weir_frame_record_read(header, bytes, ret, &wanted);
    }
    if (status == WEIR_EAGAIN && wanted <= WEIR_FRAME_HEADER_MAX) {
        bytes = view(scan, offset, wanted);
        status = weir_frame_record_read(header, bytes, ret, &wanted);
    }
    *ret_header = wanted;
    return status == WEIR_OK && ret->lsn != 0 && ret->commit_index < ret->commit_count &&
           wanted <= scan->size - offset && ret->payload_size <= scan->size - offset - wanted;
}

static enum weir_status keep(struct weir_recovery *recovery,
                             const struct weir_frame_segment *header,
                             const struct weir_frame_record *record, uint64_t offset)
{
    WEIR_TRY(weir_recover_grow((void **)&recovery->found, recovery->found_count,
                               &recovery->found_capacity, sizeof(struct weir_found)));
    size_t header_size = weir_frame_record_header(header, record);
    struct weir_found *found = &recovery->found[recovery->found_count++];
    *found = (struct weir_found){
        .lsn = record->lsn,
        .durable = record->durable,
        .offset = offset,
        .extent = weir_frame_record_extent(header_size, record->payload_size),
        .payload_size = record->payload_size,
        .owed = weir_ledger_mask(recovery->spool->ledger, header, record->lsn, record->owed),
        .received_wall_ns = record->received_wall_ns,
        .content_size = record->content_size,
        .content_crc = record->content_crc,
        .commit_index = record->commit_index,
        .commit_count = record->commit_count,
        .header_size = (uint32_t)header_size,
    };
    struct weir_ids *ids = recovery->spool->ids;
    if (ids != NULL && record->request_id.size > 0) {
        weir_ids_key(ids, record->stream, record->request_id, found->key);
        found->keyed = true;
    }
    return WEIR_OK;
}

uint64_t weir_recover_behind(const struct weir_found *found)
{
    uint64_t end = found->offset + found->extent;
    if (found->commit_index + 1 == found->commit_count) {
        end += (WEIR_FRAME_COMMIT_ALIGN - end % WEIR_FRAME_COMMIT_ALIGN) % WEIR_FRAME_COMMIT_ALIGN;
    }
    return end;
}

enum weir_status weir_recover_scan(struct weir_recovery *recovery,
                                   struct weir_found_segment *segment)
{
    struct scan scan;
    segment->begin = segment->end = recovery->found_count;
    WEIR_TRY(open_scan(&recovery->spool->disk, segment, &scan));
    struct weir_frame_segment header; /* with its roster */
    if (weir_frame_segment_read(view(&scan, 0, WEIR_FRAME_SEGMENT_HEADER), &header) != WEIR_OK) {
        header = header_of(segment);
    }
    uint64_t offset = WEIR_FRAME_SEGMENT_HEADER;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && offset < scan.size &&
           scan.size - offset >= WEIR_FRAME_RECORD_ALIGN) {
        struct weir_frame_record record;
        size_t header_size = 0;
        if (offset + WEIR_FRAME_RECORD_ALIGN > scan.begin + scan.filled) {
            view_some(&scan, offset);
        }
        if (!record_at(&scan, &header, offset, &record, &header_size)) {
            offset += WEIR_FRAME_RECORD_ALIGN; /* I2 */
            continue;
        }
        status = keep(recovery, &header, &record, offset);
        if (status == WEIR_OK) {
            offset = weir_recover_behind(&recovery->found[recovery->found_count - 1]);
        }
    }
    segment->end = recovery->found_count;
    close_scan(&scan, segment->number);
    return status;
}

/* -- payloads ------------------------------------------------------------------------------- */

/* The record's pages in memory of their own; NULL: not readable, or no memory (*ret_status). */
static bool is_whole(const struct scan *scan, const struct weir_frame_segment *header,
                     const struct weir_found *found, enum weir_status *ret_status)
{
    uint64_t begin = found->offset - found->offset % WEIR_DISK_BLOCK;
    uint64_t size = found->offset - begin + found->header_size + found->payload_size;
    size += (WEIR_DISK_BLOCK - size % WEIR_DISK_BLOCK) % WEIR_DISK_BLOCK;
    uint8_t *memory = weir_mem_aligned(WEIR_DISK_BLOCK, (size_t)size);
    if (memory == NULL) {
        *ret_status = WEIR_ENOMEM;
        return false;
    }
    size_t got = 0;
    size_t skipped = (size_t)(found->offset - begin);
    struct weir_frame_record record;
    size_t header_size = 0;
    enum weir_status status = WEIR_EIO;
    for (int i = 0; i < WEIR_RECOVER_TRIES && status != WEIR_OK; i++) {
        status = weir_disk_read(scan->disk, scan->file, memory, (size_t)size, begin, &got);
    }
    bool whole = status == WEIR_OK && got >= skipped;
    struct weir_bytes bytes = weir_bytes_of(memory + skipped, whole ? got - skipped : 0);
    whole =
        whole && weir_frame_record_read(header, bytes, &record, &header_size) == WEIR_OK &&
        record.payload_size <= bytes.size - header_size &&
        weir_frame_payload_is_whole(
            header, &record, weir_bytes_of(bytes.data + header_size, (size_t)record.payload_size));
    weir_mem_free(memory);
    return whole;
}

/* What another process's life left in the page cache reaches the disk, or is known not to. */
static void sync_segment(const struct weir_disk *disk, const struct weir_found_segment *segment)
{
    char name[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment->number, NULL, name);
    int file = disk->ops->open(disk->self, name, WEIR_DISK_WRITE);
    if (file < 0) {
        return;
    }
    if (disk->ops->sync(disk->self, file) < 0) {
        weir_log(WEIR_LOG_WARN, "sync of a segment failed: only what the disk has counts",
                 WEIR_LOG_HEX("segment", segment->number));
    }
    disk->ops->close(disk->self, file);
}

enum weir_status weir_recover_verify(struct weir_recovery *recovery,
                                     struct weir_found_segment *segment)
{
    struct scan scan = {.file = -1};
    struct weir_frame_segment header = header_of(segment);
    enum weir_status status = WEIR_OK;
    for (size_t i = segment->begin; i < segment->end && status == WEIR_OK; i++) {
        struct weir_found *found = &recovery->found[i];
        uint64_t epoch = found->lsn >> SPOOL_EPOCH_SHIFT << SPOOL_EPOCH_SHIFT;
        if (found->lsn <= weir_recover_proven(recovery, epoch)) {
            continue;
        }
        if (scan.file < 0) {
            sync_segment(&recovery->spool->disk, segment);
            WEIR_TRY(open_scan(&recovery->spool->disk, segment, &scan));
        }
        if (!is_whole(&scan, &header, found, &status)) {
            found->torn = true;
        }
    }
    if (scan.file >= 0) {
        close_scan(&scan, segment->number);
    }
    return status;
}
