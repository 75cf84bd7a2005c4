/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t seen; /* keeps the compiler from leaving the read out */

/* A planted overread behind three bytes. fuzz/run.sh demands that it is found: a fuzzer that
 * finds nothing here (a wrong flag, a sanitizer that is not linked) would find nothing
 * elsewhere either. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 3 && data[0] == 'W' && data[1] == 'E' && data[2] == 'I') {
        seen = data[size]; /* one byte behind the end */
    }
    return 0;
}
