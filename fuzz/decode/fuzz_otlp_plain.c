/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: the plain walk. The quick one accepts and refuses the same messages, for the same
 * reasons, and collects the same points; nobody reads past the end. */
#include "../../tests/support/guard.h"
#include "../../tests/unit/decode/both_ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard message = guard_copy(weir_bytes_of(data, size));
    struct both_ways both = both_ways_decode(guard_view(&message));
    WEIR_ASSERT(both.same);
    guard_free(&message);
    return 0;
}
