/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of large blocks: see weir/region.h for the picture.
 *
 * Size classes: each doubling is cut into four equal steps (4, 5, 6, 7, 8, 10, 12, 14, 16 KiB, ...
 * 512 MiB), so the class above a size is at most a quarter larger than it. Class c is (4 + c % 4)
 * << (c / 4) KiB. Those of parts of 4 KiB stay empty: sizes are rounded up to whole ones first.
 *
 * Rows (row_internal.h): the larger the class, the shorter its row, since few large regions are
 * ever idle at once and the idle limit would refuse them anyway. Rows of small classes are long:
 * some thousand small requests wait at a time for their batch, and come back together. Their slots
 * are zeros that nobody has written to until they are used, so a quiet process has no page of them.
 *
 * Regions under 1 MiB are pages straight from the system, and each class has a second row, of cold
 * ones, which have an address and no memory behind it:
 *
 *   warm row [ idle | idle | 0 | 0 ]   counted and limited; taken first
 *   cold row [ cold | 0 | 0 | 0 ]      taken next; its pages are cleared as they are written to
 *
 * Idle ones that are too many lose their memory and stay with their addresses (madvise), so what
 * passes the warm total now and then, behind a stall say, asks for nothing once it has been there:
 * with mmap and munmap that was a call for each region, and both keep every other thread from
 * faulting pages in meanwhile. New ones are made several at a time, half as many as there are (for
 * a sixteenth of the warm total at most): what is above all before is few calls too. Cold bytes
 * have a limit of their own, twice what regions may take of memory in all, for the page tables'
 * sake; beyond it a region is unmapped by itself. Of larger ones few are in use, and the allocator
 * keeps them a moment when they go to and fro. With a large warm total the smallest classes are the
 * allocator's too: a region unmapped between others cuts a mapping in two, and a process may have
 * some 65,000 (vm.max_map_count).
 *
 * A new or cold region that would pass the warm total takes idle ones' place, of the class that has
 * the most bytes idle: what another load left behind goes before what this one uses in turn. (The
 * largest regions first, as it was, were those that are dear to ask for, again and again.)
 *
 *   I1  a slot holds an idle region's address or NULL; a region is in one slot or with one user
 *   I2  idle >= bytes in warm slots: raised before a slot is filled, lowered after one is emptied;
 *       the same with cold and cold slots; cold <= cold_limit
 *   I3  idle <= idle_limit, or idle + taken <= warm_total at the time of the last give or miss,
 *       once every call in progress has ended
 *   I4  taken = bytes out with users
 *   I5  made = a class's regions, idle, cold or taken; how they are given back depends on the class
 *       alone
 *
 * Memory order: a slot is filled with release and emptied with acquire, so whatever the last user
 * did to the bytes comes before what the next one does. The counters order nothing and are relaxed.
 *
 * Any thread calls anything but new and free. A full row or a reached limit frees; empty rows
 * allocate one or several. Where the system refuses that, all cold ones go back to it, whose
 * addresses may be what is out (ulimit -v, strict overcommit), and it is asked for one; no memory
 * is WEIR_ENOMEM. Deliberately no trimming by time: the limits are what bounds idle memory.
 */
#include "weir/region.h"
#include "poison_internal.h"
#include "region_internal.h"
#include "row_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define REGION_ALIGNMENT ((size_t)4096)
#define REGION_SIZE_MIN  ((size_t)4096)
#define MAPPED_BELOW     ((size_t)1 << 20)
#define MAPPED_PART      ((size_t)1 << 16) /* of the warm total, at least, is a mapped region */

enum { CLASS_COUNT = 17 * 4 + 1, MADE_AT_ONCE_MIN = 8, COLD_FOR_WARM = 8 };

struct weir_regions {
    size_t idle_limit;
    size_t warm_total;
    size_t cold_limit;
    size_t page_size;
    struct weir_pool *headers;
    _Alignas(64) _Atomic size_t idle;
    _Atomic size_t taken;
    _Atomic size_t cold;
    _Atomic(void *) *slots; /* of all rows */
    _Alignas(64) struct weir_row rows[CLASS_COUNT];
    struct weir_row cold_rows[CLASS_COUNT];
    _Atomic uint32_t made[CLASS_COUNT];
};

static size_t class_capacity(unsigned class_index)
{
    return (size_t)(4 + class_index % 4) << (class_index / 4 + 10);
}

/* The smallest class that holds `size` (1..WEIR_REGION_SIZE_MAX). */
static unsigned class_of(size_t size)
{
    size = (size + REGION_SIZE_MIN - 1) / REGION_SIZE_MIN * REGION_SIZE_MIN;
    if (size == REGION_SIZE_MIN) {
        return 0;
    }
    unsigned doubling = 63 - (unsigned)__builtin_clzll(size - 1); /* 2^doubling <= size - 1 */
    size_t step = (size_t)1 << (doubling - 2);
    size_t steps = (size - 1 - ((size_t)1 << doubling)) / step + 1; /* 1..4 */
    return (doubling - 12) * 4 + (unsigned)steps;
}

_Static_assert(WEIR_REGION_SIZE_MAX == (size_t)4 << (17 + 10),
               "the last class is the largest size");

static uint32_t row_slots(unsigned class_index)
{
    size_t capacity = class_capacity(class_index);
    if (capacity <= (size_t)64 << 10) {
        return 4096;
    }
    if (capacity < (size_t)1 << 20) {
        return 256;
    }
    return capacity < (size_t)32 << 20 ? 16 : 4;
}

static enum weir_status make_rows(struct weir_regions *regions)
{
    uint32_t slots = 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        slots += 2 * row_slots(class_index);
    }
    regions->slots = weir_mem_zalloc(slots, sizeof *regions->slots);
    if (regions->slots == NULL) {
        return WEIR_ENOMEM;
    }
    _Atomic(void *) *next = regions->slots;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        regions->rows[class_index].slots = next;
        regions->rows[class_index].count = row_slots(class_index);
        next += row_slots(class_index);
        regions->cold_rows[class_index].slots = next;
        regions->cold_rows[class_index].count = row_slots(class_index);
        next += row_slots(class_index);
    }
    return WEIR_OK;
}

enum weir_status weir_regions_new(size_t idle_limit, struct weir_regions **ret)
{
    struct weir_regions *regions = weir_mem_aligned(64, sizeof *regions);
    if (regions == NULL) {
        return WEIR_ENOMEM;
    }
    memset(regions, 0, sizeof *regions); /* before any other thread knows it */
    regions->idle_limit = idle_limit;
    regions->cold_limit = idle_limit;
    regions->page_size = (size_t)sysconf(_SC_PAGESIZE);
    enum weir_status status = make_rows(regions);
    if (status != WEIR_OK) {
        goto free_regions;
    }
    status = weir_pool_new(WEIR_REGIONS_HEADER_SIZE, WEIR_REGIONS_HEADERS_IDLE_MAX, NULL,
                           &regions->headers);
    if (status != WEIR_OK) {
        goto free_slots;
    }
    *ret = regions;
    return WEIR_OK;

free_slots:
    weir_mem_free(regions->slots);
free_regions:
    weir_mem_free(regions);
    return status;
}

void weir_regions_keep_warm(struct weir_regions *regions, size_t total)
{
    WEIR_ASSERT(weir_regions_taken(regions) + weir_regions_idle(regions) == 0); /* I5 */
    regions->warm_total = total;
    size_t cold_limit = total < SIZE_MAX / COLD_FOR_WARM ? total * COLD_FOR_WARM : SIZE_MAX;
    regions->cold_limit = cold_limit > regions->idle_limit ? cold_limit : regions->idle_limit;
}

/* -- making and freeing --------------------------------------------------------------------- */

/* Whether the class's regions are pages from the system: never where a page is more than one. */
static bool is_mapped(const struct weir_regions *regions, unsigned class_index)
{
    size_t capacity = class_capacity(class_index);
    return capacity < MAPPED_BELOW && capacity >= regions->warm_total / MAPPED_PART &&
           capacity % regions->page_size == 0;
}

static void unmake(struct weir_regions *regions, unsigned class_index, void *data)
{
    atomic_fetch_sub_explicit(&regions->made[class_index], 1, memory_order_relaxed);
    if (is_mapped(regions, class_index)) {
        weir_mem_pages_free(data, class_capacity(class_index));
    } else {
        weir_mem_free(data);
    }
}

/* Puts a region into a row, its bytes counted in `bytes`, if they stay within `limit`. */
static bool keep(struct weir_row *row, void *data, size_t capacity, _Atomic size_t *bytes,
                 size_t limit)
{
    /* Relaxed: a counter, which orders nothing. */
    if (atomic_fetch_add_explicit(bytes, capacity, memory_order_relaxed) + capacity <= limit) {
        weir_poison(data, capacity);
        if (weir_row_put(row, data)) {
            return true;
        }
        weir_unpoison(data, capacity);
    }
    atomic_fetch_sub_explicit(bytes, capacity, memory_order_relaxed);
    return false;
}

/* Keeps the address of a region without memory behind it, or gives that back as well. */
static void keep_cold(struct weir_regions *regions, unsigned class_index, void *data)
{
    if (!keep(&regions->cold_rows[class_index], data, class_capacity(class_index), &regions->cold,
              regions->cold_limit)) {
        unmake(regions, class_index, data);
    }
}

/* relaxed: a hint, which spares what would be undone at once */
static uint32_t free_slots(const struct weir_row *row)
{
    uint32_t idle = atomic_load_explicit(&row->idle, memory_order_relaxed);
    return idle < row->count ? row->count - idle : 0;
}

/* Gives a region's memory back, and maybe keeps its address. */
static void drop(struct weir_regions *regions, unsigned class_index, void *data)
{
    size_t capacity = class_capacity(class_index);
    /* relaxed: a hint, which spares clearing what is unmapped anyway */
    size_t cold = atomic_load_explicit(&regions->cold, memory_order_relaxed);
    if (is_mapped(regions, class_index) && cold + capacity <= regions->cold_limit &&
        free_slots(&regions->cold_rows[class_index]) > 0 && weir_mem_pages_clear(data, capacity)) {
        keep_cold(regions, class_index, data);
    } else {
        unmake(regions, class_index, data);
    }
}

static size_t less(size_t from, size_t by)
{
    return from > by ? from - by : 0;
}

/* Makes a region that nobody has idle, or gives it back where it would be too much. */
static void offer(struct weir_regions *regions, unsigned class_index, void *data)
{
    size_t by_warm = less(regions->warm_total, weir_regions_taken(regions));
    size_t limit = regions->idle_limit > by_warm ? regions->idle_limit : by_warm;
    if (!keep(&regions->rows[class_index], data, class_capacity(class_index), &regions->idle,
              limit)) {
        drop(regions, class_index, data);
    }
}

/* How many regions of the class to make when one is needed. */
static size_t count_wanted(const struct weir_regions *regions, unsigned class_index)
{
    if (!is_mapped(regions, class_index)) {
        return 1;
    }
    size_t capacity = class_capacity(class_index);
    size_t by_idle = regions->idle_limit / 4;
    size_t by_warm = regions->warm_total / 16;
    size_t bytes_max = by_idle > by_warm ? by_idle : by_warm;
    /* relaxed, both: hints */
    size_t cold = atomic_load_explicit(&regions->cold, memory_order_relaxed);
    size_t ahead = atomic_load_explicit(&regions->made[class_index], memory_order_relaxed) / 2;
    size_t room = less(regions->cold_limit, cold);
    size_t ahead_max = (bytes_max < room ? bytes_max : room) / capacity;
    size_t slots = free_slots(&regions->cold_rows[class_index]);
    ahead = ahead < MADE_AT_ONCE_MIN - 1 ? MADE_AT_ONCE_MIN - 1 : ahead;
    ahead = ahead < slots ? ahead : slots;
    return 1 + (ahead < ahead_max ? ahead : ahead_max);
}

/* -- idle ones ------------------------------------------------------------------------------ */

/* A region out of a row, no longer counted in `bytes`, or NULL. */
static void *take_from(struct weir_row *row, size_t capacity, _Atomic size_t *bytes)
{
    void *data = weir_row_take(row);
    if (data != NULL) {
        atomic_fetch_sub_explicit(bytes, capacity, memory_order_relaxed);
        weir_unpoison(data, capacity);
    }
    return data;
}

/* An idle region of the class, or NULL. */
static void *take_idle(struct weir_regions *regions, unsigned class_index)
{
    return take_from(&regions->rows[class_index], class_capacity(class_index), &regions->idle);
}

/* A cold region of the class, or NULL. */
static void *take_cold(struct weir_regions *regions, unsigned class_index)
{
    return take_from(&regions->cold_rows[class_index], class_capacity(class_index), &regions->cold);
}

/* The class that has the most bytes idle. */
static unsigned most_idle(const struct weir_regions *regions)
{
    unsigned found = 0;
    size_t most = 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        /* relaxed: a hint */
        size_t idle = atomic_load_explicit(&regions->rows[class_index].idle, memory_order_relaxed) *
                      class_capacity(class_index);
        if (idle >= most) {
            most = idle;
            found = class_index;
        }
    }
    return found;
}

/* Gives idle regions' memory back until `bytes` are gone or none is left. */
static void trim(struct weir_regions *regions, size_t bytes)
{
    size_t gone = 0;
    while (gone < bytes) {
        unsigned class_index = most_idle(regions);
        void *data = take_idle(regions, class_index);
        if (data == NULL) {
            return; /* or somebody else took it: then it is not idle */
        }
        drop(regions, class_index, data);
        gone += class_capacity(class_index);
    }
}

/* Before a region of `capacity` that has no memory behind it is taken. */
static void make_place(struct weir_regions *regions, size_t capacity)
{
    size_t idle = weir_regions_idle(regions);
    size_t total = idle + weir_regions_taken(regions) + capacity;
    if (idle > regions->idle_limit && total > regions->warm_total) {
        size_t over_idle = idle - regions->idle_limit;
        size_t over_warm = total - regions->warm_total;
        trim(regions, over_idle < over_warm ? over_idle : over_warm);
    }
}

/* Gives the addresses of all cold regions back. True: there were some. */
static bool release_cold(struct weir_regions *regions)
{
    bool is_any = false;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        void *data;
        while ((data = take_cold(regions, class_index)) != NULL) {
            unmake(regions, class_index, data);
            is_any = true;
        }
    }
    return is_any;
}

/* A new region, and `count` - 1 cold ones besides. NULL: no memory. */
static void *make(struct weir_regions *regions, unsigned class_index, size_t count)
{
    size_t capacity = class_capacity(class_index);
    uint8_t *data = is_mapped(regions, class_index) ? weir_mem_pages(count * capacity)
                                                    : weir_mem_aligned(REGION_ALIGNMENT, capacity);
    if (data == NULL) {
        return NULL;
    }
    /* relaxed: a statistic */
    atomic_fetch_add_explicit(&regions->made[class_index], (uint32_t)count, memory_order_relaxed);
    for (size_t i = 1; i < count; i++) {
        keep_cold(regions, class_index, data + i * capacity);
    }
    return data;
}

/* Cold ones besides, as many as seems right. */
static void *make_some(struct weir_regions *regions, unsigned class_index)
{
    size_t count = count_wanted(regions, class_index);
    void *data = make(regions, class_index, count);
    if (data == NULL && (release_cold(regions) || count > 1)) {
        data = make(regions, class_index, 1);
    }
    return data;
}

void weir_regions_free(struct weir_regions *regions)
{
    if (regions == NULL) {
        return;
    }
    WEIR_ASSERT(weir_regions_taken(regions) == 0);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        void *data;
        while ((data = take_idle(regions, class_index)) != NULL ||
               (data = take_cold(regions, class_index)) != NULL) {
            unmake(regions, class_index, data);
        }
        WEIR_ASSERT(atomic_load_explicit(&regions->made[class_index], memory_order_relaxed) == 0);
    }
    weir_pool_free(regions->headers);
    weir_mem_free(regions->slots);
    weir_mem_free(regions);
}

enum weir_status weir_region_take(struct weir_regions *regions, size_t size,
                                  struct weir_region *ret)
{
    WEIR_ASSERT(size > 0);
    if (size > WEIR_REGION_SIZE_MAX) {
        return WEIR_ELIMIT;
    }
    unsigned class_index = class_of(size);
    size_t capacity = class_capacity(class_index);
    void *data = take_idle(regions, class_index);
    if (data == NULL) {
        make_place(regions, capacity);
        data = take_cold(regions, class_index);
        data = data == NULL ? make_some(regions, class_index) : data;
    }
    if (data == NULL) {
        return WEIR_ENOMEM;
    }
    atomic_fetch_add_explicit(&regions->taken, capacity, memory_order_relaxed); /* a statistic */
    *ret = (struct weir_region){data, capacity};
    return WEIR_OK;
}

void weir_region_give(struct weir_regions *regions, struct weir_region *region)
{
    if (region->data == NULL) {
        return;
    }
    unsigned class_index = class_of(region->capacity);
    size_t capacity = class_capacity(class_index);
    WEIR_ASSERT(capacity == region->capacity);
    size_t taken = atomic_fetch_sub_explicit(&regions->taken, capacity, memory_order_relaxed);
    WEIR_ASSERT(taken >= capacity);
    offer(regions, class_index, region->data);
    *region = (struct weir_region){NULL, 0};
}

size_t weir_region_capacity(size_t size)
{
    WEIR_ASSERT(size > 0);
    WEIR_ASSERT(size <= WEIR_REGION_SIZE_MAX);
    return class_capacity(class_of(size));
}

size_t weir_regions_idle(const struct weir_regions *regions)
{
    return atomic_load_explicit(&regions->idle, memory_order_relaxed); /* a statistic */
}

size_t weir_regions_taken(const struct weir_regions *regions)
{
    return atomic_load_explicit(&regions->taken, memory_order_relaxed); /* a statistic */
}

/* What a row holds, looked at one by one. The caller has made sure that nobody else is here. */
static uint32_t count_row(const struct weir_row *row)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < row->count; i++) {
        /* relaxed, both: as above */
        const void *data = atomic_load_explicit(&row->slots[i], memory_order_relaxed);
        WEIR_ASSERT((uintptr_t)data % REGION_ALIGNMENT == 0);
        seen += data == NULL ? 0 : 1;
    }
    WEIR_ASSERT(seen == atomic_load_explicit(&row->idle, memory_order_relaxed));
    return seen;
}

void weir_regions_validate(const struct weir_regions *regions)
{
    size_t idle = 0, cold = 0, made = 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        /* relaxed: nobody else is here */
        made += atomic_load_explicit(&regions->made[class_index], memory_order_relaxed) *
                class_capacity(class_index);
        idle += count_row(&regions->rows[class_index]) * class_capacity(class_index);
        cold += count_row(&regions->cold_rows[class_index]) * class_capacity(class_index);
    }
    WEIR_ASSERT(idle == weir_regions_idle(regions));
    WEIR_ASSERT(idle <= regions->idle_limit || idle <= regions->warm_total);
    /* relaxed: nobody else is here */
    WEIR_ASSERT(cold == atomic_load_explicit(&regions->cold, memory_order_relaxed));
    WEIR_ASSERT(cold <= regions->cold_limit);
    WEIR_ASSERT(made == idle + cold + weir_regions_taken(regions));
}

struct weir_pool *weir_regions_headers(struct weir_regions *regions)
{
    return regions->headers;
}
