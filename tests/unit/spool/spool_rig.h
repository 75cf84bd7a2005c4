/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SPOOL_RIG_H
#define WEIR_TEST_SPOOL_RIG_H

/*
 * A spool in a real directory of its own, behind a table of calls that can be told to fail, with
 * two destinations, and jobs that remember what became of them.
 */
#include "counting.h"
#include "support.h"
#include "weir/backlog.h"
#include "weir/hash.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

enum { ROOMY_FILL = 0xA7 };
enum { JOBS_MAX = 128, SEGMENT = 64 << 10, SECOND = 1000000000, MEMORY = 1 << 20 };

struct rig {
    char path[64];
    struct weir_disk real, disk;
    _Atomic int writes, syncs;              /* so far, of segments and logs */
    _Atomic int direct_file, direct_writes; /* the last one opened to write past the page cache */
    int fail_write, fail_sync, fail_count;  /* from which on; how many fail */
    int failing_open;                       /* -errno for every read-only open, or 0 */
    int failing_direct;                     /* the same for those to write past the page cache */
    struct weir_spool_options options;
    struct weir_spool_destination destinations[2];
    struct weir_spool *spool;
    struct weir_spool_report report;
    struct weir_now now;
    uint8_t *memory;
};

struct job {
    struct weir_spool_job job;
    uint32_t points[64];
    int done, delivered;
    enum weir_status delivery;
    char id[32];
};

static struct rig rig;
static struct job jobs[JOBS_MAX];
static uint8_t payload[256 << 10];
static _Alignas(WEIR_DISK_BLOCK) uint8_t roomy[16 << 20]; /* job_with_margins */
static size_t roomy_used;

static inline bool is_failing(int call, int first)
{
    return first > 0 && call >= first && call < first + rig.fail_count;
}

/* Relaxed: lane and keeper count at once, and nobody but the test looks, alone. */
static inline int rig_count(_Atomic int *calls)
{
    return atomic_fetch_add_explicit(calls, 1, memory_order_relaxed) + 1;
}

static inline int rig_open(void *self, const char *name, enum weir_disk_mode mode)
{
    (void)self;
    if (mode == WEIR_DISK_READ && rig.failing_open != 0) {
        return rig.failing_open;
    }
    if (mode == WEIR_DISK_DIRECT && rig.failing_direct != 0) {
        return rig.failing_direct;
    }
    int file = rig.real.ops->open(rig.real.self, name, mode);
    if (mode == WEIR_DISK_DIRECT) {
        atomic_store_explicit(&rig.direct_file, file, memory_order_relaxed); /* as rig_count */
    }
    return file;
}

/* As a disk wants it that is written to past the page cache; there are file systems that want it
 * less, or write by way of the cache what is otherwise. */
static inline void expect_whole_blocks(const struct iovec *parts, int count, uint64_t offset)
{
    assert_int_equal(offset % WEIR_DISK_BLOCK, 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal((uintptr_t)parts[i].iov_base % WEIR_DISK_BLOCK, 0);
        assert_int_equal(parts[i].iov_len % WEIR_DISK_BLOCK, 0);
    }
}

static inline ssize_t rig_pwritev(void *self, int file, const struct iovec *parts, int count,
                                  uint64_t offset)
{
    (void)self;
    if (file == atomic_load_explicit(&rig.direct_file, memory_order_relaxed)) { /* as rig_count */
        (void)rig_count(&rig.direct_writes);
        expect_whole_blocks(parts, count, offset);
    }
    if (is_failing(rig_count(&rig.writes), rig.fail_write)) {
        return -EIO;
    }
    return rig.real.ops->pwritev(rig.real.self, file, parts, count, offset);
}

static inline int rig_sync(void *self, int file)
{
    (void)self;
    return is_failing(rig_count(&rig.syncs), rig.fail_sync)
               ? -EIO
               : rig.real.ops->sync(rig.real.self, file);
}

static inline int rig_lock(void *self)
{
    (void)self;
    return rig.real.ops->lock(rig.real.self);
}
static inline int64_t rig_free_bytes(void *self)
{
    (void)self;
    return rig.real.ops->free_bytes(rig.real.self);
}
static inline int rig_close(void *self, int file)
{
    (void)self;
    if (file == atomic_load_explicit(&rig.direct_file, memory_order_relaxed)) { /* as rig_count */
        atomic_store_explicit(&rig.direct_file, -1, memory_order_relaxed); /* its number is free */
    }
    return rig.real.ops->close(rig.real.self, file);
}
static inline ssize_t rig_pread(void *self, int file, void *data, size_t size, uint64_t offset)
{
    (void)self;
    return rig.real.ops->pread(rig.real.self, file, data, size, offset);
}
static inline int rig_allocate(void *self, int file, uint64_t size)
{
    (void)self;
    return rig.real.ops->allocate(rig.real.self, file, size);
}
static inline int rig_truncate(void *self, int file, uint64_t size)
{
    (void)self;
    return rig.real.ops->truncate(rig.real.self, file, size);
}
static inline int64_t rig_size(void *self, int file)
{
    (void)self;
    return rig.real.ops->size(rig.real.self, file);
}
static inline int rig_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rig.real.ops->rename(rig.real.self, from, to);
}
static inline int rig_remove(void *self, const char *name)
{
    (void)self;
    return rig.real.ops->remove(rig.real.self, name);
}
static inline int rig_make_directory(void *self, const char *name)
{
    (void)self;
    return rig.real.ops->make_directory(rig.real.self, name);
}
static inline int rig_sync_directory(void *self, const char *name)
{
    (void)self;
    return rig.real.ops->sync_directory(rig.real.self, name);
}
static inline int rig_list(void *self, const char *name,
                           void (*visit)(void *argument, const char *name), void *argument)
{
    (void)self;
    return rig.real.ops->list(rig.real.self, name, visit, argument);
}

static const struct weir_disk_ops rig_ops = {.open = rig_open,
                                             .close = rig_close,
                                             .pread = rig_pread,
                                             .pwritev = rig_pwritev,
                                             .sync = rig_sync,
                                             .allocate = rig_allocate,
                                             .truncate = rig_truncate,
                                             .size = rig_size,
                                             .rename = rig_rename,
                                             .remove = rig_remove,
                                             .make_directory = rig_make_directory,
                                             .sync_directory = rig_sync_directory,
                                             .list = rig_list,
                                             .lock = rig_lock,
                                             .free_bytes = rig_free_bytes};

static inline enum weir_status rig_try_open(void)
{
    assert_int_equal(weir_disk_open(rig.path, false, &rig.real), WEIR_OK);
    rig.disk = (struct weir_disk){&rig_ops, NULL};
    rig.options.disk = rig.disk;
    rig.spool = NULL;
    return weir_spool_open(&rig.options, rig.now, &rig.report, &rig.spool);
}

static inline void rig_start(void)
{
    assert_int_equal(rig_try_open(), WEIR_OK);
}

static inline void rig_stop(void)
{
    weir_spool_close(rig.spool, rig.now);
    rig.spool = NULL;
    weir_disk_close(&rig.real);
}

static inline void rig_restart(void)
{
    rig_stop();
    rig_start();
}

static inline int setup(void **state)
{
    (void)state;
    rig = (struct rig){.now = {SECOND, INT64_C(1800000000) * SECOND}};
    (void)snprintf(rig.path, sizeof rig.path, "/tmp/weir-test-spool-XXXXXX");
    assert_non_null(mkdtemp(rig.path));
    rig.destinations[0] = (struct weir_spool_destination){"alpha", 0};
    rig.destinations[1] = (struct weir_spool_destination){"beta", 0};
    rig.options = (struct weir_spool_options){.durability = WEIR_DURABILITY_DISK,
                                              .limit = 16 * SEGMENT,
                                              .segment_bytes = SEGMENT,
                                              .destinations = rig.destinations,
                                              .destination_count = 2,
                                              .dedupe_window_ns = INT64_C(3600) * SECOND,
                                              .dedupe_entries = 256,
                                              .delivered_timeout_ns = INT64_C(150) * SECOND,
                                              .seed = 7};
    rig.memory = weir_mem_aligned(WEIR_DISK_BLOCK, MEMORY);
    assert_non_null(rig.memory);
    for (size_t i = 0; i < sizeof payload; i++) {
        payload[i] = (uint8_t)(i * 31 + i / 251);
    }
    roomy_used = 0;
    counting_start();
    weir_log_configure(WEIR_LOG_ERROR + 1, WEIR_LOG_JSON);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    rig_stop();
    counting_stop();
    weir_mem_free(rig.memory);
    char command[128]; /* tidy: allow banned -- a folder of a test's own, with whatever is in it */
    (void)snprintf(command, sizeof command, "rm -r %s", rig.path);
    return system(command);
}

static inline void on_done(struct weir_spool_job *job)
{
    ((struct job *)(void *)job)->done++;
}

static inline void on_delivered(struct weir_spool_job *job, enum weir_status status)
{
    ((struct job *)(void *)job)->delivered++;
    ((struct job *)(void *)job)->delivery = status;
}

/* Job `n`: `size` bytes of body (told apart by where in the payload it begins), owed to both
 * destinations, five points each, live for those of `live`. */
static inline struct job *job_make(int n, size_t size, uint64_t live)
{
    struct job *job = &jobs[n];
    *job = (struct job){.points = {5, 5}};
    (void)snprintf(job->id, sizeof job->id, "request-%d", n);
    job->job = (struct weir_spool_job){.body = weir_bytes_of(payload + n, size),
                                       .request_id = weir_bytes_str(job->id),
                                       .stream = weir_bytes_str("arn:stream"),
                                       .key_name = weir_bytes_str("key"),
                                       .attributes = weir_bytes_str("{}"),
                                       .content_crc = (uint32_t)(n * 1000 + 1),
                                       .content_size = size,
                                       .points = 5,
                                       .received_ns = rig.now.mono_ns,
                                       .received_wall_ns = rig.now.wall_ns,
                                       .owed = 3,
                                       .live = live,
                                       .live_points = job->points,
                                       .done = on_done,
                                       .delivered = on_delivered};
    return job;
}

/* The same with its body in memory with margins, filled with what nobody wrote. */
static inline struct job *job_with_margins(int n, size_t size, uint64_t live)
{
    struct job *job = job_make(n, size, live);
    size_t room = (size + 3 * WEIR_DISK_BLOCK - 1) / WEIR_DISK_BLOCK * WEIR_DISK_BLOCK;
    assert_true(room <= sizeof roomy - roomy_used);
    uint8_t *memory = roomy + roomy_used;
    memset(memory, ROOMY_FILL, room);
    roomy_used += room;
    job->job.margins = memory + WEIR_DISK_BLOCK;
    memcpy(job->job.margins, job->job.body.data, size);
    job->job.body.data = job->job.margins;
    return job;
}

/* Commits jobs [first, first + count), as they were made, in one list. */
static inline void job_commit(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        jobs[i].job.next = i + 1 < first + count ? &jobs[i + 1].job : NULL;
    }
    weir_spool_commit(rig.spool, &jobs[first].job, rig.now);
    for (int i = first; i < first + count; i++) {
        assert_int_equal(jobs[i].done, 1);
    }
}

static inline enum weir_status job_submit(int n, size_t size, uint64_t live)
{
    (void)job_make(n, size, live);
    job_commit(n, 1);
    return jobs[n].job.status;
}

static inline enum weir_status rig_keep(void)
{
    int64_t wake_ns = 0;
    rig.now.mono_ns += SECOND;
    rig.now.wall_ns += SECOND;
    return weir_spool_keep(rig.spool, rig.now, &wake_ns);
}

static inline struct weir_spool_stat rig_look(void)
{
    struct weir_spool_stat stat;
    weir_spool_look(rig.spool, &stat);
    return stat;
}

/* Reads back what `destination` waits for, checks each body against job `payload + n`, and settles.
 * The number of records; `damaged` those that did not check. */
static inline int rig_drain(uint32_t destination, int *damaged)
{
    struct weir_backlog_place place;
    int read = 0;
    while (weir_backlog_next(rig.spool, destination, &place) == WEIR_OK) {
        struct weir_frame_record record;
        struct weir_bytes body;
        assert_true(place.size <= MEMORY);
        enum weir_status status = weir_backlog_read(rig.spool, &place, rig.memory, &record, &body);
        if (status == WEIR_EMALFORMED) {
            assert_non_null(damaged);
            if (damaged != NULL) { /* for compilers, which do not know that the line above ends */
                (*damaged)++;
            }
            continue;
        }
        assert_int_equal(status, WEIR_OK);
        size_t n = (record.content_crc - 1) / 1000;
        assert_true(n < JOBS_MAX);
        support_assert_bytes(body, weir_bytes_of(payload + n, body.size));
        assert_int_equal(record.content_size, body.size);
        weir_spool_settle(rig.spool, place.ticket, place.destination, WEIR_SETTLED);
        read++;
    }
    return read;
}

/* Overwrites bytes of a file of the directory. */
static inline void rig_spoil(const char *name, long offset, size_t size, int value)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", rig.path, name);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(fputc(value, file), value);
    }
    assert_int_equal(fclose(file), 0);
}

static inline bool rig_has(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", rig.path, name);
    return access(path, F_OK) == 0;
}

#endif
