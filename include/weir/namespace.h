/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_NAMESPACE_H
#define WEIR_NAMESPACE_H

#include "weir/table.h"

/*
 * CloudWatch namespaces to small ids: 0 .. WEIR_NAMESPACES_MAX - 1 in order of arrival, and one id
 * that all further namespaces share. Lock-free (weir/table.h); ids are never taken back.
 */
#define WEIR_NAMESPACES_MAX     1024
#define WEIR_NAMESPACE_OVERFLOW WEIR_NAMESPACES_MAX
#define WEIR_NAMESPACE_IDS      (WEIR_NAMESPACES_MAX + 1)

struct weir_namespaces;

/* WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_namespaces_new(struct weir_namespaces **ret);
void weir_namespaces_free(struct weir_namespaces *namespaces);

/* The id of `name`; WEIR_NAMESPACE_OVERFLOW when there are too many, the name is over 255 bytes, or
 * memory is out. Any RCU-registered thread. */
uint32_t weir_namespaces_id(struct weir_namespaces *namespaces, struct weir_bytes name);

/* The name behind an id below weir_namespaces_count; "other" for the overflow id. */
struct weir_bytes weir_namespaces_name(const struct weir_namespaces *namespaces, uint32_t id);
uint32_t weir_namespaces_count(const struct weir_namespaces *namespaces);

#endif
