/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FUZZ_OLD_DISK_H
#define WEIR_FUZZ_OLD_DISK_H

/*
 * A spool's directory as an earlier life has left it, on a disk in memory, then damaged: what a
 * start finds. Made with the first input, copied for each. One thread.
 *
 *   edit, 4 bytes: [ offset, low ][ high ][ what ][ mask ]
 *                  what & 1: of the release log, else of the segment
 *                  what & 2: then the checksum of the record that begins at (or right before, at a
 *                  multiple of 64) the offset is made right, so that what is behind it is reached
 */
#include "weir/bytes.h"
#include "weir/spool.h"

enum { OLD_DISK_RECORDS = 8, OLD_DISK_EDIT = 4, OLD_DISK_EDITS_MAX = 256 };

struct old_disk_start {
    struct weir_spool_report report;
    uint32_t came, damaged; /* when everything owed was read back */
};

/* Makes the damaged copy. */
void old_disk_damage(struct weir_bytes edits);

/* Starts a spool on the copy, reads all that it owes, and stops. Asserts that the start succeeds,
 * that the disk's contract was kept, and that no file stays open. */
struct old_disk_start old_disk_start(void);

#endif
