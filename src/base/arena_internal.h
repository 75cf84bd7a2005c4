/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE_ARENA_INTERNAL_H
#define WEIR_BASE_ARENA_INTERNAL_H

#include "weir/arena.h"

/* Asserts an arena's invariants, for tests. The owning thread. */
void weir_arena_validate(const struct weir_arena *arena);

#endif
