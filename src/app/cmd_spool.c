/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir spool ls|verify DIR`: a spool, live or dead, looked at and not changed.
 *
 *   ls       a line a segment, then what is owed to each destination
 *   verify   every record and its payload; what is missing; a line for each damage
 *
 *   release log (first, so that it knows no more than the segments) ─┐
 *   <16 hex>.segment, by number ── whole, past the page cache ───────┴─► records
 *
 * What is damaged: a payload that is not what its checksums say; numbers that are missing between
 * two records of a segment, or that the log says it holds. What is not: whatever nothing proves to
 * have been durable, such as the last commit of a live spool, or a torn one after a crash.
 *
 *   I1  no lock, no write: a file that is recycled while we look is skipped
 *   I2  one segment in memory at a time
 *
 * Main thread.
 */
#include "commands_internal.h"
#include "spool_look.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char weir_cmd_spool_help[] =
    "weir spool ls|verify DIR: looks at a spool, live or not, and changes nothing\n"
    "\n"
    "  ls       lists its segments, their records, and what is owed to each destination\n"
    "  verify   reads every record; each damage is a line with segment, offset and number\n"
    "\n"
    "DIR is spool.directory, or <spool.directory>/replay. weir decode DIR/FILE.segment shows what\n"
    "a segment's requests hold.\n"
    "Exit codes: 0 done, 1 it cannot be read or something is damaged, 2 usage.\n";

enum { EPOCH_SHIFT = 40, SUFFIX_AT = 16, SLOTS = WEIR_FRAME_NAMES_MAX + 1 };

struct owed {
    char name[65];
    uint64_t records, bytes;
};

struct look {
    struct weir_disk disk;
    struct weir_look_notes *notes;
    uint64_t *numbers; /* ascending */
    size_t count, capacity;
    bool out_of_memory;

    struct owed owed[SLOTS * 2]; /* totals; rosters may differ between segments */
    uint32_t owed_count;
    uint64_t bytes, records, damages, torn;
    uint64_t last_lsn; /* of the segment looked at before */
};

static void visit_name(void *argument, const char *name)
{
    struct look *look = argument;
    char *end = NULL;
    if (strlen(name) != SUFFIX_AT + 8 || strcmp(name + SUFFIX_AT, ".segment") != 0) {
        return;
    }
    uint64_t number = strtoull(name, &end, 16);
    if (end != name + SUFFIX_AT) {
        return;
    }
    if (look->count == look->capacity) {
        size_t capacity = look->capacity == 0 ? 64 : look->capacity * 2;
        void *grown = weir_mem_resize(look->numbers, capacity, sizeof *look->numbers);
        if (grown == NULL) {
            look->out_of_memory = true;
            return;
        }
        look->numbers = grown;
        look->capacity = capacity;
    }
    look->numbers[look->count++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a;
    uint64_t two = *(const uint64_t *)b;
    return one < two ? -1 : one > two ? 1 : 0;
}

/* A whole segment file; weir_mem_free gives it back. */
static enum weir_status read_segment(const struct look *look, uint64_t number, uint8_t **ret_data,
                                     size_t *ret_size)
{
    const struct weir_disk *disk = &look->disk;
    char name[WEIR_DISK_NAME_MAX];
    (void)snprintf(name, sizeof name, "%016" PRIx64 ".segment", number);
    int file = disk->ops->open(disk->self, name, WEIR_DISK_READ);
    WEIR_TRY(weir_disk_status(file));
    int64_t size = disk->ops->size(disk->self, file);
    enum weir_status status = weir_disk_status(size);
    size_t room = size < 0 ? 0 : ((size_t)size / WEIR_DISK_BLOCK + 1) * WEIR_DISK_BLOCK;
    uint8_t *data = status == WEIR_OK ? weir_mem_aligned(WEIR_DISK_BLOCK, room) : NULL;
    if (status == WEIR_OK) {
        status = data == NULL ? WEIR_ENOMEM : weir_disk_read(disk, file, data, room, 0, ret_size);
    }
    (void)disk->ops->close(disk->self, file);
    if (status != WEIR_OK) {
        weir_mem_free(data);
        return status;
    }
    *ret_data = data;
    return WEIR_OK;
}

/* Calls `visit` for each segment that is still there. */
static bool each_segment(struct look *look,
                         void (*visit)(struct look *look, uint64_t number, struct weir_bytes bytes))
{
    bool good = true;
    for (size_t i = 0; i < look->count; i++) {
        uint8_t *data = NULL;
        size_t size = 0;
        enum weir_status status = read_segment(look, look->numbers[i], &data, &size);
        if (status == WEIR_OK) {
            visit(look, look->numbers[i], weir_bytes_of(data, size));
            weir_mem_free(data);
        } else if (status != WEIR_ENOTFOUND) {
            (void)weir_commands_failed("spool", "%016" PRIx64 ".segment: %s", look->numbers[i],
                                       status == WEIR_ENOMEM ? "out of memory"
                                                             : strerrordesc_np(errno));
            good = false;
        }
    }
    return good;
}

/* ls */

static void put_time(char *out, size_t size, int64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / WEIR_NS_PER_S);
    struct tm utc = {0};
    if (wall_ns == 0 || gmtime_r(&seconds, &utc) == NULL ||
        strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        (void)snprintf(out, size, "-");
    }
}

static struct owed *owed_of(struct look *look, const char *name)
{
    for (uint32_t i = 0; i < look->owed_count; i++) {
        if (strcmp(look->owed[i].name, name) == 0) {
            return &look->owed[i];
        }
    }
    if (look->owed_count == sizeof look->owed / sizeof *look->owed) {
        return &look->owed[look->owed_count - 1];
    }
    struct owed *owed = &look->owed[look->owed_count++];
    (void)snprintf(owed->name, sizeof owed->name, "%s", name);
    return owed;
}

/* The name that bit `bit` of `owed` stands for; NULL: none. */
static const char *name_of(const struct weir_frame_segment *header, uint32_t bit)
{
    if (bit == 63) {
        return "";
    }
    return bit < header->name_count ? header->names[bit] : NULL;
}

static void count_owed(struct look *look, const struct weir_frame_segment *header,
                       const struct weir_look_record *found, uint64_t counts[64])
{
    for (uint32_t bit = 0; bit < 64; bit++) {
        const char *name = (found->record.owed >> bit & 1) != 0 ? name_of(header, bit) : NULL;
        if (name == NULL ||
            weir_look_is_done(look->notes, weir_bytes_str(name), found->record.lsn)) {
            continue;
        }
        struct owed *owed = owed_of(look, name);
        owed->records++;
        owed->bytes += found->record.payload_size;
        counts[bit]++;
    }
}

static const char *shown(const char *name)
{
    if (name == NULL) {
        return "(unnamed)";
    }
    return name[0] == 0 ? "(dead letter)" : name;
}

static void list_segment(struct look *look, uint64_t number, struct weir_bytes bytes)
{
    struct weir_look_segment segment;
    struct weir_look_record found;
    uint64_t counts[64] = {0};
    uint64_t records = 0;
    int64_t first = 0;
    int64_t last = 0;
    look->bytes += bytes.size;
    enum weir_status status = weir_look_open(bytes, &segment);
    if (status != WEIR_OK) {
        (void)printf("%016" PRIx64 "  %s\n", number,
                     status == WEIR_EUNSUPPORTED ? "of a version that this release cannot read"
                                                 : "no segment header: never used, or damaged");
        return;
    }
    while (weir_look_next(&segment, false, &found)) {
        records++;
        first = first == 0 ? found.record.received_wall_ns : first;
        last = found.record.received_wall_ns;
        count_owed(look, &segment.header, &found, counts);
    }
    look->records += records;
    char from[32];
    char to[32];
    put_time(from, sizeof from, first);
    put_time(to, sizeof to, last);
    (void)printf("%016" PRIx64 "  v%u  %11zu bytes  %7" PRIu64 " records  %-20s  %-20s  owed",
                 number, segment.header.version, bytes.size, records, from, to);
    bool is_owed = false;
    for (uint32_t bit = 0; bit < 64; bit++) {
        if (counts[bit] > 0) {
            is_owed = true;
            (void)printf(" %s=%" PRIu64, shown(name_of(&segment.header, bit)), counts[bit]);
        }
    }
    (void)printf("%s\n", is_owed ? "" : " to none");
}

static void count_name(void *argument, const char *name)
{
    (void)name;
    ++*(uint64_t *)argument;
}

static void tell_folder(const struct look *look, const char *folder, const char *what)
{
    uint64_t files = 0;
    if (look->disk.ops->list(look->disk.self, folder, count_name, &files) >= 0 && files > 0) {
        (void)printf("%s: %" PRIu64 " file%s, %s\n", folder, files, files == 1 ? "" : "s", what);
    }
}

static int run_ls(struct look *look)
{
    bool good = each_segment(look, list_segment);
    (void)printf("%zu segments, %" PRIu64 " bytes, %" PRIu64 " records\n", look->count, look->bytes,
                 look->records);
    for (uint32_t i = 0; i < look->owed_count; i++) {
        (void)printf("owed to %s: %" PRIu64 " records, %" PRIu64 " bytes\n",
                     shown(look->owed[i].name), look->owed[i].records, look->owed[i].bytes);
    }
    tell_folder(look, "quarantine", "what is left of damaged records");
    tell_folder(look, "set-aside", "of a version that could not be read");
    return good ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

/* verify */

static void prove_segment(struct look *look, uint64_t number, struct weir_bytes bytes)
{
    struct weir_look_segment segment;
    struct weir_look_record found;
    (void)number;
    if (weir_look_open(bytes, &segment) != WEIR_OK) {
        return;
    }
    while (weir_look_next(&segment, false, &found)) {
        weir_look_prove(look->notes, found.record.durable);
    }
}

static bool is_proven(const struct look *look, uint64_t lsn)
{
    return lsn <= weir_look_durable(look->notes, lsn >> EPOCH_SHIFT);
}

/* Numbers first..last should be at `offset` and are not; those that nothing proves are torn. */
static void tell_missing(struct look *look, uint64_t number, uint64_t offset, uint64_t first,
                         uint64_t last)
{
    if (!is_proven(look, first)) {
        look->torn++;
        return;
    }
    uint64_t proven = weir_look_durable(look->notes, first >> EPOCH_SHIFT);
    last = last < proven ? last : proven;
    look->damages++;
    (void)printf("%016" PRIx64 ".segment: offset %" PRIu64 ": numbers %016" PRIx64 " to %016" PRIx64
                 " are missing\n",
                 number, offset, first, last);
}

static void verify_record(struct look *look, uint64_t number, const struct weir_look_record *found)
{
    uint64_t lsn = found->record.lsn;
    look->records++;
    if (found->whole) {
        return;
    }
    if (!is_proven(look, lsn)) {
        look->torn++;
        return;
    }
    look->damages++;
    (void)printf("%016" PRIx64 ".segment: offset %" PRIu64 ": number %016" PRIx64
                 ": the payload is damaged\n",
                 number, found->offset, lsn);
}

static void verify_records(struct look *look, uint64_t number, struct weir_look_segment *segment)
{
    struct weir_look_record found;
    uint64_t first = 0;
    uint64_t last = 0;
    uint64_t before = 0;
    weir_look_span(look->notes, number, &first, &last);
    while (weir_look_next(segment, true, &found)) {
        uint64_t lsn = found.record.lsn;
        uint64_t expected = before != 0                       ? before + 1
                            : first != 0                      ? first
                            : found.record.commit_index < lsn ? lsn - found.record.commit_index
                                                              : lsn;
        if (expected < lsn && expected >> EPOCH_SHIFT == lsn >> EPOCH_SHIFT) {
            tell_missing(look, number, found.expected, expected, lsn - 1);
        }
        verify_record(look, number, &found);
        before = lsn > before ? lsn : before;
    }
    uint64_t next = before != 0 ? before + 1 : first;
    if (last != 0 && next != 0 && next <= last) {
        tell_missing(look, number, segment->expected, next, last);
    }
    look->last_lsn = before > look->last_lsn ? before : look->last_lsn;
}

static void verify_segment(struct look *look, uint64_t number, struct weir_bytes bytes)
{
    struct weir_look_segment segment;
    uint64_t first = 0;
    uint64_t last = 0;
    enum weir_status status = weir_look_open(bytes, &segment);
    weir_look_span(look->notes, number, &first, &last);
    if (status == WEIR_OK && segment.header.number == number) {
        verify_records(look, number, &segment);
    } else if (status == WEIR_EUNSUPPORTED) {
        (void)printf("%016" PRIx64 ".segment: of a version that this release cannot read\n",
                     number);
    } else if (first != 0 && is_proven(look, first)) {
        look->damages++;
        (void)printf("%016" PRIx64 ".segment: offset 0: the header is damaged; numbers from "
                     "%016" PRIx64 " on are lost\n",
                     number, first);
    }
}

static int run_verify(struct look *look)
{
    bool good = each_segment(look, prove_segment) && each_segment(look, verify_segment);
    uint64_t durable = weir_look_durable(look->notes, look->last_lsn >> EPOCH_SHIFT);
    if (look->last_lsn != 0 && durable > look->last_lsn && look->count > 0) {
        tell_missing(look, look->numbers[look->count - 1], 0, look->last_lsn + 1, durable);
    }
    (void)printf("%" PRIu64 " records in %zu segments, %" PRIu64 " damages; %" PRIu64
                 " torn ends that were never acknowledged\n",
                 look->records, look->count, look->damages, look->torn);
    return good && look->damages == 0 ? WEIR_EXIT_DONE : WEIR_EXIT_FAILED;
}

static int look_at(const char *path, int (*run)(struct look *look))
{
    struct look look = {.count = 0};
    errno = 0;
    enum weir_status status = weir_disk_open(path, false, &look.disk);
    if (status == WEIR_OK) {
        status = weir_look_notes_read(&look.disk, &look.notes);
    }
    if (status == WEIR_OK) {
        status = weir_disk_status(look.disk.ops->list(look.disk.self, "", visit_name, &look));
        status = look.out_of_memory ? WEIR_ENOMEM : status;
    }
    int code = WEIR_EXIT_FAILED;
    if (status != WEIR_OK) {
        (void)weir_commands_failed("spool", "%.200s: %s", path,
                                   errno == 0 ? weir_status_text(status) : strerrordesc_np(errno));
    } else {
        if (look.count > 1) {
            qsort(look.numbers, look.count, sizeof *look.numbers, by_number);
        }
        code = run(&look);
    }
    weir_look_notes_free(look.notes);
    weir_mem_free(look.numbers);
    weir_disk_close(&look.disk);
    return code;
}

int weir_cmd_spool(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    if (weir_commands_option(argc, argv, "h", options, weir_cmd_spool_help) != -1) {
        return WEIR_EXIT_USAGE;
    }
    if (argc - optind != 2) {
        return weir_commands_usage("spool", "takes ls or verify, and a directory");
    }
    const char *what = argv[optind];
    if (strcmp(what, "ls") == 0) {
        return look_at(argv[optind + 1], run_ls);
    }
    if (strcmp(what, "verify") == 0) {
        return look_at(argv[optind + 1], run_verify);
    }
    return weir_commands_usage("spool", "takes ls or verify, not %.60s", what);
}
