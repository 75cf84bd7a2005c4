/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_CONTROL_H
#define WEIR_BENCH_CONTROL_H

#include "sink/ledger.h"
#include <h2o.h>

/* Answers a request that is no batch: the control paths, 404 and 405. `seed` is for faults that
 * are put in. The request's loop. */
void weir_sink_control(h2o_req_t *request, struct weir_sink_ledger *ledger, uint64_t seed);

/* Sends a whole answer; the body is copied. The request's loop. */
void weir_sink_send(h2o_req_t *request, uint32_t code, const char *type, struct weir_bytes body);

#endif
