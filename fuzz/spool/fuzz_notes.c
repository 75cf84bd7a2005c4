/* SPDX-License-Identifier: Apache-2.0 */
/* The release log: a header, then notes. Oracle: what is read and written again reads the same, and
 * the ledger takes every note there can be. */
#include "../../src/spool/ledger.h"
#include "../../src/spool/notes_internal.h"
#include "../../tests/support/guard.h"

struct reading {
    struct weir_ledger *ledger; /* made for the first note, because few inputs have one */
    struct weir_buf out;
};

static struct weir_ledger *make_ledger(void)
{
    static const struct weir_spool_destination destination = {"a", 0};
    struct weir_ledger_options options = {&destination, 1, true, 0, 0};
    struct weir_frame_segment header = {.number = 1, .size = 1 << 20};
    struct weir_ledger *ledger = NULL;
    struct weir_ledger_segment *segment = NULL;
    WEIR_ASSERT(weir_ledger_new(&options, &ledger) == WEIR_OK);
    WEIR_ASSERT(weir_ledger_segment_new(ledger, &header, &segment) == WEIR_OK);
    for (uint64_t lsn = 1; lsn <= 24; lsn++) {
        struct weir_ledger_record record = {.lsn = lsn, .extent = 64, .owed = 1};
        WEIR_ASSERT(weir_ledger_scan(ledger, segment, &record) == WEIR_OK);
    }
    return ledger;
}

static void visit(void *argument, const struct weir_note *note)
{
    struct reading *reading = argument;
    weir_notes_put(&reading->out, note);
    if (reading->ledger == NULL) {
        reading->ledger = make_ledger();
    }
    weir_ledger_replay(reading->ledger, note);
}

static void write_again(void *out, const struct weir_note *note)
{
    weir_notes_put(out, note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard guard = guard_copy(weir_bytes_of(data, size));
    struct weir_bytes notes = weir_bytes_from(guard_view(&guard), WEIR_NOTES_HEADER);
    struct weir_notes_header header;
    uint8_t again[WEIR_NOTES_HEADER];
    if (weir_notes_header_read(guard_view(&guard), &header) == WEIR_OK) {
        weir_notes_header_write(&header, again);
        WEIR_ASSERT(weir_notes_header_read(weir_bytes_of(again, sizeof again), &header) == WEIR_OK);
    }
    struct reading first = {NULL, weir_buf_grow_init((size_t)64 << 20)};
    struct weir_buf second = weir_buf_grow_init((size_t)64 << 20);
    weir_notes_each(notes, visit, &first);
    weir_notes_each(weir_buf_view(&first.out), write_again, &second);
    WEIR_ASSERT(weir_bytes_eq(weir_buf_view(&first.out), weir_buf_view(&second)));
    weir_ledger_free(first.ledger);
    weir_buf_done(&first.out);
    weir_buf_done(&second);
    guard_free(&guard);
    return 0;
}
