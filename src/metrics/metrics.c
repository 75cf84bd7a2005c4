/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: which series there are, and their counts.
 *
 *   registry
 *     names    weir_table: (family, label values) ─► series number
 *     series   [ family, first cell, next ]   by number; a family's are a list in order of arrival
 *     global   [ double ]                     by number: gauges and totals, process-wide
 *     slabs ─► slab ─► slab ─► NULL           one a thread: cells of counters and histograms
 *
 *   cells of a counter    [ count ]
 *   cells of a histogram  [ bucket 0 | ... | bucket n-1 | +Inf | sum as the bits of a double ]
 *
 *   I1  series[i] is complete before number i can be found; it never changes but for `next` and
 *       `is_touched`
 *   I2  a slab's cells are written by the thread that owns it and by nobody else
 *   I3  a slab is never freed before weir_metrics_stop; when its thread ends a later one goes on
 *       in it
 *   I4  ordinary series <= ORDINARY_MAX; each family's "other" and its overflow counter exist from
 *       the start, so that reaching a cap needs nothing new
 *
 * Threads: a series is looked up without a lock and added under one mutex (the table's own is then
 * free). Since only the holder adds, the next number is known before the name is interned, and the
 * series' entry is written first: the table's release covers it (I1). Counts are a relaxed load and
 * store by the owner; a reader may see one a moment late, never torn, never less than before. A
 * histogram's count is the sum of its buckets, so they always agree.
 *
 * Full: the family's "other" series and weir_metrics_overflow_total. Deliberately no removal of
 * series, no float counters per thread, no exemplars.
 */
#include "weir/metrics.h"
#include "expo_internal.h"
#include "metrics_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/table.h"
#include <pthread.h>
#include <stdatomic.h>

enum {
    ORDINARY_MAX = WEIR_METRICS_SERIES_MAX - 2 * WEIR_M_FAMILIES,
    CELLS_MAX = WEIR_METRICS_SERIES_MAX + 512 * (WEIR_FAMILY_BUCKETS_MAX + 1),
    VALUE_SIZE_MAX = 256,
    KEY_SIZE = 1 + WEIR_METRICS_LABELS_MAX * (2 + VALUE_SIZE_MAX)
};

struct series {
    uint32_t cell;
    _Atomic uint32_t next;
    uint16_t family;
    _Atomic bool is_touched;
};

struct slab {
    struct slab *next;
    _Atomic bool is_owned;
    _Alignas(64) _Atomic uint64_t cells[CELLS_MAX];
};

struct family_list {
    _Atomic uint32_t first;
    uint32_t last;
    uint32_t count;
    uint32_t other; /* the only series, where the family has no label */
    uint32_t overflow;
};

struct registry {
    struct weir_table *names;
    pthread_mutex_t adding;
    uint32_t cells_used;
    uint32_t ordinary;
    _Atomic(struct slab *) slabs;
    struct family_list families[WEIR_M_FAMILIES];
    struct series series[WEIR_METRICS_SERIES_MAX];
    _Atomic uint64_t global[WEIR_METRICS_SERIES_MAX]; /* bits of doubles */
};

static struct registry *registry; /* set before the first counting thread, cleared after the last */
static _Thread_local struct slab *own_slab;

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t cells_needed(const struct weir_family_info *info)
{
    switch (info->kind) {
    case WEIR_FAMILY_COUNTER: return 1;
    case WEIR_FAMILY_HISTOGRAM: return info->buckets->count + 2;
    case WEIR_FAMILY_TOTAL:
    case WEIR_FAMILY_GAUGE: return 0;
    }
    WEIR_UNREACHABLE();
}

/* What a series is interned as: the family, then each value with its length before it, so that no
 * two lists of values look alike. Values are cut to VALUE_SIZE_MAX. */
static struct weir_bytes make_key(enum weir_family family, const struct weir_bytes *values,
                                  uint8_t key[KEY_SIZE])
{
    size_t size = 0;
    key[size++] = (uint8_t)family;
    for (uint32_t i = 0; i < weir_families[family].label_count; i++) {
        size_t value_size = values[i].size < VALUE_SIZE_MAX ? values[i].size : VALUE_SIZE_MAX;
        key[size++] = (uint8_t)(value_size >> 8);
        key[size++] = (uint8_t)(value_size & 0xff);
        if (value_size > 0) {
            memcpy(key + size, values[i].data, value_size);
        }
        size += value_size;
    }
    return weir_bytes_of(key, size);
}

_Static_assert(WEIR_M_FAMILIES <= 256, "a family fits a byte of the key");

/* Under the mutex, with a name that is not there. */
static enum weir_status add_series(enum weir_family family, struct weir_bytes key,
                                   uint32_t *ret_series)
{
    const struct weir_family_info *info = &weir_families[family];
    struct family_list *list = &registry->families[family];
    uint32_t number = weir_table_count(registry->names);
    uint32_t cells = cells_needed(info);
    if (number == WEIR_METRICS_SERIES_MAX || cells > CELLS_MAX - registry->cells_used) {
        return WEIR_EFULL;
    }
    struct series *series = &registry->series[number];
    series->cell = registry->cells_used;
    series->family = (uint16_t)family;
    atomic_init(&series->next, WEIR_METRICS_NONE);
    uint32_t interned = 0;
    WEIR_TRY(weir_table_intern(registry->names, key, &interned));
    WEIR_ASSERT(interned == number); /* nobody adds but us, under the mutex */
    registry->cells_used += cells;
    /* release: pairs with the acquire in weir_metrics_first and weir_metrics_next */
    _Atomic uint32_t *place = list->count == 0 ? &list->first : &registry->series[list->last].next;
    atomic_store_explicit(place, number, memory_order_release);
    list->last = number;
    list->count++;
    *ret_series = number;
    return WEIR_OK;
}

static enum weir_status add_fixed(enum weir_family family, const struct weir_bytes *values,
                                  uint32_t *ret_series)
{
    uint8_t key[KEY_SIZE];
    struct weir_bytes name = make_key(family, values, key);
    if (weir_table_find(registry->names, name, ret_series) == WEIR_OK) {
        return WEIR_OK;
    }
    return add_series(family, name, ret_series);
}

/* Every series that must be there when memory or room is not (I4). */
static enum weir_status add_all_fixed(void)
{
    struct weir_bytes other[WEIR_METRICS_LABELS_MAX];
    for (size_t i = 0; i < WEIR_METRICS_LABELS_MAX; i++) {
        other[i] = WEIR_BYTES("other");
    }
    for (uint32_t family = 0; family < WEIR_M_FAMILIES; family++) {
        struct family_list *list = &registry->families[family];
        struct weir_bytes name = weir_bytes_str(weir_families[family].name);
        WEIR_TRY(add_fixed((enum weir_family)family, other, &list->other));
        WEIR_TRY(add_fixed(WEIR_M_OVERFLOW, &name, &list->overflow));
    }
    return WEIR_OK;
}

enum weir_status weir_metrics_start(void)
{
    WEIR_ASSERT(registry == NULL);
    registry = weir_mem_zalloc(1, sizeof *registry);
    if (registry == NULL) {
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < WEIR_M_FAMILIES; i++) {
        atomic_init(&registry->families[i].first, WEIR_METRICS_NONE);
    }
    int initialised = pthread_mutex_init(&registry->adding, NULL);
    WEIR_ASSERT(initialised == 0);
    enum weir_status status = weir_table_new(WEIR_METRICS_SERIES_MAX, &registry->names);
    if (status == WEIR_OK) {
        status = add_all_fixed();
    }
    if (status != WEIR_OK) {
        weir_metrics_stop();
    }
    return status;
}

void weir_metrics_stop(void)
{
    if (registry == NULL) {
        return;
    }
    weir_expo_forget_collectors();
    /* acquire: pairs with the release in weir_metrics_thread_start */
    struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
    while (slab != NULL) {
        struct slab *next = slab->next;
        /* acquire: pairs with the release in weir_metrics_thread_stop */
        WEIR_ASSERT(!atomic_load_explicit(&slab->is_owned, memory_order_acquire));
        weir_mem_free(slab);
        slab = next;
    }
    weir_table_free(registry->names);
    pthread_mutex_destroy(&registry->adding);
    weir_mem_free(registry);
    registry = NULL;
}

/* A slab whose thread has ended, now ours, or NULL. */
static struct slab *adopt_slab(void)
{
    /* acquire: pairs with the release in weir_metrics_thread_start */
    struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
    for (; slab != NULL; slab = slab->next) {
        bool free_one = false;
        /* acquire: pairs with the release in weir_metrics_thread_stop, so that we go on from its
         * last counts */
        if (atomic_compare_exchange_strong_explicit(&slab->is_owned, &free_one, true,
                                                    memory_order_acquire, memory_order_relaxed)) {
            return slab;
        }
    }
    return NULL;
}

enum weir_status weir_metrics_thread_start(void)
{
    WEIR_ASSERT(registry != NULL);
    WEIR_ASSERT(own_slab == NULL);
    own_slab = adopt_slab();
    if (own_slab != NULL) {
        return WEIR_OK;
    }
    struct slab *slab = weir_mem_aligned(_Alignof(struct slab), sizeof *slab);
    if (slab == NULL) {
        return WEIR_ENOMEM;
    }
    memset(slab, 0, sizeof *slab);
    atomic_init(&slab->is_owned, true);
    slab->next = atomic_load_explicit(&registry->slabs, memory_order_relaxed);
    /* release: pairs with the acquires of everybody who walks the list */
    while (!atomic_compare_exchange_weak_explicit(&registry->slabs, &slab->next, slab,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    own_slab = slab;
    return WEIR_OK;
}

void weir_metrics_thread_stop(void)
{
    if (own_slab == NULL) {
        return;
    }
    /* release: pairs with the acquire in adopt_slab */
    atomic_store_explicit(&own_slab->is_owned, false, memory_order_release);
    own_slab = NULL;
}

static uint32_t add_new(enum weir_family family, struct weir_bytes key)
{
    struct family_list *list = &registry->families[family];
    uint32_t number = 0;
    int locked = pthread_mutex_lock(&registry->adding);
    WEIR_ASSERT(locked == 0);
    enum weir_status status = weir_table_find(registry->names, key, &number);
    if (status != WEIR_OK) {
        /* The list holds the fixed series too: "other", and all of the overflow family. */
        status = WEIR_EFULL;
        if (registry->ordinary < ORDINARY_MAX && list->count <= weir_families[family].cap) {
            status = add_series(family, key, &number);
            registry->ordinary += status == WEIR_OK;
        }
    }
    pthread_mutex_unlock(&registry->adding);
    if (status == WEIR_OK) {
        return number;
    }
    weir_metrics_add(list->overflow, 1);
    return list->other;
}

uint32_t weir_metrics_series(enum weir_family family, const struct weir_bytes *values)
{
    WEIR_ASSERT(registry != NULL);
    WEIR_ASSERT(family < WEIR_M_FAMILIES);
    if (weir_families[family].label_count == 0) {
        return registry->families[family].other;
    }
    WEIR_ASSERT(values != NULL);
    uint8_t key[KEY_SIZE];
    struct weir_bytes name = make_key(family, values, key);
    uint32_t number = 0;
    if (weir_table_find(registry->names, name, &number) == WEIR_OK) {
        return number;
    }
    return add_new(family, name);
}

/* The series, marked as touched. The mark is looked at first, so that counting does not write to a
 * shared line. */
static const struct series *touch(uint32_t number)
{
    WEIR_DCHECK(registry != NULL);
    WEIR_ASSERT(number < WEIR_METRICS_SERIES_MAX);
    struct series *series = &registry->series[number];
    /* relaxed: a mark that orders nothing */
    if (!atomic_load_explicit(&series->is_touched, memory_order_relaxed)) {
        atomic_store_explicit(&series->is_touched, true, memory_order_relaxed);
    }
    return series;
}

static void add_global(uint32_t number, double value)
{
    _Atomic uint64_t *place = &registry->global[number];
    uint64_t before = atomic_load_explicit(place, memory_order_relaxed);
    /* relaxed: the number guards nothing */
    while (!atomic_compare_exchange_weak_explicit(place, &before,
                                                  bits_of(double_of(before) + value),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Relaxed load and store instead of a locked add: only the owner writes (I2). */
static void raise_cell(uint32_t cell, uint64_t count)
{
    WEIR_ASSERT(own_slab != NULL);
    _Atomic uint64_t *place = &own_slab->cells[cell];
    uint64_t before = atomic_load_explicit(place, memory_order_relaxed);
    atomic_store_explicit(place, before + count, memory_order_relaxed);
}

void weir_metrics_add(uint32_t series, uint64_t count)
{
    const struct series *entry = touch(series);
    switch (weir_families[entry->family].kind) {
    case WEIR_FAMILY_COUNTER: raise_cell(entry->cell, count); break;
    case WEIR_FAMILY_TOTAL:
    case WEIR_FAMILY_GAUGE: add_global(series, (double)count); break;
    case WEIR_FAMILY_HISTOGRAM: WEIR_UNREACHABLE();
    }
}

void weir_metrics_observe(uint32_t series, double value)
{
    const struct series *entry = touch(series);
    const struct weir_family_info *info = &weir_families[entry->family];
    WEIR_ASSERT(info->kind == WEIR_FAMILY_HISTOGRAM);
    uint32_t bucket = 0;
    while (bucket < info->buckets->count && !(value <= info->buckets->bounds[bucket])) {
        bucket++;
    }
    raise_cell(entry->cell + bucket, 1);
    /* relaxed: only the owner writes (I2) */
    _Atomic uint64_t *sum = &own_slab->cells[entry->cell + info->buckets->count + 1];
    double before = double_of(atomic_load_explicit(sum, memory_order_relaxed));
    atomic_store_explicit(sum, bits_of(before + value), memory_order_relaxed);
}

void weir_metrics_set(uint32_t series, double value)
{
    enum weir_family_kind kind = weir_families[touch(series)->family].kind;
    WEIR_ASSERT(kind != WEIR_FAMILY_COUNTER);
    WEIR_ASSERT(kind != WEIR_FAMILY_HISTOGRAM);
    /* relaxed: the number guards nothing */
    atomic_store_explicit(&registry->global[series], bits_of(value), memory_order_relaxed);
}

uint32_t weir_metrics_first(enum weir_family family)
{
    /* acquire: pairs with the release in add_series */
    return atomic_load_explicit(&registry->families[family].first, memory_order_acquire);
}

uint32_t weir_metrics_next(uint32_t series)
{
    /* acquire: pairs with the release in add_series */
    return atomic_load_explicit(&registry->series[series].next, memory_order_acquire);
}

enum weir_family weir_metrics_family(uint32_t series)
{
    WEIR_ASSERT(series < weir_table_count(registry->names));
    return (enum weir_family)registry->series[series].family;
}

bool weir_metrics_is_touched(uint32_t series)
{
    return atomic_load_explicit(&registry->series[series].is_touched, memory_order_relaxed);
}

struct weir_bytes weir_metrics_label(uint32_t series, uint32_t label)
{
    struct weir_bytes rest = weir_bytes_from(weir_table_name(registry->names, series), 1);
    for (uint32_t i = 0;; i++) {
        WEIR_ASSERT(rest.size >= 2);
        size_t size = (size_t)rest.data[0] << 8 | rest.data[1];
        rest = weir_bytes_from(rest, 2);
        if (i == label) {
            return weir_bytes_of(size == 0 ? NULL : rest.data, size);
        }
        rest = weir_bytes_from(rest, size);
    }
}

uint64_t weir_metrics_count(uint32_t series, uint32_t bucket)
{
    uint32_t cell = registry->series[series].cell + bucket;
    uint64_t total = 0;
    /* acquire: pairs with the release in weir_metrics_thread_start */
    const struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
    for (; slab != NULL; slab = slab->next) {
        total += atomic_load_explicit(&slab->cells[cell], memory_order_relaxed); /* a statistic */
    }
    return total;
}

double weir_metrics_sum(uint32_t series)
{
    const struct series *entry = &registry->series[series];
    uint32_t cell = entry->cell + weir_families[entry->family].buckets->count + 1;
    double total = 0;
    /* acquire: pairs with the release in weir_metrics_thread_start */
    const struct slab *slab = atomic_load_explicit(&registry->slabs, memory_order_acquire);
    for (; slab != NULL; slab = slab->next) {
        total += double_of(atomic_load_explicit(&slab->cells[cell], memory_order_relaxed));
    }
    return total;
}

double weir_metrics_gauge(uint32_t series)
{
    return double_of(atomic_load_explicit(&registry->global[series], memory_order_relaxed));
}
