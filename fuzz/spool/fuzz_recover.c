/* SPDX-License-Identifier: Apache-2.0 */
/* A start on a damaged directory. Input: edits of its segment and its release log (old_disk.h),
 * some with right checksums around what is wrong. Oracles: the start succeeds; without an edit of
 * the segment no record is missing; a second start finds what the first one left, and nothing
 * damaged any more, nor lost, unless a record lies about its own number (no accident does that). */
#include "../support/old_disk.h"
#include "weir/panic.h"

/* Whether there is an edit of this kind: 0 of the segment, 2 with its checksum. */
static bool has_edit(struct weir_bytes edits, uint8_t mask, uint8_t kind)
{
    for (size_t i = 0; i + OLD_DISK_EDIT <= edits.size; i += OLD_DISK_EDIT) {
        if ((edits.data[i + 2] & mask) == kind) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_bytes edits = weir_bytes_of(data, size);
    old_disk_damage(edits);
    struct old_disk_start first = old_disk_start();
    if (!has_edit(edits, 1, 0)) {
        WEIR_ASSERT(first.came >= OLD_DISK_RECORDS - 1); /* one is settled, and may come again */
        WEIR_ASSERT(first.damaged == 0);
    }
    struct old_disk_start second = old_disk_start();
    WEIR_ASSERT(second.came == first.came);
    WEIR_ASSERT(second.damaged == 0);
    WEIR_ASSERT(second.report.lost_records == 0 || has_edit(edits, 3, 2));
    return 0;
}
