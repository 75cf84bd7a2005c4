/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_LEDGER_RIG_H
#define WEIR_TEST_LEDGER_RIG_H

/*
 * A ledger with two destinations, segments of 1 MiB, and short words for what a test does with it.
 */
#include "../../../src/spool/ledger.h"
#include "../../../src/spool/notes_internal.h"
#include <stdio.h>

enum { RIG_A = 1, RIG_B = 2, RIG_EXTENT = 4096 };
#define RIG_EPOCH (UINT64_C(1) << 40)

static const struct weir_spool_destination rig_destinations[] = {{"a", 0}, {"b", 3 * RIG_EXTENT}};

static inline struct weir_ledger *rig_new(bool has_notes, size_t notes_limit)
{
    struct weir_ledger_options options = {
        .destinations = rig_destinations,
        .destination_count = 2,
        .notes = has_notes,
        .notes_limit = notes_limit,
        .delivered_ns = 100,
    };
    struct weir_ledger *ledger = NULL;
    assert_int_equal(weir_ledger_new(&options, &ledger), WEIR_OK);
    return ledger;
}

static inline struct weir_frame_segment rig_roster(uint64_t number)
{
    struct weir_frame_segment roster = {.version = 2,
                                        .number = number,
                                        .salt = number * 7,
                                        .size = 1 << 20,
                                        .name_count = 2,
                                        .names = {"a", "b"}};
    return roster;
}

static inline struct weir_ledger_segment *rig_segment(struct weir_ledger *ledger, uint64_t number)
{
    struct weir_frame_segment roster = rig_roster(number);
    struct weir_ledger_segment *segment = NULL;
    assert_int_equal(weir_ledger_segment_new(ledger, &roster, &segment), WEIR_OK);
    return segment;
}

/* As a start finds one, whose bits were mapped to slots. */
static inline struct weir_ledger_segment *rig_found(struct weir_ledger *ledger, uint64_t number)
{
    struct weir_frame_segment header = rig_roster(number);
    header.name_count = 0;
    struct weir_ledger_segment *segment = NULL;
    assert_int_equal(weir_ledger_segment_new(ledger, &header, &segment), WEIR_OK);
    return segment;
}

static inline struct weir_ledger_record rig_record(uint64_t lsn, uint64_t owed)
{
    return (struct weir_ledger_record){.lsn = RIG_EPOCH + lsn,
                                       .offset = 8192 + lsn * RIG_EXTENT,
                                       .extent = RIG_EXTENT,
                                       .received_wall_ns = (int64_t)lsn * 1000000000,
                                       .owed = owed};
}

/* A commit of one record with ten points for each live destination; the ticket, or NULL. */
static inline struct weir_ticket *rig_commit(struct weir_ledger *ledger,
                                             struct weir_ledger_segment *segment, uint64_t lsn,
                                             uint64_t owed, uint64_t live)
{
    static const uint32_t points[2] = {10, 10};
    struct weir_spool_job job = {.owed = owed, .live = live, .live_points = points, .points = 20};
    struct weir_ledger_record record = rig_record(lsn, owed);
    if (segment != NULL) {
        assert_int_equal(weir_ledger_reserve(ledger, segment, 1, owed), WEIR_OK);
    }
    assert_int_equal(weir_ledger_ticket_new(ledger, &job), WEIR_OK);
    weir_ledger_commit(ledger, segment, &record, &job);
    return job.ticket;
}

static inline void rig_part(struct weir_ledger *ledger, struct weir_ticket *ticket,
                            uint32_t destination, struct weir_span span,
                            enum weir_settlement settlement)
{
    struct weir_part part = {ticket, span.begin, span.end};
    struct weir_manifest manifest = {.destination = destination, .count = 1, .parts = &part};
    weir_ledger_settle_manifest(ledger, &manifest, settlement);
}

static inline void rig_attempted(struct weir_ledger *ledger, struct weir_ticket *ticket,
                                 uint32_t destination, int64_t used_ns)
{
    struct weir_part part = {ticket, 0, 1};
    struct weir_manifest manifest = {.destination = destination, .count = 1, .parts = &part};
    weir_ledger_attempted(ledger, &manifest, used_ns, NULL);
}

static inline struct weir_spool_stat rig_look(struct weir_ledger *ledger)
{
    struct weir_spool_stat stat = {.bytes = 0};
    weir_ledger_look(ledger, &stat);
    return stat;
}

/* The number of the next record that waits, 0 for none; the place is *ret. */
static inline uint64_t rig_next(struct weir_ledger *ledger, uint32_t destination,
                                struct weir_backlog_place *ret)
{
    enum weir_status status = weir_ledger_next(ledger, destination, ret);
    if (status == WEIR_EEND) {
        return 0;
    }
    assert_int_equal(status, WEIR_OK);
    return ret->lsn - RIG_EPOCH;
}

/* Notes as text, one a line: "done 3-5 a", "part 3 a 0 10/20". */
struct rig_text {
    char text[4096];
    size_t size;
};

static inline void rig_print(void *argument, const struct weir_note *note)
{
    static const char *const kinds[] = {"?",  "done",    "part", "attempted",
                                        "id", "durable", "lost", "segment"};
    struct rig_text *out = argument;
    uint64_t last = note->last == 0 ? note->lsn : note->last;
    int size =
        snprintf(out->text + out->size, sizeof out->text - out->size, "%s %d-%d %.*s %u %u/%u %d;",
                 kinds[note->kind], (int)(note->lsn - RIG_EPOCH), (int)(last - RIG_EPOCH),
                 (int)note->name.size, note->name.size > 0 ? (const char *)note->name.data : "",
                 note->begin, note->end, note->total, (int)note->used_ns);
    assert_true(size > 0);
    out->size += (size_t)size;
    assert_true(out->size < sizeof out->text);
}

/* Takes the notes, says whether they became durable, and compares them with `expected`. */
static inline void rig_assert_notes(struct weir_ledger *ledger, const char *expected, bool durable)
{
    struct weir_buf notes = {.data = NULL};
    struct rig_text text = {.size = 0};
    weir_ledger_take(ledger, &notes);
    weir_notes_each(weir_buf_view(&notes), rig_print, &text);
    weir_ledger_noted(ledger, durable);
    weir_buf_done(&notes);
    assert_string_equal(text.text, expected);
}

static inline void rig_replay(void *argument, const struct weir_note *note)
{
    weir_ledger_replay(argument, note);
}

#endif
