/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_LEDGER_H
#define WEIR_SPOOL_LEDGER_H

#include "weir/backlog.h"
#include "weir/buf.h"
#include "weir/notes.h"

/*
 * The account of the spool, in memory: which record is owed to which destination, and what of it is
 * in memory. One mutex inside; lane, exporters, keeper and backlog call it, no ingest loop does.
 * Callbacks of jobs are called with the mutex free.
 *
 * Destinations are slots here (slots.h): OPEN, GONE or FREE, 62 for names that got none, 63 the
 * dead letter. From outside every slot that is GONE is WEIR_BACKLOG_GONE.
 *
 * A commit, in the lane:
 *
 *   room, reserve ─► ticket_new, each job ─► write, sync ─► commit, each job ─► done(job)
 *        │                                      └ failed for good: ticket_drop, each job
 *        └ WEIR_ENOMEM, WEIR_EFULL before anything was written
 *
 * A start: slots and scan for every record of every segment in the order of the segments' numbers
 * (their owed bits mapped by weir_ledger_mask), then replay for every note of the release log, in
 * its order. Nothing is live then.
 *
 * The keeper:
 *
 *   take ─► weir_notes_append ─► noted ─► released, each ─► weir_segments_release ─► names durable
 *     ▲                            │                                                    │
 *     └ snapshot instead, when wants_snapshot                           segment_free ◄──┘
 */
struct weir_ledger;
struct weir_ledger_segment;

struct weir_ledger_options {
    const struct weir_spool_destination
        *destinations;          /* names are copied; terminated, at most 64 */
    uint32_t destination_count; /* at most 62 */
    bool notes;                 /* DISK: there is a release log */
    size_t notes_limit;         /* bytes of notes that wait for the keeper; 0: 16 MiB */
    int64_t delivered_ns;       /* DELIVERED: how long a job waits, from received_ns */
};

/* An empty ledger. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ledger_new(const struct weir_ledger_options *options,
                                               struct weir_ledger **ret);

/* Frees it with its segments. No ticket is out (asserted); jobs that wait were dismissed. NULL is
 * nothing. */
void weir_ledger_free(struct weir_ledger *ledger);

/* What time it is, for weir_ledger_attempted: lane and keeper say so whenever they step. */
void weir_ledger_tick(struct weir_ledger *ledger, int64_t wall_ns);

/* -- slots ---------------------------------------------------------------------------------- */

/* weir_spool_destination_open, _remove and _free. A slot that was found GONE at start, and is owed
 * nothing any more, counts as FREE. */
WEIR_MUST_USE enum weir_status
weir_ledger_slot_open(struct weir_ledger *ledger, const struct weir_spool_destination *destination,
                      uint32_t *ret_slot);
bool weir_ledger_slot_name(struct weir_ledger *ledger, uint32_t slot, char *ret);
void weir_ledger_slot_remove(struct weir_ledger *ledger, uint32_t slot);
WEIR_MUST_USE enum weir_status weir_ledger_slot_free(struct weir_ledger *ledger, uint32_t slot);

/* The names of slots 0 to `slot`, as a roster has them. */
void weir_ledger_roster(struct weir_ledger *ledger, uint32_t slot,
                        struct weir_frame_segment *roster);

/* -- segments ------------------------------------------------------------------------------- */

/* What the account keeps of a segment's header. */
struct weir_ledger_facts {
    unsigned version;
    uint64_t number, salt, size;
    bool cut_or_tainted; /* said when it was sealed */
};

/* One more segment, open; its number is above every earlier one's. The header's roster says whose
 * the slots are in it; without names: those who have them now. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ledger_segment_new(struct weir_ledger *ledger,
                                                       const struct weir_frame_segment *header,
                                                       struct weir_ledger_segment **ret);

/* Nothing more comes into it. With nothing owed it is released at once. */
void weir_ledger_seal(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                      bool cut_or_tainted);

/* What is known of it. The values stay as long as the segment. */
struct weir_ledger_facts weir_ledger_facts(struct weir_ledger *ledger,
                                           const struct weir_ledger_segment *segment);

/* How many records still go into it (one for each 4 KiB, and a sequence number that is near enough
 * to its first one's). 0: seal it. */
uint32_t weir_ledger_room(struct weir_ledger *ledger, const struct weir_ledger_segment *segment,
                          uint64_t lsn);

/* The owed bits of the record `lsn`, as the segment's roster has them, as slots; a name that is not
 * known gets a slot. Before the first replay; the configured ones' rosters map to themselves. */
uint64_t weir_ledger_mask(struct weir_ledger *ledger, const struct weir_frame_segment *roster,
                          uint64_t lsn, uint64_t owed);

/* -- records -------------------------------------------------------------------------------- */

struct weir_ledger_record {
    uint64_t lsn;
    uint64_t offset; /* in the segment, a multiple of 64 */
    uint64_t extent; /* bytes to the next record, a multiple of 64 */
    int64_t received_wall_ns;
    uint64_t owed; /* slots */
};

/* A record found at start, behind every earlier one of its segment: owed, not live. One that an
 * earlier segment had too (a commit that was written again after a failure) is here from now on.
 * WEIR_EMALFORMED: its number is not above those before it in this segment, or too far above the
 * first; WEIR_EFULL: more records than 4 KiB pages; WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ledger_scan(struct weir_ledger *ledger,
                                                struct weir_ledger_segment *segment,
                                                const struct weir_ledger_record *record);

/* Room for `count` records owed to `owed`, so that weir_ledger_commit cannot fail. WEIR_EFULL,
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ledger_reserve(struct weir_ledger *ledger,
                                                   struct weir_ledger_segment *segment,
                                                   uint32_t count, uint64_t owed);

/* Makes job->ticket for job->live (NULL where that is 0): points from live_points, and
 * WEIR_SPOOL_LETTER, when it is among them, for weir_spool_settle. live is a part of owed.
 * WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_ledger_ticket_new(struct weir_ledger *ledger,
                                                      struct weir_spool_job *job);

/* The commit did not come about: job->ticket is NULL again. NULL is nothing. */
void weir_ledger_ticket_drop(struct weir_ledger *ledger, struct weir_spool_job *job);

/* The record is durable: owed, and live where job->ticket says so. Before done(job). `segment` NULL
 * (DELIVERED): only the ticket; of `record` only lsn counts. Room was reserved. */
void weir_ledger_commit(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                        const struct weir_ledger_record *record, struct weir_spool_job *job);

/* A commit with these numbers failed in this segment, where room was reserved for it; they come
 * again in a later one. Its records may be on the disk all the same: as long as the segment is
 * there, snapshots say what became of these numbers. Before the segment is sealed. */
void weir_ledger_failed(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                        uint64_t first_lsn, uint32_t count);

/* -- jobs that wait for their delivery (DELIVERED) ------------------------------------------ */

/* After done(job), with OK or EEXIST: job->delivered comes when the request with this number is
 * settled: at once, from within, when it is; WEIR_ECLOSED at once after a dismissal, or when it was
 * KEPT (nobody has it: the sender must come again, with another try or elsewhere). */
void weir_ledger_attach(struct weir_ledger *ledger, uint64_t lsn, struct weir_spool_job *job);

/* Whether the request with this number, not in memory any more, may have been kept by nobody: then
 * a repetition of it is none. */
bool weir_ledger_nobody_has(struct weir_ledger *ledger, uint64_t lsn);

/* WEIR_ETIMEOUT to all that have waited too long; returns when the next one will have
 * (INT64_MAX: nobody waits). */
int64_t weir_ledger_expire(struct weir_ledger *ledger, int64_t mono_ns);

/* WEIR_ECLOSED to all that wait, and to all that come. */
void weir_ledger_dismiss(struct weir_ledger *ledger);

/* -- what became of points (weir/manifest.h, weir/spool.h, weir/backlog.h say what these do) -- */

void weir_ledger_settle_manifest(struct weir_ledger *ledger, const struct weir_manifest *manifest,
                                 enum weir_settlement settlement);
/* `out`, when it is not NULL, gets the notes too that the ledger makes of it. */
void weir_ledger_attempted(struct weir_ledger *ledger, const struct weir_manifest *manifest,
                           int64_t used_ns, struct weir_buf *out);
void weir_ledger_settle(struct weir_ledger *ledger, struct weir_ticket *ticket,
                        uint32_t destination, enum weir_settlement settlement);
void weir_ledger_expect(struct weir_ledger *ledger, struct weir_ticket *ticket,
                        uint32_t destination, uint32_t points, uint32_t total);

/* The record of this ticket (from weir_ledger_next) is damaged on disk: it is owed to nobody any
 * more but to those that have it in memory, a note says so, and the ticket is gone. True the first
 * time. */
bool weir_ledger_lose(struct weir_ledger *ledger, struct weir_ticket *ticket);

/* weir_backlog_next, all of it: `destination` is a slot, WEIR_BACKLOG_GONE or WEIR_SPOOL_LETTER.
 * place->size covers the record from the 4 KiB page it begins in to the end of the page it ends in.
 * WEIR_EEND; WEIR_ENOMEM: not now. */
WEIR_MUST_USE enum weir_status weir_ledger_next(struct weir_ledger *ledger, uint32_t destination,
                                                struct weir_backlog_place *ret);

/* The segment of a ticket's record: for weir_ledger_facts; it stays as long as the ticket. */
const struct weir_ledger_segment *weir_ledger_segment_of(const struct weir_ticket *ticket);

/* -- notes ---------------------------------------------------------------------------------- */

/* A note read at start, after all segments were scanned: DONE, PART, ATTEMPTED and LOST are applied
 * to records that are here; of others only LOST is kept. Other kinds: nothing. */
void weir_ledger_replay(struct weir_ledger *ledger, const struct weir_note *note);

/* All notes were replayed: what was kept for them alone goes. */
void weir_ledger_replayed(struct weir_ledger *ledger);

/* Points that were on their way to a destination when the process before this one ended, and are
 * not noted as settled: they may come a second time. After the last weir_ledger_replay. */
uint64_t weir_ledger_repeats(struct weir_ledger *ledger);

/* Whether `lsn` was counted as lost before (LOST). */
bool weir_ledger_is_lost(struct weir_ledger *ledger, uint64_t lsn);

/* Adds a note of the caller's to those that wait (ID, LOST of a record that the ledger never knew).
 * DURABLE the ledger adds itself. */
void weir_ledger_note(struct weir_ledger *ledger, const struct weir_note *note);

/* Takes the waiting notes out: *ret (its memory is given back to the ledger) becomes them, possibly
 * empty. Until weir_ledger_noted has said what became of them no more are taken. Keeper. */
void weir_ledger_take(struct weir_ledger *ledger, struct weir_buf *ret);

/* They are durable; or they are not, and only a snapshot helps. The same after
 * weir_ledger_snapshot. Keeper. */
void weir_ledger_noted(struct weir_ledger *ledger, bool durable);

/* Whether notes were lost, by a failed write or because more came than notes_limit: then a snapshot
 * must be next. (weir_notes_wants_snapshot is the other reason.) ID notes may be among the lost:
 * the snapshot has the ids anyway. */
bool weir_ledger_wants_snapshot(struct weir_ledger *ledger);

/* Appends to `out` all notes that rebuild the present state (no ID: those are the lane's), and
 * drops the waiting ones, ID notes too: take the ids' after this. In place of weir_ledger_take,
 * followed by weir_ledger_noted. out->failed: memory; say noted(false). Keeper. */
void weir_ledger_snapshot(struct weir_ledger *ledger, struct weir_buf *out);

/* A sealed segment that is owed to nobody, which (`noted`) the release log says durably: each is
 * returned once, oldest first; NULL: none. It stays in snapshots until segment_free, so that a file
 * name that comes back after a crash brings nothing back. Keeper. */
struct weir_ledger_segment *weir_ledger_released(struct weir_ledger *ledger, bool noted);

/* Forgets a segment that `released` returned, when it is durably gone by that name. */
void weir_ledger_segment_free(struct weir_ledger *ledger, struct weir_ledger_segment *segment);

/* Sets open, gone, owed_bytes, records, oldest_wall_ns and backlog_*; the rest stays. */
void weir_ledger_look(struct weir_ledger *ledger, struct weir_spool_stat *ret);

#endif
