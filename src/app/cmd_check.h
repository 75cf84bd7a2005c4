/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_CMD_CHECK_H
#define WEIR_APP_CMD_CHECK_H

#include "weir/config.h"
#include "weir/transport.h"

/* Appends, as comments, how long the spool lasts and what is in its directory and the dead letter's
 * now. Looks only: makes, locks and changes nothing, so it may be asked beside a running weir. What
 * is doubtful goes to standard error. */
void weir_check_disk(const struct weir_config *config, struct weir_buf *out);

/* Names and expiry of the listener's certificates, as comments. */
void weir_check_tls(const struct weir_config *config, struct weir_buf *out);

/* The header Authorization that a destination wants: *ret_header, to be wiped and freed, is NULL
 * where it wants none of ours. False where it could not be had, which standard error is told. */
bool weir_check_token(const struct weir_transport *transport,
                      const struct weir_config_destination *destination, char **ret_header);

#endif
