/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_INGEST_CLAIM_H
#define WEIR_INGEST_CLAIM_H

#include "weir/status.h"
#include <stdint.h>

/* Takes the address for this process: whoever else claims the same host and port of this network
 * namespace gets WEIR_EEXIST until *ret_fd is closed, which the end of the process does too.
 * WEIR_EINVAL (no "host:port"), WEIR_EIO. Any thread. */
WEIR_MUST_USE enum weir_status weir_claim_take(const char *address, uint16_t port, int *ret_fd);

#endif
