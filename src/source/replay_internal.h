/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_REPLAY_INTERNAL_H
#define WEIR_REPLAY_INTERNAL_H

#include "weir/replay.h"

/* How far each file was taken: a table in memory, lines in a file. */
struct weir_replay_positions;

/* Reads what is there; forgets it where `restart`. WEIR_EIO, WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_replay_positions_open(const struct weir_disk *disk,
                                                          bool restart,
                                                          struct weir_replay_positions **ret);
/* Syncs, closes. NULL is nothing. */
void weir_replay_positions_close(struct weir_replay_positions *positions);

/* The offset noted last; 0: none. */
uint64_t weir_replay_positions_get(const struct weir_replay_positions *positions,
                                   struct weir_source_id id);

/* Notes one: in memory, and appended to the file. What cannot be written is only lost for the next
 * time, and then the ids say what was taken. */
void weir_replay_positions_put(struct weir_replay_positions *positions, struct weir_source_id id,
                               uint64_t offset);

#endif
