/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replay: folders to files, files to pieces, pieces to bodies.
 *
 *   weir_replay_path ─► fts(3), names sorted ─► take_file
 *     take_file      read, gzip off ─► identity ─► position of the last time ─► pieces
 *     take_piece     another destination or stream, or no room: flush first
 *     flush          {"requestId":id,"timestamp":0,"records":[..]} ─► submit ─► position
 *
 * A body's content depends on the file and where it begins in it, and on nothing else: no clock, no
 * counter. Where a file is stopped in the middle, the next time begins with the next body, and
 * bodies end where they end anyway (the size and count of pieces), so a repetition without
 * positions gives the same bodies again. Only the last body of a file of letters that has grown
 * since is another one; its position prevents that, --restart does not.
 *
 *   I1  positions are noted behind a body whose fate is known, never in front of it
 *   I2  the pack is empty between files
 *   I3  what is refused or unknown is told, counted, and left behind: the position moves over it
 *
 * Memory: one file, inflated, and one body. The rate is kept by sleeping after each body for as
 * long as its data is worth, in steps of 100 ms, so that a stop is heard.
 *
 * One thread. It does not retry: `submit` waits for as long as it takes.
 */
#include "weir/replay.h"
#include "replay_internal.h"
#include "weir/base64.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>

enum { SLEEP_STEP_MS = 100, RECORD_MAX = 1024000 };

struct pack {
    struct weir_buf body;
    uint32_t records;
    size_t bytes; /* of data */
    struct weir_bytes destination, stream;
    size_t offset, end;
};

struct weir_replay {
    struct weir_replay_options options;
    struct weir_replay_positions *positions; /* NULL: none are kept */
    struct weir_replay_stat stat;
    struct weir_source source;
    struct weir_source_id id;
    struct pack pack;
    int64_t free_at_ns; /* when the rate allows the next body */
};

enum weir_status weir_replay_new(const struct weir_replay_options *options,
                                 struct weir_replay **ret)
{
    struct weir_replay *replay = weir_mem_zalloc(1, sizeof *replay);
    if (replay == NULL) {
        return WEIR_ENOMEM;
    }
    replay->options = *options;
    replay->pack.body = weir_buf_grow_init((size_t)4 << 20);
    if (options->disk != NULL && !options->dry_run) {
        enum weir_status status =
            weir_replay_positions_open(options->disk, options->restart, &replay->positions);
        if (status != WEIR_OK) {
            weir_mem_free(replay);
            return status;
        }
    }
    *ret = replay;
    return WEIR_OK;
}

void weir_replay_free(struct weir_replay *replay)
{
    if (replay == NULL) {
        return;
    }
    weir_replay_positions_close(replay->positions);
    weir_buf_done(&replay->pack.body);
    weir_mem_free(replay);
}

struct weir_replay_stat weir_replay_look(const struct weir_replay *replay)
{
    return replay->stat;
}

static bool is_stopped(const struct weir_replay *replay)
{
    return replay->options.ops->stopped != NULL &&
           replay->options.ops->stopped(replay->options.self);
}

static void tell(struct weir_replay *replay, size_t offset, const char *words)
{
    replay->options.ops->tell(replay->options.self, replay->stat.path, offset, words);
}

static void show_progress(struct weir_replay *replay)
{
    if (replay->options.ops->progress != NULL) {
        replay->options.ops->progress(replay->options.self, &replay->stat);
    }
}

static void note_position(struct weir_replay *replay, size_t offset)
{
    replay->stat.offset = offset;
    if (replay->positions != NULL) {
        weir_replay_positions_put(replay->positions, replay->id, offset);
    }
}

static int64_t cost_ns(uint64_t count, uint64_t rate)
{
    return rate == 0 ? 0 : (int64_t)((double)count / (double)rate * 1e9);
}

/* Waits until the rate allows what comes next. */
static enum weir_status wait_for_rate(struct weir_replay *replay, uint64_t bytes, uint64_t records)
{
    const struct weir_replay_options *options = &replay->options;
    int64_t one = cost_ns(bytes, options->rate_bytes);
    int64_t two = cost_ns(records, options->rate_records);
    if (one == 0 && two == 0) {
        return WEIR_OK;
    }
    int64_t now = options->ops->now_ns(options->self);
    int64_t begin = replay->free_at_ns > now ? replay->free_at_ns : now;
    replay->free_at_ns = begin + (one > two ? one : two);
    while (now < replay->free_at_ns) {
        int64_t left = replay->free_at_ns - now;
        int64_t step = SLEEP_STEP_MS * WEIR_NS_PER_MS;
        if (is_stopped(replay)) {
            return WEIR_ECLOSED;
        }
        options->ops->sleep_ns(options->self, left < step ? left : step);
        now = options->ops->now_ns(options->self);
    }
    return WEIR_OK;
}

/* Submits, and counts what became of it. */
static enum weir_status submit(struct weir_replay *replay, const struct weir_replay_item *item,
                               size_t bytes)
{
    const char *words = "refused";
    replay->stat.records += item->records;
    replay->stat.bytes += bytes;
    replay->stat.submissions++;
    if (replay->options.dry_run) {
        return WEIR_OK;
    }
    enum weir_status status = replay->options.ops->submit(replay->options.self, item, &words);
    bool is_refused = status == WEIR_EMALFORMED;
    bool is_unknown = status == WEIR_ENOTFOUND;
    replay->stat.repeated += status == WEIR_EEXIST ? 1 : 0;
    replay->stat.refused += is_refused ? 1 : 0;
    replay->stat.unknown_destination += is_unknown ? 1 : 0;
    if (is_refused || is_unknown) {
        tell(replay, item->offset, words);
    }
    return status == WEIR_EEXIST || is_refused || is_unknown ? WEIR_OK : status;
}

static enum weir_status submit_and_note(struct weir_replay *replay, struct weir_replay_item *item,
                                        size_t bytes, size_t end)
{
    item->path = replay->stat.path;
    (void)snprintf(item->request_id, sizeof item->request_id, "%016" PRIx64 "%016" PRIx64 "-%zx",
                   replay->id.words[0], replay->id.words[1], item->offset);
    WEIR_TRY(submit(replay, item, bytes));
    note_position(replay, end);
    show_progress(replay);
    return wait_for_rate(replay, bytes, item->records);
}

/* The body's head takes the id, so it is written when the first record comes. */
static void begin_pack(struct weir_replay *replay, const struct weir_source_item *item)
{
    struct pack *pack = &replay->pack;
    pack->body.size = 0;
    pack->body.failed = false;
    pack->records = 0;
    pack->bytes = 0;
    pack->offset = item->offset;
    pack->destination = item->destination;
    pack->stream = item->stream;
    weir_buf_printf(&pack->body,
                    "{\"requestId\":\"%016" PRIx64 "%016" PRIx64
                    "-%zx\",\"timestamp\":0,\"records\":[",
                    replay->id.words[0], replay->id.words[1], item->offset);
}

static enum weir_status flush(struct weir_replay *replay)
{
    struct pack *pack = &replay->pack;
    if (pack->records == 0) {
        return WEIR_OK;
    }
    weir_buf_put(&pack->body, WEIR_BYTES("]}"));
    if (pack->body.failed) {
        return WEIR_ENOMEM;
    }
    struct weir_replay_item item = {
        .body = weir_buf_view(&pack->body),
        .destination = pack->destination,
        .stream = pack->stream.size == 0 ? WEIR_BYTES("replay") : pack->stream,
        .records = pack->records,
        .offset = pack->offset,
    };
    pack->records = 0;
    return submit_and_note(replay, &item, pack->bytes, pack->end);
}

static void put_record(struct weir_buf *body, struct weir_bytes data, bool first)
{
    size_t size = weir_base64_encoded_size(data.size);
    weir_buf_put(body, first ? WEIR_BYTES("{\"data\":\"") : WEIR_BYTES(",{\"data\":\""));
    uint8_t *at = size == 0 ? NULL : weir_buf_reserve(body, size);
    if (at != NULL) {
        weir_base64_encode(data, at);
        body->size += size;
    }
    weir_buf_put(body, WEIR_BYTES("\"}"));
}

static bool fits(const struct pack *pack, const struct weir_source_item *item)
{
    size_t more = weir_base64_encoded_size(item->data.size) + 16;
    return pack->records < WEIR_REPLAY_RECORDS_MAX &&
           pack->body.size + more <= WEIR_REPLAY_BODY_BYTES &&
           weir_bytes_eq(pack->destination, item->destination) &&
           weir_bytes_eq(pack->stream, item->stream);
}

static enum weir_status take_body(struct weir_replay *replay, const struct weir_source_item *item)
{
    struct weir_replay_item whole = {
        .body = item->data,
        .gzip = item->gzip,
        .destination = item->destination,
        .stream = item->stream.size == 0 ? WEIR_BYTES("replay") : item->stream,
        .records = 1,
        .offset = item->offset,
    };
    WEIR_TRY(flush(replay));
    return submit_and_note(replay, &whole, item->data.size, item->end);
}

static enum weir_status take_piece(struct weir_replay *replay, const struct weir_source_item *item)
{
    struct pack *pack = &replay->pack;
    if (item->whole_body) {
        return take_body(replay, item);
    }
    if (item->data.size > RECORD_MAX) {
        replay->stat.damaged++;
        tell(replay, item->offset, "larger than a record can be (1,024,000 bytes)");
        return WEIR_OK;
    }
    if (pack->records > 0 && !fits(pack, item)) {
        WEIR_TRY(flush(replay));
    }
    if (pack->records == 0) {
        begin_pack(replay, item);
    }
    put_record(&pack->body, item->data, pack->records == 0);
    pack->records++;
    pack->bytes += item->data.size;
    pack->end = item->end;
    return WEIR_OK;
}

static enum weir_status take_pieces(struct weir_replay *replay)
{
    struct weir_source_item item;
    enum weir_status status;
    while ((status = weir_source_next(&replay->source, &item)) != WEIR_EEND) {
        if (status == WEIR_EMALFORMED || status == WEIR_EAGAIN) {
            replay->stat.damaged++;
            tell(replay, replay->source.error_offset, replay->source.error);
            continue;
        }
        WEIR_TRY(status);
        if (is_stopped(replay)) {
            return WEIR_ECLOSED;
        }
        WEIR_TRY(take_piece(replay, &item));
    }
    return flush(replay);
}

static enum weir_status take_data(struct weir_replay *replay, uint8_t *data, size_t size)
{
    weir_source_init(&replay->source, data, size, 0);
    replay->id = weir_source_identify(&replay->source);
    uint64_t done =
        replay->positions == NULL ? 0 : weir_replay_positions_get(replay->positions, replay->id);
    replay->source.position = done < size ? (size_t)done : size;
    replay->stat.size = size;
    replay->stat.offset = replay->source.position;
    replay->stat.files_done_before += done > 0 && done >= size ? 1 : 0;
    show_progress(replay);
    enum weir_status status = take_pieces(replay);
    replay->pack.records = 0;
    weir_source_done(&replay->source);
    return status;
}

static enum weir_status take_file(struct weir_replay *replay, const char *path)
{
    uint8_t *data;
    size_t size;
    if (is_stopped(replay)) {
        return WEIR_ECLOSED;
    }
    replay->stat.files++;
    replay->stat.path = path;
    errno = 0;
    enum weir_status status = weir_source_read(path, WEIR_REPLAY_FILE_MAX, &data, &size);
    if (status == WEIR_OK) {
        status = take_data(replay, data, size);
        weir_mem_free(data);
    } else {
        replay->stat.damaged++;
        tell(replay, 0,
             status == WEIR_EMALFORMED ? "begins like gzip and is damaged"
             : status == WEIR_ELIMIT   ? "larger than 512 MiB: split it at line ends"
             : errno != 0              ? strerrordesc_np(errno)
                                       : weir_status_text(status));
        status = WEIR_OK;
    }
    replay->stat.path = NULL;
    return status;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* What a folder's walk meets. */
static enum weir_status take_entry(struct weir_replay *replay, const FTSENT *entry)
{
    switch (entry->fts_info) {
    case FTS_F: return take_file(replay, entry->fts_path);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        replay->stat.damaged++;
        replay->stat.path = entry->fts_path;
        tell(replay, 0, strerrordesc_np(entry->fts_errno));
        replay->stat.path = NULL;
        return WEIR_OK;
    default: return WEIR_OK; /* folders; links, pipes and the like are not read */
    }
}

enum weir_status weir_replay_path(struct weir_replay *replay, const char *path)
{
    if (strcmp(path, "-") == 0) {
        return take_file(replay, path);
    }
    char *copy = weir_mem_text(path, strlen(path));
    if (copy == NULL) {
        return WEIR_ENOMEM;
    }
    char *const roots[] = {copy, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    enum weir_status status = walk == NULL ? WEIR_ENOMEM : WEIR_OK;
    while (status == WEIR_OK) {
        const FTSENT *entry = fts_read(walk);
        if (entry == NULL) {
            break;
        }
        status = take_entry(replay, entry);
    }
    if (walk != NULL) {
        (void)fts_close(walk);
    }
    weir_mem_free(copy);
    return status;
}
