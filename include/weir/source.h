/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include "weir/letter.h"

/*
 * What a file holds that metrics may come from, told by its content and never by its name, piece by
 * piece.
 *
 *   letters   a JSON object with rawData a line: our dead letter, Firehose's http-endpoint-failed/;
 *             parts of one thing are put together
 *   body      a Firehose request's body
 *   lines     newline-delimited CloudWatch JSON (AllData/), in pieces of whole lines
 *   OTLP      messages, each behind its length, in pieces of whole messages
 *
 * A letter's piece is what its rawData was; pieces of lines and messages are what a Firehose record
 * could be, as large as WEIR_SOURCE_PIECE where they can.
 *
 *   I1  pieces come in the file's order, and begin and end where they did the last time, as long as
 *       what was there is the same: bytes that were added to a file of letters change none of them
 *   I2  what is damaged costs itself: the next piece is looked for behind it
 */
#define WEIR_SOURCE_PIECE ((size_t)128 << 10)

enum weir_source_kind {
    WEIR_SOURCE_EMPTY,
    WEIR_SOURCE_LETTERS,
    WEIR_SOURCE_BODY,
    WEIR_SOURCE_LINES,
    WEIR_SOURCE_OTLP
};

struct weir_source_item {
    struct weir_bytes data;
    bool whole_body, gzip; /* of a letter: data is a request's body, compressed */
    struct weir_bytes destination, reason, message, request_id, stream; /* a letter's */
    size_t offset, end;                                                 /* in the file */
};

struct weir_source {
    enum weir_source_kind kind;
    uint8_t *data;
    size_t size, position;
    bool holds; /* `held` was read from [held_offset, position) and belongs to the next item */
    struct weir_letter_line held;
    size_t held_offset;
    struct weir_buf joined;
    const char *error;
    size_t error_offset;
};

/* Reads a whole file ("-": standard input), gzip taken off where the content says so, all members.
 * *ret_data is given back by weir_mem_free. As weir_file_read; WEIR_EMALFORMED: it begins like gzip
 * and is none. */
WEIR_MUST_USE enum weir_status weir_source_read(const char *path, size_t size_max,
                                                uint8_t **ret_data, size_t *ret_size);

/* Tells the kind, and begins at `offset`, which is 0 or the end of a piece. The memory is the
 * caller's, is written to, and outlives the items. */
void weir_source_init(struct weir_source *source, uint8_t *data, size_t size, size_t offset);
void weir_source_done(struct weir_source *source);

/* The next piece, good until the next call. WEIR_EEND. WEIR_EMALFORMED: there was one that cannot
 * be read; `error` and `error_offset` say what and where, and the next call goes on behind it.
 * WEIR_EAGAIN: the last line is not whole, as when somebody is still writing the file: nothing more
 * comes. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_source_next(struct weir_source *source,
                                                struct weir_source_item *ret);

struct weir_source_id {
    uint64_t words[2];
};

/* A number for the file that stays the same whatever it is called, and while lines are added to a
 * file of letters. Before the first weir_source_next. O(size). */
struct weir_source_id weir_source_identify(const struct weir_source *source);

#endif
