/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bit of a small sealed segment flipped in turn, and every bit of its release log.
 *
 *   segment   [ header ][ ten records in three commits, padding between ]
 *
 * After each flip the spool is opened and read back. What comes back is byte for byte what was
 * sent; a flip inside of a record costs at most that record, and then it is counted; one in padding
 * costs nothing; one in the segment's header may cost the segment, counted too. A damaged release
 * log costs no record. The start never fails.
 *
 * With sanitizers one bit of each byte is flipped, which one changes from byte to byte.
 */
#include "counting.h"
#include "sim.h"
#include "weir/log.h"
#include "weir/mem.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define RECORDS 10U

#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
static const unsigned bits_each = 1;
#else
static const unsigned bits_each = 8;
#endif

struct extent {
    uint64_t offset, end;
};

static struct sim_world world;
static struct extent extents[RECORDS];

static void nothing(struct weir_spool_job *job)
{
    (void)job;
}

static void commit(uint32_t begin, uint32_t end)
{
    struct weir_spool_job jobs[RECORDS];
    for (uint32_t i = begin; i < end; i++) {
        jobs[i] = sim_job(&world.requests[i], world.now);
        jobs[i].done = nothing;
        jobs[i].owed = 1;
        jobs[i].next = i + 1 < end ? &jobs[i + 1] : NULL;
    }
    weir_spool_commit(world.spool, &jobs[begin], world.now);
    for (uint32_t i = begin; i < end; i++) {
        assert_int_equal(jobs[i].status, WEIR_OK);
    }
}

static enum weir_status open_on(struct simdisk *disk, struct weir_spool_report *report)
{
    world.options.seed++;
    return sim_open(&world, disk, report, &world.spool);
}

/* Ten records of a few hundred bytes, one after another; closed as a stop does. */
static int prepare(void **state)
{
    (void)state;
    struct weir_spool_report report;
    int64_t wake;
    counting_start();
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    world.read_memory = weir_mem_aligned(WEIR_DISK_BLOCK, SIM_MEMORY);
    assert_non_null(world.read_memory);
    world.doing = "bits";
    world.seed = 7;
    sim_begin(&world);
    world.options.count = 1;
    world.options.limit = 12 * SIM_SEGMENT;
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct sim_request *request = sim_request_new(&world, -1);
        request->body.size = request->body.size > 300 ? 300 - i : request->body.size;
        request->state = SIM_ACKED;
    }
    assert_int_equal(open_on(world.disk, &report), WEIR_OK);
    commit(0, 4);
    commit(4, 5);
    assert_int_equal(weir_spool_keep(world.spool, world.now, &wake), WEIR_OK);
    commit(5, RECORDS);
    assert_int_equal(weir_spool_keep(world.spool, world.now, &wake), WEIR_OK);
    weir_spool_close(world.spool, world.now);
    world.spool = NULL;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sim_end(&world);
    weir_mem_free(world.read_memory);
    counting_stop();
    return 0;
}

struct outcome {
    uint32_t came;        /* bits of requests */
    uint64_t lost, noted; /* found damaged while reading; said by the start */
};

/* Which request a record is; it must be one of ours, whole. */
static uint32_t identify(const struct weir_frame_record *record, struct weir_bytes body)
{
    for (uint32_t i = 0; i < RECORDS; i++) {
        const struct sim_request *request = &world.requests[i];
        if (record->attributes.size == strlen(request->attributes) &&
            memcmp(record->attributes.data, request->attributes, record->attributes.size) == 0) {
            assert_int_equal(body.size, request->body.size);
            assert_true(body.size == 0 || memcmp(body.data, request->body.data, body.size) == 0);
            assert_int_equal(record->points, request->points);
            assert_int_equal(record->content_crc, request->content_crc);
            return i;
        }
    }
    fail_msg("a record came back that never was");
    return RECORDS;
}

static struct outcome look(struct simdisk *disk, bool learn)
{
    struct outcome outcome = {0, 0, 0};
    struct weir_spool_report report;
    struct weir_backlog_place place;
    struct weir_ticket *tickets[RECORDS];
    uint32_t count = 0;
    assert_int_equal(open_on(disk, &report), WEIR_OK);
    outcome.noted = report.lost_records + report.lost_bytes + report.segments_set_aside +
                    report.torn_records + report.torn_bytes;
    while (weir_backlog_next(world.spool, 0, &place) == WEIR_OK) {
        struct weir_frame_record record;
        struct weir_bytes body;
        assert_in_range(count, 0, RECORDS - 1);
        if (weir_backlog_read(world.spool, &place, world.read_memory, &record, &body) != WEIR_OK) {
            outcome.lost++;
            continue;
        }
        uint32_t index = identify(&record, body);
        assert_false(outcome.came >> index & 1U);
        outcome.came |= 1U << index;
        tickets[count++] = place.ticket;
        if (learn) {
            /* up to what padding makes of it */
            extents[index] = (struct extent){place.offset, place.offset + place.size};
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_spool_settle(world.spool, tickets[i], 0, WEIR_KEPT);
    }
    weir_spool_close(world.spool, world.now);
    world.spool = NULL;
    assert_int_equal(disk->handles_open, 0);
    assert_null(disk->breach);
    return outcome;
}

static void find_name(const char *part, char out[SIMDISK_NAME])
{
    for (uint32_t i = 0; i < world.disk->now.count; i++) {
        if (strstr(world.disk->now.items[i].text, part) != NULL) {
            memcpy(out, world.disk->now.items[i].text, SIMDISK_NAME);
            return;
        }
    }
    fail_msg("there is no file '%s'", part);
}

static uint64_t size_of(const char *name)
{
    struct weir_disk disk = simdisk_disk(world.disk);
    int file = disk.ops->open(disk.self, name, WEIR_DISK_WRITE);
    assert_true(file >= 0);
    int64_t size = disk.ops->size(disk.self, file);
    disk.ops->close(disk.self, file);
    return (uint64_t)size;
}

static unsigned keep_all(void *argument, unsigned options)
{
    (void)argument;
    return options > 1 ? 1 : 0;
}

/* Flips the bit in a copy and looks. */
static struct outcome flip(const char *name, uint64_t offset, unsigned bit)
{
    simdisk_copy(world.scratch, world.disk);
    simdisk_crash(world.scratch, (struct simdisk_choice){keep_all, NULL});
    assert_true(simdisk_flip(world.scratch, name, offset, (uint8_t)(1U << bit)));
    return look(world.scratch, false);
}

#define ALL ((1U << RECORDS) - 1)

/* The extents, ended by the next one's begin. */
static void measure(void)
{
    simdisk_copy(world.scratch, world.disk);
    assert_int_equal(look(world.scratch, true).came, ALL);
    for (uint32_t i = 0; i < RECORDS; i++) {
        for (uint32_t k = 0; k < RECORDS; k++) {
            if (extents[k].offset > extents[i].offset && extents[k].offset < extents[i].end) {
                extents[i].end = extents[k].offset;
            }
        }
    }
}

static void check_flip(uint64_t offset, unsigned bit, struct outcome outcome)
{
    uint32_t missing = ALL & ~outcome.came;
    if (missing == 0) {
        return;
    }
    if (outcome.lost + outcome.noted == 0) {
        fail_msg("byte %u, bit %u: records %x are gone, and nobody says so", (unsigned)offset, bit,
                 missing);
    }
    if (offset < WEIR_FRAME_SEGMENT_HEADER) {
        return;
    }
    if ((missing & (missing - 1)) != 0) {
        fail_msg("byte %u, bit %u: cost records %x", (unsigned)offset, bit, missing);
    }
    struct extent extent = extents[__builtin_ctz(missing)];
    if (offset < extent.offset || offset >= extent.end) {
        fail_msg("byte %u, bit %u: cost record %x, which is elsewhere", (unsigned)offset, bit,
                 missing);
    }
}

static void test_every_bit_of_a_segment(void **state)
{
    (void)state;
    char name[SIMDISK_NAME];
    find_name(".segment", name);
    measure();
    uint64_t size = size_of(name);
    uint64_t flips = 0;
    uint64_t detected = 0;
    for (uint64_t offset = 0; offset < size; offset++) {
        for (unsigned i = 0; i < bits_each; i++, flips++) {
            unsigned bit = (unsigned)(offset + i) % 8;
            struct outcome outcome = flip(name, offset, bit);
            check_flip(offset, bit, outcome);
            detected += outcome.came != ALL;
        }
    }
    print_message("%u flips in %u bytes, %u cost a record\n", (unsigned)flips, (unsigned)size,
                  (unsigned)detected);
    assert_in_range(detected, flips / 64, flips);
}

static void test_every_bit_of_the_release_log(void **state)
{
    (void)state;
    char name[SIMDISK_NAME];
    find_name("notes", name);
    uint64_t size = size_of(name);
    for (uint64_t offset = 0; offset < size; offset++) {
        for (unsigned i = 0; i < bits_each; i++) {
            unsigned bit = (unsigned)(offset + i) % 8;
            struct outcome outcome = flip(name, offset, bit);
            if (outcome.came != ALL || outcome.lost != 0) {
                fail_msg("byte %u, bit %u of the log: only %x came back", (unsigned)offset, bit,
                         outcome.came);
            }
        }
    }
    print_message("%u bytes of the release log\n", (unsigned)size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_bit_of_a_segment),
        cmocka_unit_test(test_every_bit_of_the_release_log),
    };
    return cmocka_run_group_tests(tests, prepare, end);
}
