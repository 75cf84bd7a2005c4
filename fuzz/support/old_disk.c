/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rig of fuzz_recover: see old_disk.h.
 *
 *   before   made once: eight records of one destination in two commits, the first settled; clean
 *   now      its copy, with the edits of one input; two starts
 *
 * Memory comes from the simulator's pages, which copies share.
 */
#include "old_disk.h"

#include "../../tests/support/counting.h"
#include "../../tests/support/simdisk.h"
#include "weir/backlog.h"
#include "weir/clock.h"
#include "weir/crc32c.h"
#include "weir/log.h"
#include "weir/mem.h"

enum { SEGMENT_BYTES = 64 << 10, MEMORY_BYTES = 1 << 20, SALT_AT = 24, TICKETS_MAX = 4096 };

static struct simdisk *before, *now;
static uint8_t *memory; /* MEMORY_BYTES */
static char segment_name[SIMDISK_NAME], log_name[SIMDISK_NAME];

static const struct weir_now the_time = {.mono_ns = WEIR_NS_PER_S, .wall_ns = WEIR_NS_PER_S};

static struct weir_spool *open_spool(struct simdisk *disk, struct weir_spool_report *ret_report)
{
    static uint64_t seed = 1;
    static const struct weir_spool_destination destination = {.name = "d"};
    const struct weir_spool_options options = {.durability = WEIR_DURABILITY_DISK,
                                               .disk = simdisk_disk(disk),
                                               .limit = 12 * SEGMENT_BYTES,
                                               .segment_bytes = SEGMENT_BYTES,
                                               .headroom = SEGMENT_BYTES,
                                               .destinations = &destination,
                                               .destination_count = 1,
                                               .dedupe_window_ns = 3600 * WEIR_NS_PER_S,
                                               .dedupe_entries = 64,
                                               .seed = seed++};
    struct weir_spool *spool = NULL;
    enum weir_status status = weir_spool_open(&options, the_time, ret_report, &spool);
    WEIR_ASSERT(status == WEIR_OK);
    return spool;
}

static void nothing(struct weir_spool_job *job)
{
    (void)job;
}

static void commit(struct weir_spool *spool, int first, int end)
{
    /* Every fourth is written from where it lies: a block before it, and one for itself. */
    static _Alignas(WEIR_DISK_BLOCK) uint8_t bodies[OLD_DISK_RECORDS * 2 * WEIR_DISK_BLOCK];
    static const char ids[OLD_DISK_RECORDS] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
    struct weir_spool_job jobs[OLD_DISK_RECORDS];
    for (int i = first; i < end; i++) {
        uint8_t *body = bodies + (size_t)(2 * i + 1) * WEIR_DISK_BLOCK;
        jobs[i] = (struct weir_spool_job){.next = i + 1 < end ? &jobs[i + 1] : NULL,
                                          .body = weir_bytes_of(body, (size_t)(i + 1) * 97),
                                          .margins = i % 4 == 2 ? body : NULL,
                                          .request_id = weir_bytes_of(ids + i, 1),
                                          .stream = WEIR_BYTES("s"),
                                          .key_name = WEIR_BYTES("k"),
                                          .points = (uint32_t)i + 1,
                                          .received_ns = the_time.mono_ns,
                                          .received_wall_ns = the_time.wall_ns,
                                          .owed = 1,
                                          .done = nothing};
    }
    weir_spool_commit(spool, &jobs[first], the_time);
    for (int i = first; i < end; i++) {
        WEIR_ASSERT(jobs[i].status == WEIR_OK);
    }
}

static void find_name(const char *part, char *ret)
{
    for (uint32_t i = 0; i < before->now.count; i++) {
        if (strstr(before->now.items[i].text, part) != NULL) {
            memcpy(ret, before->now.items[i].text, SIMDISK_NAME);
            return;
        }
    }
    WEIR_UNREACHABLE();
}

static void make_before(void)
{
    struct weir_spool_report report;
    struct weir_backlog_place place;
    int64_t wake_ns;
    counting_start();
    weir_log_configure(WEIR_LOG_ERROR + 1, WEIR_LOG_JSON);
    memory = weir_mem_aligned(WEIR_DISK_BLOCK, MEMORY_BYTES);
    WEIR_ASSERT(memory != NULL);
    before = simdisk_new(1);
    now = simdisk_new(2);
    struct weir_spool *spool = open_spool(before, &report);
    commit(spool, 0, OLD_DISK_RECORDS / 2);
    commit(spool, OLD_DISK_RECORDS / 2, OLD_DISK_RECORDS);
    enum weir_status status = weir_backlog_next(spool, 0, &place);
    WEIR_ASSERT(status == WEIR_OK);
    weir_spool_settle(spool, place.ticket, 0, WEIR_SETTLED);
    status = weir_spool_keep(spool, the_time, &wake_ns);
    WEIR_ASSERT(status == WEIR_OK);
    weir_spool_close(spool, the_time);
    find_name(".segment", segment_name);
    find_name("notes.", log_name);
}

static unsigned keep_all(void *argument, unsigned options)
{
    (void)argument;
    return options > 1 ? 1 : 0;
}

static size_t read_segment(uint64_t offset, void *ret, size_t size)
{
    const struct weir_disk disk = simdisk_disk(now);
    size_t got = 0;
    int file = disk.ops->open(disk.self, segment_name, WEIR_DISK_WRITE);
    WEIR_ASSERT(file >= 0);
    enum weir_status status = weir_disk_read(&disk, file, ret, size, offset, &got);
    WEIR_ASSERT(status == WEIR_OK);
    disk.ops->close(disk.self, file);
    return got;
}

/* Makes the checksum of the record's header at `offset` right, whatever it says. */
static void mend(uint64_t offset)
{
    static uint8_t header[SEGMENT_BYTES];
    uint8_t salt[8] = {0}, right[4];
    uint32_t size, old;
    size_t got = read_segment(offset, header, sizeof header);
    (void)read_segment(SALT_AT, salt, sizeof salt);
    if (got < WEIR_FRAME_HEADER_MIN) {
        return;
    }
    memcpy(&old, header + 4, sizeof old);
    memcpy(&size, header + 8, sizeof size);
    if (size < WEIR_FRAME_HEADER_MIN || size > got) {
        return;
    }
    memset(header + 4, 0, 4);
    uint32_t crc = weir_crc32c(0, weir_bytes_of(salt, sizeof salt));
    crc = weir_crc32c(crc, weir_bytes_of(header, size)) ^ old;
    memcpy(right, &crc, sizeof right);
    for (unsigned i = 0; i < sizeof right; i++) {
        (void)simdisk_flip(now, segment_name, offset + 4 + i, right[i]);
    }
}

void old_disk_damage(struct weir_bytes edits)
{
    if (before == NULL) {
        make_before();
    }
    simdisk_copy(now, before);
    simdisk_crash(now, (struct simdisk_choice){keep_all, NULL});
    for (size_t i = 0; i + OLD_DISK_EDIT <= edits.size && i < OLD_DISK_EDITS_MAX * OLD_DISK_EDIT;
         i += OLD_DISK_EDIT) {
        const uint8_t *edit = edits.data + i;
        uint64_t offset = (uint64_t)(edit[0] | edit[1] << 8);
        (void)simdisk_flip(now, (edit[2] & 1) != 0 ? log_name : segment_name, offset, edit[3]);
        if ((edit[2] & 3) == 2) {
            mend(offset & ~UINT64_C(63));
        }
    }
}

/* All that is owed to a slot. */
static void read_back(struct weir_spool *spool, uint32_t slot, struct old_disk_start *start)
{
    static struct weir_backlog_place places[TICKETS_MAX];
    uint32_t count = 0;
    while (weir_backlog_next(spool, slot, &places[count]) == WEIR_OK) {
        struct weir_frame_record record;
        struct weir_bytes body;
        WEIR_ASSERT(places[count].size <= MEMORY_BYTES);
        enum weir_status status = weir_backlog_read(spool, &places[count], memory, &record, &body);
        WEIR_ASSERT(status == WEIR_OK || status == WEIR_EMALFORMED);
        start->came += status == WEIR_OK ? 1 : 0;
        start->damaged += status == WEIR_OK ? 0 : 1;
        count += status == WEIR_OK ? 1 : 0;
        WEIR_ASSERT(count < TICKETS_MAX);
    }
    for (uint32_t i = 0; i < count; i++) {
        weir_spool_settle(spool, places[i].ticket, places[i].destination, WEIR_KEPT);
    }
}

struct old_disk_start old_disk_start(void)
{
    struct old_disk_start start = {.came = 0};
    int64_t wake_ns;
    struct weir_spool *spool = open_spool(now, &start.report);
    read_back(spool, 0, &start);
    read_back(spool, WEIR_BACKLOG_GONE, &start);
    read_back(spool, WEIR_SPOOL_LETTER, &start);
    enum weir_status status = weir_spool_keep(spool, the_time, &wake_ns);
    WEIR_ASSERT(status == WEIR_OK);
    weir_spool_close(spool, the_time);
    struct weir_disk disk = simdisk_disk(now);
    weir_disk_close(&disk); /* the lock */
    WEIR_ASSERT(now->handles_open == 0);
    WEIR_ASSERT(now->breach == NULL);
    return start;
}
