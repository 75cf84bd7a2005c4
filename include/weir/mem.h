/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_MEM_H
#define WEIR_MEM_H

#include "weir/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one door to the allocator (jemalloc in `release`, the sanitizer's in the others). Every call
 * is counted, so that a test can show that a warmed-up request makes none. All functions: any
 * thread.
 *
 * tidy: allow header-functions -- five kinds of memory, and what tests and gauges ask about it
 */

/* `size` bytes, uninitialised, or NULL. `size` 0 gives a unique pointer. The caller owns it. */
void *weir_mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));

/* `count` x `size` zero bytes, or NULL also when the product overflows. */
void *weir_mem_zalloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));

/* As realloc: NULL leaves `old` as it was. `count` x `size` is checked for overflow. */
void *weir_mem_resize(void *old, size_t count, size_t size) __attribute__((warn_unused_result));

/* `size` bytes at a multiple of `alignment` (a power of two), or NULL. Given back by
 * weir_mem_free. */
void *weir_mem_aligned(size_t alignment, size_t size) __attribute__((malloc, warn_unused_result));

/* Gives back what any of the above returned. NULL is nothing. */
void weir_mem_free(void *memory);

/* A terminated copy of `size` bytes, or NULL. Given back by weir_mem_free. */
char *weir_mem_text(const void *data, size_t size) __attribute__((malloc, warn_unused_result));

/* Zero pages straight from the system, `size` bytes (a multiple of the page size), or NULL. They
 * take no memory before they are written to, each by itself: huge pages, which would give memory to
 * all that lies in them, are refused. Given back by weir_mem_pages_free, also singly. */
void *weir_mem_pages(size_t size) __attribute__((malloc, warn_unused_result));

/* Gives back pages of what weir_mem_pages returned: whole ones. */
void weir_mem_pages_free(void *memory, size_t size);

/* Gives the memory behind such pages back and keeps their addresses: they take none until they are
 * written to again, and what they hold then is undefined. False: nothing has changed. */
bool weir_mem_pages_clear(void *memory, size_t size) __attribute__((warn_unused_result));

/* How many of the calls above asked the allocator or the system for memory since the
 * process began. */
uint64_t weir_mem_calls(void);

/* For tests: of the calls that are counted, the nth from now on fails, once; 0: none does. True
 * when the one asked for before has been made. */
bool weir_mem_fail_at(uint64_t nth);

/* Starts the allocator's own thread, which gives pages back to the system; without it those who
 * allocate do that. For a process that serves, once it has given up what it does not need. */
void weir_mem_background(void);

struct weir_mem_stats {
    size_t allocated; /* by the application */
    size_t active;    /* in pages that hold something */
    size_t resident;  /* in physical memory, caches included */
    size_t retained;  /* address space kept, no memory behind it */
};

/* The allocator's own account, in bytes; all 0 where jemalloc is not linked. */
struct weir_mem_stats weir_mem_stats(void);

#endif
