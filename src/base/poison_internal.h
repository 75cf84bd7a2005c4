/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BASE_POISON_INTERNAL_H
#define WEIR_BASE_POISON_INTERNAL_H

/*
 * The sanitizer twin of our caches: memory that lies idle in one is as good as freed, so
 * AddressSanitizer is told to treat a touch as an error. Nothing in other builds.
 */
#include <stddef.h>
#ifdef WEIR_ASAN
#include <sanitizer/asan_interface.h>
#endif

static inline void weir_poison(void *memory, size_t size)
{
#ifdef WEIR_ASAN
    __asan_poison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

static inline void weir_unpoison(void *memory, size_t size)
{
#ifdef WEIR_ASAN
    __asan_unpoison_memory_region(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

#endif
