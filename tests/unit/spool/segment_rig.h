/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SEGMENT_RIG_H
#define WEIR_TEST_SEGMENT_RIG_H

#include "support.h"
#include "weir/mem.h"
#include "weir/segment.h"
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum { USUAL = 64 << 10, LIMIT = 10 * USUAL, CALLS_MAX = 200 };

/* A real directory behind a table that counts its fallible calls, fails one of them (or it and all
 * after it) with `error`, and keeps their initials: o(pen) w(rite) s(ync) a(llocate) t(runcate)
 * r(ename) x(remove) d(irectory's sync) l(ist) p(read). */
struct rig {
    char path[64];
    struct weir_disk real;
    struct weir_disk disk;
    struct weir_segments *segments;
    int call, fail_at, error;
    bool from_then_on;
    char log[CALLS_MAX + 1];
};

static struct rig rig;

static inline int fails(char initial)
{
    if (rig.call < CALLS_MAX) {
        rig.log[rig.call] = initial;
    }
    int call = ++rig.call;
    bool now = rig.from_then_on ? call >= rig.fail_at : call == rig.fail_at;
    return rig.fail_at > 0 && now ? rig.error : 0;
}

#define PASS(initial, call)                                                                        \
    int failed = fails(initial);                                                                   \
    (void)self;                                                                                    \
    return failed < 0 ? failed : rig.real.ops->call

static inline int rig_open(void *self, const char *name, enum weir_disk_mode mode)
{
    PASS('o', open(rig.real.self, name, mode));
}
static inline int rig_close(void *self, int file)
{
    (void)self;
    return rig.real.ops->close(rig.real.self, file);
}
static inline ssize_t rig_pread(void *self, int file, void *data, size_t size, uint64_t offset)
{
    PASS('p', pread(rig.real.self, file, data, size, offset));
}
static inline ssize_t rig_pwritev(void *self, int file, const struct iovec *parts, int count,
                                  uint64_t offset)
{
    PASS('w', pwritev(rig.real.self, file, parts, count, offset));
}
static inline int rig_sync(void *self, int file)
{
    PASS('s', sync(rig.real.self, file));
}
static inline int rig_allocate(void *self, int file, uint64_t size)
{
    PASS('a', allocate(rig.real.self, file, size));
}
static inline int rig_truncate(void *self, int file, uint64_t size)
{
    PASS('t', truncate(rig.real.self, file, size));
}
static inline int64_t rig_size(void *self, int file)
{
    (void)self;
    return rig.real.ops->size(rig.real.self, file);
}
static inline int rig_rename(void *self, const char *from, const char *to)
{
    PASS('r', rename(rig.real.self, from, to));
}
static inline int rig_remove(void *self, const char *name)
{
    PASS('x', remove(rig.real.self, name));
}
static inline int rig_sync_directory(void *self, const char *name)
{
    PASS('d', sync_directory(rig.real.self, name));
}
static inline int rig_list(void *self, const char *name,
                           void (*visit)(void *argument, const char *name), void *argument)
{
    PASS('l', list(rig.real.self, name, visit, argument));
}

static const struct weir_disk_ops rig_ops = {
    .open = rig_open,
    .close = rig_close,
    .pread = rig_pread,
    .pwritev = rig_pwritev,
    .sync = rig_sync,
    .allocate = rig_allocate,
    .truncate = rig_truncate,
    .size = rig_size,
    .rename = rig_rename,
    .remove = rig_remove,
    .sync_directory = rig_sync_directory,
    .list = rig_list,
};

static inline int setup(void **state)
{
    (void)state;
    rig = (struct rig){.error = -EIO};
    (void)snprintf(rig.path, sizeof rig.path, "/tmp/weir-test-segment-XXXXXX");
    assert_non_null(mkdtemp(rig.path));
    assert_int_equal(weir_disk_open(rig.path, false, &rig.real), WEIR_OK);
    rig.disk = (struct weir_disk){&rig_ops, NULL};
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    weir_segments_free(rig.segments);
    rig.segments = NULL;
    weir_disk_close(&rig.real);
    return support_remove_tree(rig.path);
}

static inline void begin_with(uint64_t limit, uint64_t next_number)
{
    weir_segments_free(rig.segments);
    rig.segments = NULL;
    struct weir_segments_options options = {.disk = &rig.disk,
                                            .limit = limit,
                                            .segment_bytes = USUAL,
                                            .version = WEIR_FRAME_VERSION,
                                            .seed = 5};
    assert_int_equal(weir_segments_new(&options, next_number, &rig.segments), WEIR_OK);
}

static inline void forget_calls(void)
{
    rig.call = 0;
    memset(rig.log, 0, sizeof rig.log);
}

/* All that can be prepared; how many steps it took. */
static inline int prepare(void)
{
    int steps = 0;
    while (weir_segments_prepare(rig.segments, true)) {
        assert_true(++steps < 1000);
    }
    return steps;
}

static inline struct weir_frame_segment roster_of(void)
{
    return (struct weir_frame_segment){.created_wall_ns = 99, .name_count = 1, .names = {"main"}};
}

static inline enum weir_status take(uint64_t bytes, struct weir_segment *ret)
{
    struct weir_frame_segment roster = roster_of();
    return weir_segments_take(rig.segments, bytes, &roster, ret);
}

struct listing {
    int segments, spares, others;
    uint64_t bytes;
};

static inline void visit(void *argument, const char *name)
{
    struct listing *listing = argument;
    bool is_segment = strcmp(name + 16, ".segment") == 0;
    bool is_spare = strcmp(name + 16, ".spare") == 0;
    listing->segments += is_segment;
    listing->spares += is_spare;
    listing->others += !is_segment && !is_spare;
    int file = rig.real.ops->open(rig.real.self, name, WEIR_DISK_WRITE);
    listing->bytes += (uint64_t)rig.real.ops->size(rig.real.self, file);
    rig.real.ops->close(rig.real.self, file);
}

static inline struct listing listing_of(void)
{
    struct listing listing = {0};
    assert_int_equal(rig.real.ops->list(rig.real.self, "", visit, &listing), 0);
    return listing;
}

#endif
