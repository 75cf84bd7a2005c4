/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-bench bodies, limit: prepared bodies as files, and the divisor of the bar.
 *
 *   bodies   the world ─► body-000000.json.gz, body-000001.json.gz, ...     one minute each
 *
 *   limit    body, body, ...   ─┐ read, and batches that are gzip inflated, before anything is
 *            batch, batch, ... ─┘ measured
 *               round: inflate all bodies, deflate all batches      the thread's CPU time
 *
 *   I1  what is measured is libdeflate alone, from warm memory to warm memory, and nothing of ours
 *   I2  a damaged file ends the program with a message; nothing is printed for a part of the files
 *
 * Bodies that are not gzip take no time: that is what Weir has to do for them. One thread.
 */
#include "micro/files.h"
#include "weir/file.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX ((size_t)512 << 20)

enum { PATH_SIZE = 4096 };

static int complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "weir-bench: %s: %s\n", what, why);
    return 1;
}

static int write_file(const char *path, struct weir_bytes bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return complain(path, strerrordesc_np(errno));
    }
    enum weir_status status = weir_file_write(fd, bytes);
    int why = errno;
    weir_file_close(fd);
    return status == WEIR_OK ? 0 : complain(path, strerrordesc_np(why));
}

int weir_files_bodies(const struct weir_options *options)
{
    const struct weir_input_options *as = &options->context.options;
    for (uint32_t i = 0; i < options->count; i++) {
        char path[PATH_SIZE];
        struct weir_input *input = NULL;
        int size = snprintf(path, sizeof path, "%s/body-%06" PRIu32 ".json%s", options->out, i,
                            as->gzip_level > 0 ? ".gz" : "");
        if (size < 0 || (size_t)size >= sizeof path) {
            return complain(options->out, "too long");
        }
        enum weir_status status = weir_input_new(as, i, &input);
        if (status != WEIR_OK) {
            return complain("the body", weir_status_text(status));
        }
        int failed = write_file(path, as->gzip_level > 0 ? input->gzip : input->json);
        weir_input_free(input);
        if (failed != 0) {
            return failed;
        }
    }
    return 0;
}

/* One file in memory, and how large it is inflated. */
struct held {
    uint8_t *data;
    size_t size;
    size_t inflated;
    bool gzip;
};

struct pile {
    struct held *held;
    int count;
    size_t in, out;      /* bytes of all */
    size_t inflated_max; /* of one */
};

struct limits {
    struct pile bodies, batches;
    struct weir_inflater *inflater;
    struct libdeflate_decompressor *decompressor;
    struct libdeflate_compressor *compressor;
    uint8_t *room; /* for the largest of anything */
    size_t room_size;
};

/* Inflates once to learn the size, which a stream need not declare truly. */
static enum weir_status inflate(struct limits *limits, const struct held *held,
                                uint8_t **ret_memory, size_t *ret_size)
{
    struct weir_bytes input = weir_bytes_of(held->data, held->size);
    size_t capacity = 0;
    WEIR_TRY(weir_gzip_size_hint(input, FILE_SIZE_MAX, &capacity));
    for (;;) {
        uint8_t *memory = weir_mem_alloc(capacity);
        if (memory == NULL) {
            return WEIR_ENOMEM;
        }
        enum weir_status status =
            weir_gzip_inflate(limits->inflater, input, memory, capacity, ret_size);
        if (status == WEIR_OK) {
            *ret_memory = memory;
            return WEIR_OK;
        }
        weir_mem_free(memory);
        if (status != WEIR_EFULL || capacity >= FILE_SIZE_MAX) {
            return status == WEIR_EFULL ? WEIR_ELIMIT : status;
        }
        capacity = capacity < FILE_SIZE_MAX / 2 ? capacity * 2 : FILE_SIZE_MAX;
    }
}

/* Reads a file; one that is gzip is inflated, and kept like that where `keep_inflated`. */
static enum weir_status hold(struct limits *limits, const char *path, bool keep_inflated,
                             struct held *ret)
{
    struct held held = {0};
    WEIR_TRY(weir_file_read(path, FILE_SIZE_MAX, &held.data, &held.size));
    held.inflated = held.size;
    held.gzip = held.size >= 2 && held.data[0] == 0x1f && held.data[1] == 0x8b;
    if (held.gzip) {
        uint8_t *memory = NULL;
        enum weir_status status = inflate(limits, &held, &memory, &held.inflated);
        if (status != WEIR_OK) {
            weir_mem_free(held.data);
            return status;
        }
        if (keep_inflated) {
            weir_mem_free(held.data);
            held = (struct held){memory, held.inflated, held.inflated, false};
        } else {
            weir_mem_free(memory);
        }
    }
    *ret = held;
    return WEIR_OK;
}

static int read_pile(struct limits *limits, struct weir_options_list files, bool keep_inflated,
                     struct pile *pile)
{
    pile->held = weir_mem_zalloc((size_t)files.count + 1, sizeof *pile->held);
    if (pile->held == NULL) {
        return complain("files", "no memory");
    }
    for (; pile->count < files.count; pile->count++) {
        struct held *held = &pile->held[pile->count];
        enum weir_status status = hold(limits, files.names[pile->count], keep_inflated, held);
        if (status != WEIR_OK) {
            return complain(files.names[pile->count], weir_status_text(status));
        }
        pile->in += held->size;
        pile->out += held->inflated;
        pile->inflated_max =
            held->inflated > pile->inflated_max ? held->inflated : pile->inflated_max;
    }
    return 0;
}

static void free_pile(struct pile *pile)
{
    for (int i = 0; i < pile->count; i++) {
        weir_mem_free(pile->held[i].data);
    }
    weir_mem_free(pile->held);
}

static void inflate_all(void *state)
{
    struct limits *limits = state;
    for (int i = 0; i < limits->bodies.count; i++) {
        const struct held *held = &limits->bodies.held[i];
        size_t in = 0;
        size_t out = 0;
        for (size_t at = 0; held->gzip && at < held->size; at += in) {
            enum libdeflate_result result = libdeflate_gzip_decompress_ex(
                limits->decompressor, held->data + at, held->size - at, limits->room,
                limits->room_size, &in, &out);
            WEIR_ASSERT(result == LIBDEFLATE_SUCCESS);
        }
    }
}

static void deflate_all(void *state)
{
    struct limits *limits = state;
    limits->batches.out = 0;
    for (int i = 0; i < limits->batches.count; i++) {
        const struct held *held = &limits->batches.held[i];
        size_t size = libdeflate_gzip_compress(limits->compressor, held->data, held->size,
                                               limits->room, limits->room_size);
        WEIR_ASSERT(size > 0);
        limits->batches.out += size;
    }
}

static void print_pile(const char *name, const struct pile *pile, double bytes,
                       const struct weir_harness_times *times)
{
    (void)printf("\"%s\":{\"files\":%d,\"in_bytes\":%zu,\"out_bytes\":%zu,\"rounds\":%" PRIu32
                 ",\"cpu_ns\":%.0f,\"ns_per_byte\":%.4f,\"spread\":%.4f",
                 name, pile->count, pile->in, pile->out, times->rounds, times->median_ns,
                 bytes > 0 ? times->median_ns / bytes : 0, times->spread);
}

static int measure(struct limits *limits, const struct weir_options *options)
{
    const struct weir_harness_work work = {
        .state = limits, .subject = inflate_all, .limit = deflate_all};
    struct weir_harness_result result;
    if (weir_harness_run(&work, &options->harness, &result) != WEIR_OK) {
        return complain("samples", "no memory");
    }
    (void)fputs("{", stdout);
    print_pile("inflate", &limits->bodies, (double)limits->bodies.out, &result.subject);
    (void)fputs("},", stdout);
    print_pile("deflate", &limits->batches, (double)limits->batches.in, &result.limit);
    (void)printf(",\"level\":%d},\"cpu_ns\":%.0f}\n", options->level,
                 result.subject.median_ns + result.limit.median_ns);
    return 0;
}

static int prepare(struct limits *limits, const struct weir_options *options)
{
    limits->decompressor = libdeflate_alloc_decompressor();
    limits->compressor = libdeflate_alloc_compressor(options->level);
    if (limits->decompressor == NULL || limits->compressor == NULL ||
        weir_inflater_new(&limits->inflater) != WEIR_OK) {
        return complain("libdeflate", "no memory");
    }
    if (read_pile(limits, options->bodies, false, &limits->bodies) != 0 ||
        read_pile(limits, options->batches, true, &limits->batches) != 0) {
        return 1;
    }
    size_t packed =
        libdeflate_gzip_compress_bound(limits->compressor, limits->batches.inflated_max);
    limits->room_size = packed > limits->bodies.inflated_max ? packed : limits->bodies.inflated_max;
    limits->room = weir_mem_alloc(limits->room_size);
    return limits->room != NULL ? 0 : complain("room", "no memory");
}

int weir_files_limit(const struct weir_options *options)
{
    struct limits limits = {0};
    int failed = prepare(&limits, options);
    if (failed == 0) {
        failed = measure(&limits, options);
    }
    weir_mem_free(limits.room);
    free_pile(&limits.bodies);
    free_pile(&limits.batches);
    weir_inflater_free(limits.inflater);
    libdeflate_free_decompressor(limits.decompressor);
    libdeflate_free_compressor(limits.compressor);
    return failed;
}
