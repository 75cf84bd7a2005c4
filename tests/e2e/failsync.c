/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded before the program, it stands for a disk that fails: fdatasync says EIO, and does
 * nothing, for each call whose number is a multiple of WEIR_FAILSYNC_EVERY, and for all from number
 * WEIR_FAILSYNC_FROM on. The first call is number 1. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic unsigned long calls;

static unsigned long number_in(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoul(text, NULL, 10);
}

__attribute__((visibility("default"))) int fdatasync(int file)
{
    /* relaxed: a counter that orders nothing */
    unsigned long number = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    unsigned long every = number_in("WEIR_FAILSYNC_EVERY");
    unsigned long from = number_in("WEIR_FAILSYNC_FROM");
    if ((every > 0 && number % every == 0) || (from > 0 && number >= from)) {
        errno = EIO;
        return -1;
    }
    return fsync(file);
}
