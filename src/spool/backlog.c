/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a record back: the pages it lies in, its header, its payload, each checked.
 *
 *   segment  ... | page        | page        | page        | ...
 *                      [ header | payload ......... ]
 *                ^ place->size bytes are read, past the page cache
 *
 *   I1  what is handed on is what was acknowledged: header and payload checked, and the sequence
 *       number is the one that the ledger has there
 *   I2  damage is counted once, copied to quarantine/, and owed to nobody afterwards
 *
 * One file is kept open: records come in the order of the segments. A ticket keeps its segment from
 * being recycled, and a number is used once, so the open file is the right one as long as its
 * number is. A read that fails may pass later (WEIR_EIO: the caller waits); one that keeps failing
 * is a bad sector, and treated as damage: else it would hold up all that waits behind it for ever.
 * No descriptor and no memory are never taken for that.
 *
 * Threads: the backlog's.
 */
#include "spool_internal.h"
#include "weir/log.h"
#include <errno.h>

enum { READ_FAILURES_MAX = 8 };

enum weir_status weir_backlog_next(struct weir_spool *spool, uint32_t destination,
                                   struct weir_backlog_place *ret)
{
    if (spool->durability != WEIR_DURABILITY_DISK) {
        return WEIR_EEND;
    }
    return weir_ledger_next(spool->ledger, destination, ret);
}

void weir_backlog_expect(struct weir_spool *spool, struct weir_ticket *ticket, uint32_t destination,
                         uint32_t points, uint32_t total)
{
    weir_ledger_expect(spool->ledger, ticket, destination, points, total);
}

static enum weir_status open_segment(struct weir_spool *spool, uint64_t segment)
{
    struct weir_spool_reader *reader = &spool->reader;
    const struct weir_disk *disk = &spool->disk;
    if (reader->file >= 0 && reader->segment == segment) {
        return WEIR_OK;
    }
    if (reader->file >= 0) {
        disk->ops->close(disk->self, reader->file);
        reader->file = -1;
    }
    char name[WEIR_DISK_NAME_MAX];
    weir_spool_segment_name(segment, NULL, name);
    int file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    if (file < 0) {
        return weir_disk_status(file) == WEIR_ENOTFOUND ? WEIR_EMALFORMED : WEIR_EIO;
    }
    reader->file = file;
    reader->segment = segment;
    return WEIR_OK;
}

/* WEIR_EMALFORMED: the file ends before. */
static enum weir_status read_pages(struct weir_spool *spool, const struct weir_backlog_place *place,
                                   uint8_t *memory, size_t *ret_size)
{
    WEIR_TRY(open_segment(spool, place->segment));
    uint64_t begin = place->offset - place->offset % WEIR_DISK_BLOCK;
    size_t got = 0;
    WEIR_TRY(
        weir_disk_read(&spool->disk, spool->reader.file, memory, (size_t)place->size, begin, &got));
    *ret_size = got;
    return WEIR_OK;
}

/* I1. */
static enum weir_status check(struct weir_spool *spool, const struct weir_backlog_place *place,
                              struct weir_bytes bytes, struct weir_frame_record *ret,
                              struct weir_bytes *ret_body)
{
    struct weir_ledger_facts facts =
        weir_ledger_facts(spool->ledger, weir_ledger_segment_of(place->ticket));
    struct weir_frame_segment segment = {
        .version = facts.version, .number = facts.number, .salt = facts.salt, .size = facts.size};
    struct weir_frame_record record;
    size_t header = 0;
    enum weir_status status = weir_frame_record_read(&segment, bytes, &record, &header);
    if (status != WEIR_OK || record.lsn != place->lsn ||
        record.payload_size > bytes.size - header) {
        return WEIR_EMALFORMED;
    }
    struct weir_bytes body = weir_bytes_of(bytes.data + header, (size_t)record.payload_size);
    if (!weir_frame_payload_is_whole(&segment, &record, body)) {
        return WEIR_EMALFORMED;
    }
    *ret = record;
    *ret_body = body;
    return WEIR_OK;
}

/* Whether an error says something of the disk, and not of what this process has or may do. */
static bool is_the_disks(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EACCES:
    case EPERM:
    case EAGAIN:
    case EINTR: return false;
    default: return true;
    }
}

/* I2. The ticket is gone afterwards. */
static void lose(struct weir_spool *spool, const struct weir_backlog_place *place)
{
    if (!weir_ledger_lose(spool->ledger, place->ticket)) {
        return;
    }
    weir_log(WEIR_LOG_ERROR, "an acknowledged record is damaged on disk",
             WEIR_LOG_HEX("segment", place->segment), WEIR_LOG_INT("offset", place->offset),
             WEIR_LOG_HEX("sequence_number", place->lsn), WEIR_LOG_STR("copy", "quarantine/"));
    weir_quarantine_range(spool, place->segment, place->offset, place->size - WEIR_DISK_BLOCK + 1);
    atomic_fetch_add_explicit(&spool->lost, 1, memory_order_relaxed); /* weir_spool_keep */
}

enum weir_status weir_backlog_read(struct weir_spool *spool, const struct weir_backlog_place *place,
                                   uint8_t *memory, struct weir_frame_record *ret,
                                   struct weir_bytes *ret_body)
{
    struct weir_spool_reader *reader = &spool->reader;
    size_t size = 0;
    enum weir_status status = read_pages(spool, place, memory, &size);
    if (status == WEIR_OK) {
        size_t skipped = (size_t)(place->offset % WEIR_DISK_BLOCK);
        struct weir_bytes bytes = weir_bytes_from(weir_bytes_of(memory, size), skipped);
        status = check(spool, place, bytes, ret, ret_body);
    }
    if (status != WEIR_OK && status != WEIR_EMALFORMED) {
        status = WEIR_EIO; /* whatever it was, it may pass */
        reader->failures = reader->failed_lsn == place->lsn ? reader->failures : 0;
        reader->failures += is_the_disks(errno) ? 1 : 0;
        reader->failed_lsn = place->lsn;
        if (reader->failures >= READ_FAILURES_MAX) {
            status = WEIR_EMALFORMED;
        }
    }
    if (status == WEIR_EMALFORMED) {
        lose(spool, place);
    }
    return status;
}
