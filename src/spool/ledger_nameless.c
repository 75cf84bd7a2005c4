/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of rosters that found no slot, at a start: what notes say of them is believed all the same.
 *
 *   rosters    62 slots are taken; "tenant-70" and "tenant-71" are left over: slot 62
 *   debts      [ lsn 5: tenant-70 ] [ lsn 5: tenant-71 ] [ lsn 9: tenant-70 ]     by number
 *   notes      done 1..9 tenant-70 ─► 9 is owed to nobody in slot 62 any more; 5 still is
 *
 * Destinations come and go; each that was ever owed a record of a segment which is still there has
 * its name in a roster, and nearly all of them have had what they were owed. Without this they
 * would get it once more, as letters.
 *
 *   I1  a record's slot 62 is settled when every debt of it is done, and none was forgotten
 *   I2  a bit without a name is a debt that is never done
 *
 * Before the first commit; memory goes with weir_ledger_replayed. No memory: nothing in slot 62 is
 * settled, and repeats are possible.
 */
#include "ledger_internal.h"
#include "weir/mem.h"
#include <stdlib.h>

enum { FIRST = 64 };

static bool grow(void **array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t larger = *capacity == 0 ? FIRST : *capacity * 2;
    void *grown = weir_mem_resize(*array, larger, size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = larger;
    return true;
}

/* Index of a name; name_count: there is none. */
static size_t find(const struct weir_ledger_nameless *nameless, struct weir_bytes name)
{
    size_t i = 0;
    while (i < nameless->name_count && !weir_bytes_eq(weir_bytes_str(nameless->names[i]), name)) {
        i++;
    }
    return i;
}

void weir_ledger_nameless_add(struct weir_ledger_nameless *nameless, const char *name, uint64_t lsn)
{
    size_t index = find(nameless, weir_bytes_str(name));
    if (!grow((void **)&nameless->names, nameless->name_count, &nameless->name_capacity,
              sizeof *nameless->names) ||
        !grow((void **)&nameless->debts, nameless->debt_count, &nameless->debt_capacity,
              sizeof *nameless->debts)) {
        nameless->broken = true;
        return;
    }
    if (index == nameless->name_count) {
        memset(nameless->names[index], 0, sizeof *nameless->names);
        memcpy(nameless->names[index], name, strnlen(name, WEIR_SLOTS_NAME - 1));
        nameless->name_count++;
    }
    nameless->debts[nameless->debt_count++] = (struct weir_ledger_debt){lsn, index, false};
    nameless->sorted = false;
}

static int by_lsn(const void *a, const void *b)
{
    const struct weir_ledger_debt *one = a;
    const struct weir_ledger_debt *two = b;
    return one->lsn < two->lsn ? -1 : one->lsn > two->lsn ? 1 : 0;
}

/* The first debt with a number >= lsn. */
static size_t from(const struct weir_ledger_nameless *nameless, uint64_t lsn)
{
    size_t low = 0;
    size_t high = nameless->debt_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nameless->debts[middle].lsn < lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* I1. */
static bool is_all_done(const struct weir_ledger_nameless *nameless, uint64_t lsn)
{
    bool done = true;
    for (size_t i = from(nameless, lsn); i < nameless->debt_count && nameless->debts[i].lsn == lsn;
         i++) {
        done = done && nameless->debts[i].done;
    }
    return done;
}

void weir_ledger_nameless_done(struct weir_ledger *ledger, const struct weir_note *note)
{
    struct weir_ledger_nameless *nameless = &ledger->nameless;
    size_t name = find(nameless, note->name);
    uint64_t last = note->last == 0 ? note->lsn : note->last;
    if (name == nameless->name_count || nameless->broken) {
        return;
    }
    if (!nameless->sorted) {
        qsort(nameless->debts, nameless->debt_count, sizeof *nameless->debts, by_lsn);
        nameless->sorted = true;
    }
    for (size_t i = from(nameless, note->lsn);
         i < nameless->debt_count && nameless->debts[i].lsn <= last; i++) {
        struct weir_ledger_debt *debt = &nameless->debts[i];
        struct weir_ledger_position at;
        if (debt->name != name || debt->done) {
            continue;
        }
        debt->done = true;
        if (is_all_done(nameless, debt->lsn) && weir_ledger_records_find(ledger, debt->lsn, &at)) {
            (void)weir_ledger_records_settle(ledger, at, WEIR_BACKLOG_GONE);
        }
    }
}

void weir_ledger_nameless_free(struct weir_ledger_nameless *nameless)
{
    weir_mem_free(nameless->names);
    weir_mem_free(nameless->debts);
    *nameless = (struct weir_ledger_nameless){.names = NULL};
}

void weir_ledger_replayed(struct weir_ledger *ledger)
{
    pthread_mutex_lock(&ledger->mutex);
    weir_ledger_nameless_free(&ledger->nameless);
    pthread_mutex_unlock(&ledger->mutex);
}
