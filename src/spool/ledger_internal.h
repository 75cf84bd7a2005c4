/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_LEDGER_INTERNAL_H
#define WEIR_SPOOL_LEDGER_INTERNAL_H

#include "ledger.h"
#include "slots.h"
#include "weir/panic.h"
#include "weir/pool.h"
#include <pthread.h>

/*
 * What the ledger's files share. ledger.c has the picture; every function here is called with the
 * mutex held, but where it says otherwise.
 */
enum {
    WEIR_LEDGER_SLOTS = WEIR_SLOTS,
    WEIR_LEDGER_LETTER = 63,
    WEIR_LEDGER_OVERLAP = 3,      /* by_lsn[below - 2] to [below]: where a number may be */
    WEIR_LEDGER_LOST_MAX = 4096,  /* numbers remembered as lost; the first noted goes first */
    WEIR_LEDGER_EPOCHS_MAX = 256, /* starts whose highest durable number is remembered */
    WEIR_LEDGER_FAILED_MAX = 256, /* DELIVERED: numbers of requests that nobody took */
    WEIR_LEDGER_EPOCH_SHIFT = 40,
    WEIR_LEDGER_SPANS_FEW = 16,       /* of settled points, for which no memory is asked for */
    WEIR_LEDGER_SPARES = 2,           /* sizes of what is kept for more: 4 and 16 times as many */
    WEIR_LEDGER_DESTINATIONS_FEW = 4, /* of a ticket, in the same way */
};

/* What is known of a record that is settled in part, or was tried: in a ticket while the record is
 * in memory for the destination, else in the ledger's table. It moves between the two without an
 * allocation. */
struct weir_ledger_progress {
    struct weir_ledger_progress *next; /* the table's chain */
    uint64_t lsn;
    uint32_t slot;
    uint32_t total;          /* points of the record, as the spans count them */
    struct weir_span *spans; /* `few`, or more */
    uint32_t count, capacity;
    int64_t used_ns, first_wall_ns;
    uint32_t attempted; /* points not settled when that was noted */
    struct weir_span few[WEIR_LEDGER_SPANS_FEW];
};

struct weir_ledger_progress_table {
    struct weir_ledger_progress **chains; /* a power of two of them */
    uint32_t chain_count, count;
    struct weir_pool *pool;           /* of all progress, in tickets too */
    void *spares[WEIR_LEDGER_SPARES]; /* room for more spans than few, by size, each in a list */
    uint32_t spare_counts[WEIR_LEDGER_SPARES];
};

struct weir_ticket_destination {
    uint32_t slot;
    uint32_t points; /* still with batches */
    bool kept;       /* some of them were */
    bool ended;
    struct weir_ledger_progress *progress; /* or NULL */
};

struct weir_ticket {
    struct weir_ticket *previous, *next; /* of all that are out, in the order of commits */
    uint64_t lsn;
    struct weir_ledger_segment *segment; /* NULL: DELIVERED */
    uint32_t index;
    uint32_t total; /* points of the record */
    uint32_t open;  /* destinations that have not ended */
    bool kept;      /* one of them was */
    uint32_t count, capacity;
    struct weir_ticket_destination *destinations; /* `few`, or as many as were needed once */
    struct weir_spool_job *jobs;                  /* that wait */
    struct weir_ticket_destination few[WEIR_LEDGER_DESTINATIONS_FEW];
};

struct weir_ledger_entry {
    uint32_t lsn_delta; /* over the segment's first */
    uint32_t offset_64, extent_64;
    uint32_t received_s : 31;
    uint32_t is_void : 1; /* a later segment has this number */
};

struct weir_ledger_bits {
    uint64_t *words;  /* owed, live, owed, live, ...: a pair for each 64 records; NULL: none ever */
    uint32_t waiting; /* records that are owed and not live */
};

/* Whose slots they were when a segment began: what a slot's bits in that segment mean for ever. The
 * same for most segments, and shared by them. */
struct weir_ledger_names {
    uint32_t refs; /* segments */
    char of[WEIR_SLOTS_NAMED][WEIR_SLOTS_NAME];
};

struct weir_ledger_segment {
    struct weir_ledger_segment *previous, *next; /* by number */
    struct weir_ledger_facts facts;
    struct weir_ledger_names *names; /* not NULL while it is linked */
    bool sealed, returned;
    uint64_t first_lsn;
    uint64_t generation; /* of the last note about a record of it */
    uint32_t count, capacity, limit;
    uint32_t expected; /* records: as many as the one before it had room for */
    uint32_t unreleased;
    struct weir_ledger_entry *entries;
    uint64_t *unreleased_bits;
    struct weir_ledger_bits slots[WEIR_LEDGER_SLOTS];
};

/* A record's place; also a cursor. */
struct weir_ledger_position {
    struct weir_ledger_segment *segment;
    uint32_t index;
};

/* DONE notes that follow each other, not written yet. */
struct weir_ledger_run {
    struct weir_ledger_segment *segment; /* NULL: none */
    uint32_t last_index;
    uint64_t first_lsn, last_lsn;
};

/* A record that a roster's bit owes to a name without a slot; ledger_nameless.c. */
struct weir_ledger_debt {
    uint64_t lsn;
    size_t name;
    bool done;
};

struct weir_ledger_nameless {
    char (*names)[WEIR_SLOTS_NAME];
    size_t name_count, name_capacity;
    struct weir_ledger_debt *debts;
    size_t debt_count, debt_capacity;
    bool sorted; /* debts, by number */
    bool broken; /* one was forgotten, for want of memory */
};

/* Jobs to be told when the mutex is free. */
struct weir_ledger_told {
    struct weir_spool_job *ok, *closed, *late;
};

struct weir_ledger {
    pthread_mutex_t mutex;
    struct weir_slots slots;
    uint64_t over;                        /* slots whose share a commit has passed */
    struct weir_ledger_nameless nameless; /* until weir_ledger_replayed */
    uint32_t gone_turn; /* the slot that is asked first for something that is GONE */
    int64_t wall_ns;

    struct weir_ledger_segment *first, *last;
    struct weir_ledger_segment *unused; /* with their arrays, for the next ones; by `next` */
    uint32_t unused_count;
    struct weir_ledger_segment *hint; /* where the last number was found */
    struct weir_ledger_segment **by_lsn;
    uint32_t by_lsn_count, by_lsn_capacity; /* capacity: for all segments there are */
    uint32_t segment_count;
    uint64_t lsn_max; /* of all records */
    struct weir_ledger_position cursors[WEIR_LEDGER_SLOTS];
    uint64_t backlog_records[WEIR_LEDGER_SLOTS], backlog_bytes[WEIR_LEDGER_SLOTS];
    uint64_t open_tickets[WEIR_LEDGER_SLOTS]; /* linked ones in which the slot has not ended */
    uint64_t unreleased_records, unreleased_bytes;

    struct weir_pool *tickets;
    struct weir_ticket *ticket_first, *ticket_last;
    struct weir_ledger_progress_table progress;

    bool dismissed;
    int64_t delivered_ns;
    uint32_t waiting_jobs;
    uint64_t failed[WEIR_LEDGER_FAILED_MAX]; /* a ring */
    uint32_t failed_at;
    uint64_t failed_floor; /* numbers up to here may have failed */

    bool has_notes, broken, taken;
    size_t notes_limit;
    struct weir_buf notes;
    uint64_t generation, taken_generation, durable_generation;
    struct weir_ledger_run runs[WEIR_LEDGER_SLOTS];
    struct weir_buf *copy;               /* gets notes of attempts too; within one call */
    uint64_t lost[WEIR_LEDGER_LOST_MAX]; /* a ring */
    uint32_t lost_at, lost_count;
    uint64_t durable[WEIR_LEDGER_EPOCHS_MAX]; /* the highest of each epoch, ascending */
    uint32_t durable_count;
    bool durable_changed;
};

/* A segment without records, linked nowhere, with the arrays of one that was given. NULL: no
 * memory. */
struct weir_ledger_segment *weir_ledger_records_take(struct weir_ledger *ledger);
void weir_ledger_records_give(struct weir_ledger *ledger, struct weir_ledger_segment *segment);

/* Frees it and all that follow it by `next`. */
void weir_ledger_records_done(struct weir_ledger_segment *first);

/* Room in the segment's arrays for `count` more records owed to `owed`. */
enum weir_status weir_ledger_records_reserve(struct weir_ledger_segment *segment, uint32_t count,
                                             uint64_t owed);

/* Appends a record; room was reserved. */
uint32_t weir_ledger_records_add(struct weir_ledger *ledger, struct weir_ledger_segment *segment,
                                 const struct weir_ledger_record *record, uint64_t live);

/* A segment that gets its first record takes its place in the order of numbers. */
void weir_ledger_records_index(struct weir_ledger *ledger, struct weir_ledger_segment *segment);

/* The record with this number; false: none. */
bool weir_ledger_records_find(struct weir_ledger *ledger, uint64_t lsn,
                              struct weir_ledger_position *ret);

/* Index in by_lsn of the last segment whose first number is <= lsn; UINT32_MAX: none. */
uint32_t weir_ledger_records_below(const struct weir_ledger *ledger, uint64_t lsn);

/* The first index of the segment with a number >= lsn, void or not. */
uint32_t weir_ledger_records_from(const struct weir_ledger_segment *segment, uint64_t lsn);

bool weir_ledger_records_is_owed(struct weir_ledger_position at, uint32_t slot);
bool weir_ledger_records_is_live(struct weir_ledger_position at, uint32_t slot);

/* Owed no more, nor live. False: it was not owed. */
bool weir_ledger_records_settle(struct weir_ledger *ledger, struct weir_ledger_position at,
                                uint32_t slot);

/* An owed record comes into memory (live) or leaves it; nothing where it is so already. */
void weir_ledger_records_set_live(struct weir_ledger *ledger, struct weir_ledger_position at,
                                  uint32_t slot, bool live);

static inline uint64_t weir_ledger_lsn_at(struct weir_ledger_position at)
{
    return at.segment->first_lsn + at.segment->entries[at.index].lsn_delta;
}

/* Gives a segment the names that its header's roster has, or, where the header brings none (it was
 * found at start, and its bits were mapped), those that the slots have now. WEIR_ENOMEM. */
enum weir_status weir_ledger_names_take(struct weir_ledger *ledger,
                                        const struct weir_frame_segment *header,
                                        struct weir_ledger_names **ret);
/* NULL is nothing. */
void weir_ledger_names_give(struct weir_ledger_names *names);

/* A record found at start is owed to a name that has no slot ("": a bit without a name). */
void weir_ledger_nameless_add(struct weir_ledger_nameless *nameless, const char *name,
                              uint64_t lsn);
/* A DONE note for a name that has no slot. */
void weir_ledger_nameless_done(struct weir_ledger *ledger, const struct weir_note *note);
void weir_ledger_nameless_free(struct weir_ledger_nameless *nameless);

/* The name that notes have for a slot in this segment; "" is the dead letter's. */
static inline const char *weir_ledger_name_in(const struct weir_ledger_segment *segment,
                                              uint32_t slot)
{
    return slot < WEIR_SLOTS_NAMED ? segment->names->of[slot] : "";
}

/* Whether a record of this segment, settled or tried for this slot, can be noted at all. */
static inline bool weir_ledger_is_named_in(const struct weir_ledger_segment *segment, uint32_t slot)
{
    return slot == WEIR_LEDGER_LETTER || weir_ledger_name_in(segment, slot)[0] != '\0';
}

/* A ticket without destinations, not linked. NULL: memory. The mutex may be free. */
struct weir_ticket *weir_ledger_ticket_make(struct weir_ledger *ledger, uint32_t destinations);
void weir_ledger_ticket_link(struct weir_ledger *ledger, struct weir_ticket *ticket);
void weir_ledger_ticket_done(void *ticket);

/* Settles all that is left for a destination of the ticket, which may be gone then. */
void weir_ledger_ticket_end(struct weir_ledger *ledger, struct weir_ticket *ticket,
                            struct weir_ticket_destination *destination,
                            enum weir_settlement settlement, struct weir_ledger_told *told);

/* Whether more waits for a destination than its share. */
bool weir_ledger_is_over_share(const struct weir_ledger *ledger, uint32_t slot);

/* Calls the jobs' `delivered`. The mutex is free. */
void weir_ledger_tell(struct weir_ledger_told told);

/* -- progress -- */

/* Frees what is in the table for a slot. */
void weir_ledger_progress_purge(struct weir_ledger_progress_table *table, uint32_t slot);

/* An empty one, in nobody's hands. NULL: memory. */
struct weir_ledger_progress *weir_ledger_progress_new(struct weir_ledger_progress_table *table,
                                                      uint64_t lsn, uint32_t slot);
/* NULL is nothing. */
void weir_ledger_progress_free(struct weir_ledger_progress_table *table,
                               struct weir_ledger_progress *progress);

/* Adds [begin, end) of `total`; spans of another total go. WEIR_ENOMEM: forgotten. */
enum weir_status weir_ledger_progress_add(struct weir_ledger_progress_table *table,
                                          struct weir_ledger_progress *progress, uint32_t begin,
                                          uint32_t end, uint32_t total);

bool weir_ledger_progress_overlaps(const struct weir_ledger_progress *progress, uint32_t begin,
                                   uint32_t end);

static inline bool weir_ledger_progress_is_empty(const struct weir_ledger_progress *progress)
{
    return progress->count == 0 && progress->used_ns == 0 && progress->attempted == 0;
}

enum weir_status weir_ledger_progress_table_init(struct weir_ledger_progress_table *table);
void weir_ledger_progress_table_done(struct weir_ledger_progress_table *table);
void weir_ledger_progress_put(struct weir_ledger_progress_table *table,
                              struct weir_ledger_progress *progress);

/* Takes it out; NULL: none. */
struct weir_ledger_progress *weir_ledger_progress_pull(struct weir_ledger_progress_table *table,
                                                       uint64_t lsn, uint32_t slot);

/* -- notes -- */

void weir_ledger_note_done(struct weir_ledger *ledger, struct weir_ledger_position at,
                           uint32_t slot);
void weir_ledger_note_part(struct weir_ledger *ledger, const struct weir_ticket *ticket,
                           uint32_t slot, struct weir_span span);
void weir_ledger_note_attempted(struct weir_ledger *ledger, const struct weir_ticket *ticket,
                                const struct weir_ledger_progress *progress);
/* True the first time. */
bool weir_ledger_note_lost(struct weir_ledger *ledger, uint64_t lsn,
                           struct weir_ledger_segment *segment);

/* True the first time; without a note. */
bool weir_ledger_remember_lost(struct weir_ledger *ledger, uint64_t lsn);

/* The number was committed: the highest durable one of its epoch. */
void weir_ledger_durable(struct weir_ledger *ledger, uint64_t lsn);

#endif
