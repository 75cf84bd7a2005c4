/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ADMIN_ADMIN_LISTEN_H
#define WEIR_ADMIN_ADMIN_LISTEN_H

#include "weir/status.h"
#include <stdint.h>

/* A non-blocking listening socket on "127.0.0.1:9464" or "[::1]:0", and its port. WEIR_EINVAL: not
 * an address, or none of this machine's; WEIR_EEXIST: in use; WEIR_EDENIED, WEIR_EIO. */
WEIR_MUST_USE enum weir_status weir_admin_listen(const char *address, int *ret_fd,
                                                 uint16_t *ret_port);

#endif
