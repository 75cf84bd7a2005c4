/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NOTES_H
#define WEIR_NOTES_H

#include "weir/disk.h"
#include "weir/ids.h"

/*
 * The release log: small notes about records, apart from the records, off the answer's path. Losing
 * its tail costs repeats, never data. docs/formats/spool.md has the bytes.
 *
 *   notes.<16 hex digits>   [ header: magic, version, hash key, salt, checksum ]
 *                           [ frame: size, checksum | notes ... ] [ frame ] [ frame ] torn
 *
 * A frame is what one sync makes durable. When the log has grown over twice its last snapshot (and
 * over 1 MiB), a new file begins with a snapshot, is synced, and the old one is removed. Reading
 * stops at the first frame that does not check: the tail is cut, and counted.
 *
 * tidy: allow header-functions -- reading, opening, writing with a sync and without, snapshots
 *
 *   I1  a note is about something durable already, or allowed to be wrong the cheap way
 *   I2  unknown notes are skipped by their size: a later version's log can be read
 *
 * tidy: allow header-functions -- one file's life, and the one who looks at it from outside
 */
enum weir_note_kind {
    /* `lsn` (to `last`) is settled for the destination `name`. */
    WEIR_NOTE_DONE = 1,
    /* Of `lsn`, points [begin, end) of `total` are settled for `name`. */
    WEIR_NOTE_PART = 2,
    /* Of `lsn`, used_ns of the retry window towards `name` are used, its first attempt was at
     * wall_ns, and `total` points were not settled then. */
    WEIR_NOTE_ATTEMPTED = 3,
    /* `id` was committed. */
    WEIR_NOTE_ID = 4,
    /* Every sequence number up to `lsn`, of its epoch, was durable. */
    WEIR_NOTE_DURABLE = 5,
    /* `lsn` was damaged on disk and counted as lost: not again. */
    WEIR_NOTE_LOST = 6,
    /* Segment number `segment` holds the sequence numbers [first, lsn]; lsn 0: from `first` on, it
     * is still being filled. So that damage at a segment's end is not taken for a segment that was
     * released. */
    WEIR_NOTE_SEGMENT = 7
};

struct weir_note {
    enum weir_note_kind kind;
    uint64_t lsn;
    uint64_t last;          /* DONE: all numbers from lsn to this one; 0: lsn alone */
    struct weir_bytes name; /* of a destination; "" stands for the dead letter */
    uint32_t begin, end, total;
    int64_t used_ns, wall_ns;
    uint64_t segment, first;
    struct weir_id id;
};

struct weir_notes;
struct weir_notes_reader;

/* Reads the log that weir_notes_open would open, and changes nothing: no lock, no tail cut; the
 * directory may be a live spool's. A file that goes while it is read is read no further.
 * WEIR_ENOTFOUND: there is none; WEIR_EIO, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_notes_scan(const struct weir_disk *disk,
                                               struct weir_notes_reader *reader);

/* Who hears of the notes at start, and what was found. */
struct weir_notes_reader {
    void (*visit)(void *argument, const struct weir_note *note);
    void *argument;
    uint64_t torn_bytes; /* out */
    uint64_t unreadable; /* out: logs set aside, of a version that we cannot read */
};

/* Opens the newest readable log, or begins one, and calls reader->visit for each of its notes.
 * `version` 0: the newest; `seed` 0: from the system. WEIR_EIO, WEIR_EFULL, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_notes_open(const struct weir_disk *disk, unsigned version,
                                               uint64_t seed, struct weir_notes_reader *reader,
                                               struct weir_notes **ret);

/* Closes the file; nothing is written. NULL is nothing. */
void weir_notes_close(struct weir_notes *notes);

/* The key that request ids are hashed with. */
void weir_notes_hash_key(const struct weir_notes *notes, uint64_t ret_key[2]);

struct weir_buf;

/* Appends an encoded note to `out`: pure, any thread. A failed `out` stays failed. */
void weir_notes_put(struct weir_buf *out, const struct weir_note *note);

/* Writes `notes_` (any number of encoded notes) as one frame and syncs. A failure is never tried
 * again on the same file: WEIR_EIO, WEIR_EFULL, and only a snapshot into a new file helps. */
WEIR_MUST_USE enum weir_status weir_notes_append(struct weir_notes *notes,
                                                 struct weir_bytes notes_);

/* The same without the sync: a process's end leaves them, a power loss may not; the next append
 * syncs them too. Any thread, beside the one that does all the rest. */
enum weir_status weir_notes_write(struct weir_notes *notes, struct weir_bytes notes_);

/* Whether it is time for a snapshot, also after a failure. */
bool weir_notes_wants_snapshot(struct weir_notes *notes);

/* Begins a new file with this snapshot (encoded notes), durable under its name, and removes the old
 * one. WEIR_EIO, WEIR_EFULL: the old one is still there. */
WEIR_MUST_USE enum weir_status weir_notes_snapshot(struct weir_notes *notes,
                                                   struct weir_bytes snapshot);

#endif
