/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INTAKE_H
#define WEIR_INTAKE_H

#include "weir/credit.h"
#include "weir/region.h"
#include "weir/status.h"

/*
 * One request's staging buffer and the credit that pays for it. A declared body takes its whole
 * credit at the head, before a byte of it is read; a chunked one takes it in steps, each twice the
 * last. Nothing is waited for: no credit is a 503 now.
 *
 *   I1  the credit taken = the region's capacity
 *   I2  size <= capacity <= what body_limit allows
 */
struct weir_intake {
    struct weir_credit *credit;
    struct weir_regions *regions;
    struct weir_region region;
    size_t size; /* body bytes so far */
    size_t size_max;
};

#define WEIR_INTAKE_STEP ((size_t)64 << 10) /* the first step of a body of unknown size */

/* An intake without memory yet; a body may not pass `size_max` bytes. */
void weir_intake_init(struct weir_intake *intake, struct weir_credit *credit,
                      struct weir_regions *regions, size_t size_max);

/* Takes credit and memory for a body of `size` bytes in all. WEIR_ELIMIT: over size_max.
 * WEIR_EFULL: no credit, or no memory. What was taken and written before stays as it is. */
WEIR_MUST_USE enum weir_status weir_intake_reserve(struct weir_intake *intake, size_t size);

/* Where the next body bytes would go, as far as there is memory already. */
static inline uint8_t *weir_intake_room(const struct weir_intake *intake, size_t *ret_size)
{
    *ret_size = intake->region.capacity - intake->size;
    return *ret_size == 0 ? NULL : intake->region.data + intake->size;
}

/* Appends body bytes, growing when the size was not declared; those that stand in their place
 * already (weir_intake_room) are not copied. Failures as above. */
WEIR_MUST_USE enum weir_status weir_intake_append(struct weir_intake *intake,
                                                  struct weir_bytes bytes);

/* Gives memory and credit back; the intake is then as after init. */
void weir_intake_release(struct weir_intake *intake);

#endif
