/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { SUB = WEIR_LOAD_HISTOGRAM_SUB, SUB_BITS = 10 };

_Static_assert(SUB == 1 << SUB_BITS, "slots of an octave");
/* The top value's slot is the last: 43 bits, shift 32. */
_Static_assert(WEIR_LOAD_HISTOGRAM_SLOTS == (32 + 2) * SUB, "slots");

static uint32_t slot_of(uint64_t value)
{
    if (value < 2 * SUB) {
        return (uint32_t)value;
    }
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return shift * SUB + (uint32_t)(value >> shift);
}

static uint64_t highest_of(uint32_t slot)
{
    if (slot < 2 * SUB) {
        return slot;
    }
    unsigned shift = slot / SUB - 1;
    return (((uint64_t)(slot - shift * SUB) + 1) << shift) - 1;
}

enum weir_status weir_load_histogram_init(struct weir_load_histogram *histogram)
{
    uint64_t *slots = weir_mem_zalloc(WEIR_LOAD_HISTOGRAM_SLOTS, sizeof *slots);
    if (slots == NULL) {
        return WEIR_ENOMEM;
    }
    *histogram = (struct weir_load_histogram){.slots = slots};
    return WEIR_OK;
}

void weir_load_histogram_done(struct weir_load_histogram *histogram)
{
    weir_mem_free(histogram->slots);
    *histogram = (struct weir_load_histogram){0};
}

void weir_load_histogram_add(struct weir_load_histogram *histogram, int64_t value)
{
    uint64_t counted = value < 0 ? 0 : (uint64_t)value;
    histogram->max = counted > histogram->max ? counted : histogram->max;
    counted = counted > WEIR_LOAD_HISTOGRAM_TOP ? WEIR_LOAD_HISTOGRAM_TOP : counted;
    uint32_t slot = slot_of(counted);
    WEIR_ASSERT(slot < WEIR_LOAD_HISTOGRAM_SLOTS);
    histogram->slots[slot]++;
    histogram->count++;
}

void weir_load_histogram_merge(struct weir_load_histogram *histogram,
                               const struct weir_load_histogram *other)
{
    for (uint32_t i = 0; i < WEIR_LOAD_HISTOGRAM_SLOTS; i++) {
        histogram->slots[i] += other->slots[i];
    }
    histogram->count += other->count;
    histogram->max = other->max > histogram->max ? other->max : histogram->max;
}

uint64_t weir_load_histogram_at(const struct weir_load_histogram *histogram, double quantile)
{
    /* a millionth off: 0.07 x 20,000 is a little above 1400 */
    double wanted = quantile * (double)histogram->count - 1e-6;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < WEIR_LOAD_HISTOGRAM_SLOTS && histogram->count > 0; i++) {
        sum += histogram->slots[i];
        if (sum > 0 && (double)sum >= wanted) {
            bool last = i + 1 == WEIR_LOAD_HISTOGRAM_SLOTS;
            uint64_t highest = highest_of(i);
            return last || highest > histogram->max ? histogram->max : highest;
        }
    }
    return histogram->max;
}
