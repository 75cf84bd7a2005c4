/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INTAKE_H
#define WEIR_INTAKE_H

#include "weir/bytes.h"
#include "weir/credit.h"
#include "weir/region.h"
#include "weir/status.h"

/*
 * One request's staging buffer and the credit that pays for it. A declared body takes its whole
 * credit at the head, before a byte of it is read; a chunked one takes it in steps, each twice the
 * last. Nothing is waited for: no credit is a 503 now.
 *
 *   region   [ lead ][ body ........... | room ]      lead: 4 KiB for large bodies, else none
 *
 * The lead is what the spool writes its header into, so that header and body go to the disk from
 * one place, a whole number of pages, without a copy (docs/formats/spool.md).
 *
 *   I1  the credit taken = the region's capacity
 *   I2  lead + size <= capacity <= what body_limit allows, and the lead
 */
struct weir_intake {
    struct weir_credit *credit;
    struct weir_regions *regions;
    struct weir_region region;
    size_t lead; /* bytes of the region before the body */
    size_t size; /* body bytes so far */
    size_t size_max;
};

#define WEIR_INTAKE_STEP  ((size_t)64 << 10) /* first step's memory, of a body of unknown size */
#define WEIR_INTAKE_LEAD  ((size_t)4 << 10)
#define WEIR_INTAKE_LARGE (WEIR_INTAKE_STEP - WEIR_INTAKE_LEAD) /* memory from here on has a lead */

/* An intake without memory yet; a body may not pass `size_max` bytes. */
void weir_intake_init(struct weir_intake *intake, struct weir_credit *credit,
                      struct weir_regions *regions, size_t size_max);

/* Takes credit and memory for a body of `size` bytes in all. WEIR_ELIMIT: over size_max.
 * WEIR_EFULL: no credit, or no memory. What was taken and written before stays as it is. */
WEIR_MUST_USE enum weir_status weir_intake_reserve(struct weir_intake *intake, size_t size);

/* Where the next body bytes would go, as far as there is memory already. */
static inline uint8_t *weir_intake_room(const struct weir_intake *intake, size_t *ret_size)
{
    *ret_size = intake->region.capacity - intake->lead - intake->size;
    return *ret_size == 0 ? NULL : intake->region.data + intake->lead + intake->size;
}

/* The body as far as it is there. */
static inline struct weir_bytes weir_intake_body(const struct weir_intake *intake)
{
    return intake->size == 0 ? weir_bytes_of(NULL, 0)
                             : weir_bytes_of(intake->region.data + intake->lead, intake->size);
}

/* Where a large body begins, when the block (WEIR_INTAKE_LEAD) before it and what is left of its
 * last block may be written, else NULL: it is small, or has none. */
static inline uint8_t *weir_intake_margins(const struct weir_intake *intake)
{
    return intake->lead > 0 && intake->size >= WEIR_INTAKE_LARGE
               ? intake->region.data + intake->lead
               : NULL;
}

/* Appends body bytes, growing when the size was not declared; those that stand in their place
 * already (weir_intake_room) are not copied. Failures as above. */
WEIR_MUST_USE enum weir_status weir_intake_append(struct weir_intake *intake,
                                                  struct weir_bytes bytes);

/* Gives memory and credit back; the intake is then as after init. */
void weir_intake_release(struct weir_intake *intake);

#endif
