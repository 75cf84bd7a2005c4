/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TRAFFIC_FINGERPRINT_H
#define WEIR_TRAFFIC_FINGERPRINT_H

#include <stdint.h>

/* What this build's worlds are like, as a number: a hash over some hundred points of a small world,
 * with all that a receiver compares. Two programs that have it in common make the same points of
 * the same options; where the code has changed in between they do not, without anybody having to
 * count versions. Worked out once; 0 when there was no memory for it. Any thread. */
uint64_t weir_traffic_fingerprint(void);

#endif
