/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_NOTES_INTERNAL_H
#define WEIR_SPOOL_NOTES_INTERNAL_H

#include "weir/buf.h"
#include "weir/notes.h"

/*
 * The bytes of a release log, to values and back; pure. docs/formats/spool.md has them one by one.
 */
enum {
    WEIR_NOTES_VERSION_MIN = 1, /* the spool's versions: the notes are the same in all */
    WEIR_NOTES_VERSION = 3,
    WEIR_NOTES_HEADER = 64,
    WEIR_NOTES_FRAME = 8, /* a frame's header */
    WEIR_NOTES_SECTOR = 512,
    WEIR_NOTES_PAD_MAX = WEIR_NOTES_SECTOR + 2,
    WEIR_NOTES_NAME_MAX = 64
};

struct weir_notes_header {
    unsigned version;
    uint64_t number; /* the file's, also in its name */
    uint64_t hash_key[2];
    uint64_t salt;
};

/* Writes WEIR_NOTES_HEADER bytes. */
void weir_notes_header_write(const struct weir_notes_header *header, uint8_t *out);

/* WEIR_EMALFORMED; WEIR_EUNSUPPORTED: intact, of another version, only `version` is set. */
WEIR_MUST_USE enum weir_status weir_notes_header_read(struct weir_bytes bytes,
                                                      struct weir_notes_header *ret);

/* Makes the note of nothing that lets a frame which begins at `offset` of its file end with a
 * sector: at most WEIR_NOTES_PAD_MAX bytes; returns how many. */
size_t weir_notes_pad(uint64_t offset, size_t notes_size, uint8_t *out);

/* Writes a frame's header, WEIR_NOTES_FRAME bytes, for these notes (less than 4 GiB) and the
 * padding behind them. */
void weir_notes_frame_write(uint64_t salt, struct weir_bytes notes, struct weir_bytes pad,
                            uint8_t *out);

/* Takes the frame that `*bytes` begin with off them. WEIR_EMALFORMED: none does. */
WEIR_MUST_USE enum weir_status weir_notes_frame_read(uint64_t salt, struct weir_bytes *bytes,
                                                     struct weir_bytes *ret_notes);

/* Calls `visit` for each note of a frame; what is not known or does not fit is skipped. */
void weir_notes_each(struct weir_bytes notes,
                     void (*visit)(void *argument, const struct weir_note *note), void *argument);

#endif
