/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of records that are settled in part, or were tried: the spans of settled points,
 * and what is used of the retry window.
 *
 *   spans     [0 400) [900 1000) [1200 1300)      ascending, apart from each other
 *
 *   table     chains[hash(lsn, slot)] ─► progress ─► progress      not in memory
 *   ticket    destination.progress    ─► progress                  in memory
 *
 *   I1  a pair (lsn, slot) has at most one progress, in a ticket or in the table
 *   I2  begin < end <= total, and between two spans there is a gap
 *   I3  every progress is of the table's pool, which keeps those that nobody has: a batch has one
 *       for each request that it has points of, some thousand where requests are small, and none is
 *       an allocation once it is warm; few spans lie in the progress itself
 *   I4  room for more spans goes from one that is freed to the table, and from there to the next
 *       that needs it. (It stayed with the progress once: then each of the pool's some thousand
 *       asked for its own, one by one.)
 *
 * A progress moves between ticket and table by its pointer, so that nothing is lost when memory is
 * out. When memory is out for a span it is forgotten: these points are then sent again if the rest
 * is kept, or after a crash. Full: the table grows with its content, which is at most what was in
 * memory when an outage began; it grows no chains when memory is out, and gets slower.
 *
 * The ledger's mutex is held by whoever calls. Deliberately knows nothing of notes or records.
 */
#include "ledger_internal.h"
#include "weir/hash.h"
#include "weir/mem.h"

/* What is kept for the next: 8192 of them, and for spans 512 times 512 bytes and 2 KiB each. */
enum { CHAINS_INITIAL = 256, IDLE_MAX = 8192, SPARES_MAX = 512, WIDER = 4 };

static bool is_wide(const struct weir_ledger_progress *progress)
{
    return progress->capacity > WEIR_LEDGER_SPANS_FEW;
}

/* -- room for spans -------------------------------------------------------------------------- */

/* Whose list it is that room for so many spans is kept in; WEIR_LEDGER_SPARES: nobody's. */
static uint32_t spares_of(uint32_t capacity)
{
    uint32_t at = 0;
    for (uint32_t size = WEIR_LEDGER_SPANS_FEW * WIDER; at < WEIR_LEDGER_SPARES && size < capacity;
         size *= WIDER) {
        at++;
    }
    return at;
}

/* Room for more spans than few. What lies in a list begins with the next one's address. */
static struct weir_span *take_room(struct weir_ledger_progress_table *table, uint32_t capacity)
{
    uint32_t at = spares_of(capacity);
    if (at == WEIR_LEDGER_SPARES || table->spares[at] == NULL) {
        return weir_mem_resize(NULL, capacity, sizeof(struct weir_span));
    }
    void *room = table->spares[at];
    memcpy(&table->spares[at], room, sizeof table->spares[at]);
    table->spare_counts[at]--;
    return room;
}

/* Takes what is not in the progress itself from it. */
static void give_room(struct weir_ledger_progress_table *table,
                      struct weir_ledger_progress *progress)
{
    uint32_t at = spares_of(progress->capacity);
    if (!is_wide(progress)) {
        return;
    }
    if (at == WEIR_LEDGER_SPARES || table->spare_counts[at] == SPARES_MAX) {
        weir_mem_free(progress->spans);
        return;
    }
    memcpy(progress->spans, &table->spares[at], sizeof table->spares[at]);
    table->spares[at] = progress->spans;
    table->spare_counts[at]++;
}

struct weir_ledger_progress *weir_ledger_progress_new(struct weir_ledger_progress_table *table,
                                                      uint64_t lsn, uint32_t slot)
{
    struct weir_ledger_progress *progress = weir_pool_take(table->pool);
    if (progress != NULL) {
        *progress = (struct weir_ledger_progress){
            .lsn = lsn,
            .slot = slot,
            .spans = progress->few,
            .capacity = WEIR_LEDGER_SPANS_FEW,
        };
    }
    return progress;
}

void weir_ledger_progress_free(struct weir_ledger_progress_table *table,
                               struct weir_ledger_progress *progress)
{
    if (progress != NULL) {
        give_room(table, progress);
        weir_pool_give(table->pool, progress);
    }
}

/* -- spans --------------------------------------------------------------------------------- */

/* The first span that ends at `begin` or later: all before it are apart from [begin, ...). */
static uint32_t span_lower(const struct weir_ledger_progress *progress, uint32_t begin)
{
    uint32_t low = 0;
    uint32_t high = progress->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (progress->spans[middle].end < begin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool weir_ledger_progress_overlaps(const struct weir_ledger_progress *progress, uint32_t begin,
                                   uint32_t end)
{
    uint32_t at = span_lower(progress, begin);
    if (at < progress->count && progress->spans[at].end == begin) {
        at++; /* touches, no more */
    }
    return at < progress->count && progress->spans[at].begin < end;
}

static enum weir_status span_insert(struct weir_ledger_progress_table *table,
                                    struct weir_ledger_progress *progress, uint32_t at,
                                    struct weir_span span)
{
    if (progress->count == progress->capacity) {
        uint32_t capacity = progress->capacity * WIDER;
        struct weir_span *spans = take_room(table, capacity);
        if (spans == NULL) {
            return WEIR_ENOMEM;
        }
        memcpy(spans, progress->spans, progress->count * sizeof spans[0]);
        give_room(table, progress);
        progress->spans = spans;
        progress->capacity = capacity;
    }
    memmove(progress->spans + at + 1, progress->spans + at,
            (progress->count - at) * sizeof progress->spans[0]);
    progress->spans[at] = span;
    progress->count++;
    return WEIR_OK;
}

enum weir_status weir_ledger_progress_add(struct weir_ledger_progress_table *table,
                                          struct weir_ledger_progress *progress, uint32_t begin,
                                          uint32_t end, uint32_t total)
{
    WEIR_ASSERT(begin < end);
    WEIR_ASSERT(end <= total);
    if (progress->total != total) {
        progress->count = 0;
        progress->total = total;
    }
    uint32_t from = span_lower(progress, begin);
    uint32_t to = from;
    struct weir_span span = {begin, end};
    for (; to < progress->count && progress->spans[to].begin <= end; to++) {
        struct weir_span old = progress->spans[to];
        span.begin = old.begin < span.begin ? old.begin : span.begin;
        span.end = old.end > span.end ? old.end : span.end;
    }
    if (from == to) {
        return span_insert(table, progress, from, span);
    }
    progress->spans[from] = span;
    memmove(progress->spans + from + 1, progress->spans + to,
            (progress->count - to) * sizeof progress->spans[0]);
    progress->count -= to - from - 1;
    return WEIR_OK;
}

/* -- table --------------------------------------------------------------------------------- */

enum weir_status weir_ledger_progress_table_init(struct weir_ledger_progress_table *table)
{
    struct weir_ledger_progress_table made = {.chain_count = CHAINS_INITIAL};
    WEIR_TRY(weir_pool_new(sizeof(struct weir_ledger_progress), IDLE_MAX, NULL, &made.pool));
    made.chains = weir_mem_zalloc(CHAINS_INITIAL, sizeof(void *));
    if (made.chains == NULL) {
        weir_pool_free(made.pool);
        return WEIR_ENOMEM;
    }
    *table = made;
    return WEIR_OK;
}

void weir_ledger_progress_table_done(struct weir_ledger_progress_table *table)
{
    for (uint32_t i = 0; i < table->chain_count; i++) {
        struct weir_ledger_progress *next = NULL;
        for (struct weir_ledger_progress *at = table->chains[i]; at != NULL; at = next) {
            next = at->next;
            weir_ledger_progress_free(table, at);
        }
    }
    for (uint32_t at = 0; at < WEIR_LEDGER_SPARES; at++) {
        while (table->spares[at] != NULL) {
            void *room = table->spares[at];
            memcpy(&table->spares[at], room, sizeof table->spares[at]);
            weir_mem_free(room);
        }
    }
    weir_mem_free(table->chains);
    weir_pool_free(table->pool);
    *table = (struct weir_ledger_progress_table){.chain_count = 0};
}

static struct weir_ledger_progress **chain_of(const struct weir_ledger_progress_table *table,
                                              uint64_t lsn, uint32_t slot)
{
    return &table->chains[weir_hash_mix(lsn, slot) & (table->chain_count - 1)];
}

static void table_grow(struct weir_ledger_progress_table *table)
{
    struct weir_ledger_progress_table larger = *table;
    larger.chain_count *= 2;
    larger.chains = weir_mem_zalloc(larger.chain_count, sizeof(void *));
    if (larger.chains == NULL) {
        return; /* longer chains, then */
    }
    for (uint32_t i = 0; i < table->chain_count; i++) {
        struct weir_ledger_progress *next = NULL;
        for (struct weir_ledger_progress *at = table->chains[i]; at != NULL; at = next) {
            next = at->next;
            struct weir_ledger_progress **chain = chain_of(&larger, at->lsn, at->slot);
            at->next = *chain;
            *chain = at;
        }
    }
    weir_mem_free(table->chains);
    *table = larger;
}

void weir_ledger_progress_put(struct weir_ledger_progress_table *table,
                              struct weir_ledger_progress *progress)
{
    if (table->count >= table->chain_count && table->chain_count < UINT32_C(1) << 30) {
        table_grow(table);
    }
    struct weir_ledger_progress **chain = chain_of(table, progress->lsn, progress->slot);
    progress->next = *chain;
    *chain = progress;
    table->count++;
}

void weir_ledger_progress_purge(struct weir_ledger_progress_table *table, uint32_t slot)
{
    for (uint32_t i = 0; i < table->chain_count; i++) {
        struct weir_ledger_progress **at = &table->chains[i];
        while (*at != NULL) {
            struct weir_ledger_progress *progress = *at;
            if (progress->slot != slot) {
                at = &progress->next;
                continue;
            }
            *at = progress->next;
            table->count--;
            weir_ledger_progress_free(table, progress);
        }
    }
}

struct weir_ledger_progress *weir_ledger_progress_pull(struct weir_ledger_progress_table *table,
                                                       uint64_t lsn, uint32_t slot)
{
    struct weir_ledger_progress **at = chain_of(table, lsn, slot);
    while (*at != NULL && ((*at)->lsn != lsn || (*at)->slot != slot)) {
        at = &(*at)->next;
    }
    struct weir_ledger_progress *found = *at;
    if (found != NULL) {
        *at = found->next;
        found->next = NULL;
        table->count--;
    }
    return found;
}
