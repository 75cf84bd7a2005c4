/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CONC_RING_INTERNAL_H
#define WEIR_CONC_RING_INTERNAL_H

#include "weir/ring.h"

/* Asserts I1 to I3 with `credits_out` credits reserved and not spent, for tests. Only while
 * producers are quiet; the consumer. */
void weir_ring_validate(const struct weir_ring *ring, uint32_t credits_out);

#endif
