/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BEARER_H
#define WEIR_BEARER_H

#include "weir/status.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * A bearer token that somebody else keeps fresh in a file (RFC 6750): read again when the file
 * changes, which is looked for at most once a second.
 *
 *   I1  the header holds the file's last good content: a file that is gone, empty or no token
 *       changes nothing but the trouble, since whoever writes it may be half-way
 *   I2  what is replaced is wiped
 *
 * What the file says is one token of visible ASCII, with line ends and spaces around it cut off.
 * One thread; the file is opened only when it has changed.
 */
struct weir_bearer;

/* WEIR_ENOMEM. The path outlives it; the file need not be there yet. */
WEIR_MUST_USE enum weir_status weir_bearer_new(const char *path, struct weir_bearer **ret);
/* Wipes and frees. NULL is nothing. */
void weir_bearer_free(struct weir_bearer *bearer);

/* The header "Authorization: Bearer ...", terminated; NULL: there has been no token yet. It holds
 * until the next call that is given `bearer`. */
const char *weir_bearer_header(struct weir_bearer *bearer, int64_t now_ns);

/* A backend answered 401 to a request with the token of `header`. True where the file holds
 * another by now, so that the same request is worth another try. */
bool weir_bearer_rejected(struct weir_bearer *bearer, const char *header, int64_t now_ns);

/* What is wrong with the file, for a person; empty when all is well. Never holds a secret. */
const char *weir_bearer_trouble(const struct weir_bearer *bearer);

#endif
