/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to the allocator, and to pages that come straight from the system.
 *
 *   weir_mem_alloc, zalloc, resize, aligned, text ─► count ─► malloc and its kin (jemalloc)
 *   weir_mem_pages                                ─► count ─► mmap
 *
 *   I1  every call that asks for memory is counted once, whether it succeeds or not
 *   I2  the call whose turn a test has named fails without having asked anybody
 *
 * Threads: any; the two counters are all that is shared. Full: NULL, and the caller decides.
 * Deliberately keeps nothing for the next call: that is what regions and pools are for.
 */
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef WEIR_JEMALLOC
#include <jemalloc/jemalloc.h>

/*
 * jemalloc reads this at its start; MALLOC_CONF in the environment still wins. By default it keeps
 * freed pages for ten seconds, which under load above memory_limit's is a seventh of the limit on
 * top of it; 200 ms and a thread that gives pages back cost no measurable processor time (0 ms:
 * twice the kernel's). Measured: memory_limit 64MiB, a dead backend, 32 connections pushing. Four
 * arenas instead of four a core: the data plane allocates nothing, and each arena that a thread
 * wakes up keeps a hundred KiB and more (idle, 2 cores: 16,084 instead of 16,528 KiB resident).
 * The thread comes with weir_mem_background: what is a thread's own, such as Landlock's rules, must
 * be in force before it.
 */
__attribute__((visibility("default"))) const char *malloc_conf =
    "background_thread:false,max_background_threads:1,dirty_decay_ms:200,muzzy_decay_ms:0,"
    "narenas:4";
#endif

void weir_mem_background(void)
{
#ifdef WEIR_JEMALLOC
    bool on = true;
    (void)mallctl("background_thread", NULL, NULL, &on, sizeof on); /* a help, no more */
#endif
}

/* One shared counter costs nothing that matters: the data plane makes no calls once it is warm. */
static _Atomic uint64_t calls;
static _Atomic uint64_t failing_call; /* 0: none */

/* Counts; false: this is the call that a test wants to see fail. */
static bool count_call(void)
{
    /* statistics and a test's wish, which sets it before it acts: both pair with nothing */
    uint64_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    return call != atomic_load_explicit(&failing_call, memory_order_relaxed);
}

void *weir_mem_alloc(size_t size)
{
    return count_call() ? malloc(size == 0 ? 1 : size) : NULL;
}

void *weir_mem_zalloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) { /* some callocs abort instead */
        return NULL;
    }
    return count_call() ? calloc(1, bytes == 0 ? 1 : bytes) : NULL;
}

void *weir_mem_resize(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return count_call() ? realloc(old, bytes == 0 ? 1 : bytes) : NULL;
}

void *weir_mem_aligned(size_t alignment, size_t size)
{
    WEIR_ASSERT(alignment != 0);
    WEIR_ASSERT((alignment & (alignment - 1)) == 0);
    if (!count_call()) {
        return NULL;
    }
    void *memory = NULL;
    size_t at_least = alignment < sizeof(void *) ? sizeof(void *) : alignment;
    return posix_memalign(&memory, at_least, size == 0 ? 1 : size) == 0 ? memory : NULL;
}

void weir_mem_free(void *memory)
{
    free(memory);
}

void *weir_mem_pages(size_t size)
{
    if (!count_call()) {
        return NULL;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(memory, size, MADV_NOHUGEPAGE); /* a kernel that has none refuses */
    return memory;
}

void weir_mem_pages_free(void *memory, size_t size)
{
    if (munmap(memory, size) != 0) {
        /* in the middle of a mapping, and the process has as many as it may: the address is lost,
         * the memory is not */
        WEIR_ASSERT(madvise(memory, size, MADV_DONTNEED) == 0);
    }
}

bool weir_mem_pages_clear(void *memory, size_t size)
{
    return madvise(memory, size, MADV_DONTNEED) == 0;
}

char *weir_mem_text(const void *data, size_t size)
{
    if (size == SIZE_MAX) {
        return NULL;
    }
    char *text = weir_mem_alloc(size + 1);
    if (text == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    return text;
}

uint64_t weir_mem_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed); /* a statistic; pairs with nothing */
}

bool weir_mem_fail_at(uint64_t nth)
{
    uint64_t made = weir_mem_calls();
    uint64_t at = nth == 0 ? 0 : made + nth;
    /* read by count_call; the test is alone, or does not care which thread is hit */
    uint64_t before = atomic_exchange_explicit(&failing_call, at, memory_order_relaxed);
    return before != 0 && before <= made;
}

#ifdef WEIR_JEMALLOC
static size_t read_stat(const char *name)
{
    size_t value = 0;
    size_t size = sizeof value;
    return mallctl(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

struct weir_mem_stats weir_mem_stats(void)
{
    uint64_t epoch = 1; /* jemalloc's numbers stand still until the epoch is written */
    size_t size = sizeof epoch;
    if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) {
        return (struct weir_mem_stats){0, 0, 0, 0};
    }
    return (struct weir_mem_stats){
        .allocated = read_stat("stats.allocated"),
        .active = read_stat("stats.active"),
        .resident = read_stat("stats.resident"),
        .retained = read_stat("stats.retained"),
    };
}
#else
struct weir_mem_stats weir_mem_stats(void)
{
    return (struct weir_mem_stats){0, 0, 0, 0};
}
#endif
