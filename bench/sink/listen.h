/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_LISTEN_H
#define WEIR_BENCH_LISTEN_H

#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/* Listens on `address` ("127.0.0.1:4318"; port 0: any), at *port where that is not 0, and sets it.
 * `shared`: other sockets of this process may listen there too, while a second process of the same
 * user may not begin to. WEIR_EINVAL, WEIR_EEXIST, WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_sink_listen_open(const char *address, bool shared,
                                                     uint16_t *port, int *ret_fd);

#endif
