/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Names to small numbers, for ever: a bounded intern table on liburcu's lock-free hash table.
 *
 *   "AWS/EC2" ─► 0     "AWS/EBS" ─► 1     ...     numbered in order of arrival
 *
 * Looking up a known name takes no lock and allocates nothing; the first thread to bring a new name
 * adds it, and two that bring the same name at once agree on one number. Names are never removed.
 * All functions: any RCU-registered thread.
 */
struct weir_table;

/* Makes an empty table for up to `capacity` names (1..65536) of up to 1024 bytes
 * each. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_table_new(uint32_t capacity, struct weir_table **ret);

/* Frees table and names; nobody may be using it. NULL is nothing. */
void weir_table_free(struct weir_table *table);

/* The number of `name`, adding it if new. WEIR_EFULL when it is new and the table is full,
 * WEIR_ELIMIT when the name is too long, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_table_intern(struct weir_table *table, struct weir_bytes name,
                                                 uint32_t *ret_index);

/* The number of `name`, or WEIR_ENOTFOUND: never adds, never waits. */
WEIR_MUST_USE enum weir_status weir_table_find(const struct weir_table *table,
                                               struct weir_bytes name, uint32_t *ret_index);

/* The name with this number (below weir_table_count). The view lives as long as the table. */
struct weir_bytes weir_table_name(const struct weir_table *table, uint32_t index);

/* Names so far; every number below it has its name (acquire). */
uint32_t weir_table_count(const struct weir_table *table);

#endif
