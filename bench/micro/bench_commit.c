/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request through the lane: looked up, written, synced; beside writing and syncing the same
 * bytes to a file that is there already.
 *
 *   prepare   a new request id
 *   subject   weir_spool_commit of one gzip body           wall clock, or CPU time
 *   finish    its ticket settled; the keeper until it rests: notes, recycling, zeros ahead
 *   limit     pwrite and fdatasync, round and round in a file of zeros
 *
 * A large body lies as the intake receives it, a block behind the begin of its memory, so that the
 * lane writes it from there (docs/formats/spool.md); the limit goes through the page cache.
 *
 *   I1  both files are in one directory, and both are zeroed before they are written to
 *   I2  the spool never fills: what was committed is released before the next
 *
 * The keeper's work is not in the number; it is in the gateway's, which bench/run.sh measures. One
 * thread plays lane, exporter and keeper in turn.
 */
#include "micro/cases.h"
#include "weir/clock.h"
#include "weir/intake.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/spool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPOOL_BYTES   ((uint64_t)128 << 20)
#define SEGMENT_BYTES ((uint64_t)16 << 20)
#define FILE_BYTES    ((size_t)16 << 20)

enum { PATH_SIZE = 512, KEEPER_STEPS_MAX = 4096, IDS = 4096 };

struct committing {
    char path[PATH_SIZE];
    struct weir_input *input;
    struct weir_disk disk;
    struct weir_spool *spool;
    struct weir_spool_job job;
    uint32_t points[WEIR_SPOOL_LETTER + 1]; /* by destination */
    uint8_t *body;                          /* in `memory`, behind a block, at a block */
    uint8_t *memory;
    char id[40];
    uint64_t requests;
    int file; /* the limit's */
    size_t padded;
    size_t at;
    uint8_t *block;
};

static struct weir_now now(void)
{
    return (struct weir_now){weir_clock_mono_ns(), weir_clock_wall_ns()};
}

static void on_done(struct weir_spool_job *job)
{
    WEIR_ASSERT(job->status == WEIR_OK);
}

static void prepare(void *state)
{
    struct committing *committing = state;
    struct weir_now at = now();
    (void)snprintf(committing->id, sizeof committing->id, "%08x-0000-4000-8000-%012llx", 1U,
                   (unsigned long long)committing->requests++);
    committing->job = (struct weir_spool_job){
        .body = weir_bytes_of(committing->body, committing->input->gzip.size),
        .margins = committing->input->gzip.size < WEIR_INTAKE_LARGE ? NULL : committing->body,
        .gzip = true,
        .request_id = weir_bytes_str(committing->id),
        .stream = WEIR_BYTES("arn:aws:firehose:us-east-1:123456789012:deliverystream/bench"),
        .key_name = WEIR_BYTES("bench"),
        .attributes = WEIR_BYTES("{}"),
        .content_size = committing->input->json.size,
        .points = committing->input->points,
        .received_ns = at.mono_ns,
        .received_wall_ns = at.wall_ns,
        .owed = 1,
        .live = 1,
        .live_points = committing->points,
        .done = on_done};
}

static void commit(void *state)
{
    struct committing *committing = state;
    weir_spool_commit(committing->spool, &committing->job, now());
}

static void finish(void *state)
{
    struct committing *committing = state;
    weir_spool_settle(committing->spool, committing->job.ticket, 0, WEIR_SETTLED);
    int64_t wake_ns = 0;
    for (unsigned i = 0; i < KEEPER_STEPS_MAX; i++) {
        struct weir_now at = now();
        enum weir_status status = weir_spool_keep(committing->spool, at, &wake_ns);
        WEIR_ASSERT(status == WEIR_OK);
        if (wake_ns > at.mono_ns) {
            return;
        }
    }
}

static void limit(void *state)
{
    struct committing *committing = state;
    if (committing->at + committing->padded > FILE_BYTES) {
        committing->at = 0;
    }
    ssize_t size =
        pwrite(committing->file, committing->block, committing->padded, (off_t)committing->at);
    WEIR_ASSERT(size == (ssize_t)committing->padded);
    int result = fdatasync(committing->file);
    WEIR_ASSERT(result == 0);
    committing->at += committing->padded;
}

static void remove_name(void *argument, const char *name)
{
    struct committing *committing = argument;
    char path[PATH_SIZE * 2];
    (void)snprintf(path, sizeof path, "%s/%s", committing->path, name);
    if (remove(path) != 0) {
        (void)fprintf(stderr, "weir-bench: %s: %s\n", path, strerrordesc_np(errno));
    }
}

static void close_job(struct weir_cases_job *job)
{
    struct committing *committing = job->work.state;
    if (committing == NULL) {
        return;
    }
    weir_spool_close(committing->spool, now());
    if (committing->file >= 0) {
        (void)close(committing->file);
    }
    if (committing->disk.ops != NULL) {
        (void)committing->disk.ops->list(committing->disk.self, "", remove_name, committing);
        weir_disk_close(&committing->disk);
        (void)rmdir(committing->path);
    }
    weir_mem_free(committing->block);
    weir_mem_free(committing->memory);
    weir_input_free(committing->input);
    weir_mem_free(committing);
}

static enum weir_status open_spool(struct committing *committing)
{
    const struct weir_spool_destination destination = {"bench", 0};
    const struct weir_spool_options options = {.durability = WEIR_DURABILITY_DISK,
                                               .disk = committing->disk,
                                               .limit = SPOOL_BYTES,
                                               .segment_bytes = SEGMENT_BYTES,
                                               .destinations = &destination,
                                               .destination_count = 1,
                                               .dedupe_window_ns = 3600 * WEIR_NS_PER_S,
                                               .dedupe_entries = IDS};
    struct weir_spool_report report;
    return weir_spool_open(&options, now(), &report, &committing->spool);
}

static enum weir_status open_file(struct committing *committing)
{
    char path[PATH_SIZE * 2];
    (void)snprintf(path, sizeof path, "%s/limit", committing->path);
    committing->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (committing->file < 0) {
        return WEIR_EIO;
    }
    size_t block = WEIR_DISK_BLOCK;
    committing->padded = (committing->input->gzip.size + block - 1) / block * block;
    if (committing->padded > FILE_BYTES) {
        return WEIR_ELIMIT;
    }
    committing->block = weir_mem_zalloc(1, FILE_BYTES);
    if (committing->block == NULL) {
        return WEIR_ENOMEM;
    }
    ssize_t size = pwrite(committing->file, committing->block, FILE_BYTES, 0);
    if (size != (ssize_t)FILE_BYTES || fdatasync(committing->file) != 0) {
        return WEIR_EIO;
    }
    memcpy(committing->block, committing->input->gzip.data, committing->input->gzip.size);
    return WEIR_OK;
}

static enum weir_status place_body(struct committing *committing)
{
    const struct weir_bytes gzip = committing->input->gzip;
    size_t block = WEIR_DISK_BLOCK;
    committing->memory = weir_mem_zalloc(1, gzip.size + 3 * block);
    if (committing->memory == NULL) {
        return WEIR_ENOMEM;
    }
    size_t past = (uintptr_t)committing->memory % block;
    committing->body = committing->memory + (past == 0 ? 0 : block - past) + block;
    memcpy(committing->body, gzip.data, gzip.size);
    return WEIR_OK;
}

static enum weir_status fill(const struct weir_cases_context *context,
                             struct committing *committing)
{
    int size = snprintf(committing->path, sizeof committing->path, "%s/weir-bench-XXXXXX",
                        context->directory);
    if (size < 0 || (size_t)size >= sizeof committing->path || mkdtemp(committing->path) == NULL) {
        return WEIR_EIO;
    }
    WEIR_TRY(weir_disk_open(committing->path, false, &committing->disk));
    WEIR_TRY(weir_cases_input(context, context->options.format, &committing->input));
    WEIR_TRY(place_body(committing));
    committing->points[0] = committing->input->points;
    WEIR_TRY(open_spool(committing));
    return open_file(committing);
}

static enum weir_status open_job(const struct weir_cases_context *context, bool is_wall,
                                 struct weir_cases_job *ret)
{
    struct committing *committing = weir_mem_zalloc(1, sizeof *committing);
    if (committing == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {.work = {.state = committing,
                                          .prepare = prepare,
                                          .subject = commit,
                                          .finish = finish,
                                          .limit = limit,
                                          .is_wall = is_wall}};
    committing->file = -1;
    weir_log_configure(WEIR_LOG_ERROR, WEIR_LOG_JSON);
    enum weir_status status = fill(context, committing);
    if (status != WEIR_OK) {
        close_job(&job);
        return status;
    }
    job.points = committing->input->points;
    job.bytes = committing->input->gzip.size;
    *ret = job;
    return WEIR_OK;
}

static enum weir_status open_wall(const struct weir_cases_context *context,
                                  struct weir_cases_job *ret)
{
    return open_job(context, true, ret);
}

static enum weir_status open_cpu(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    return open_job(context, false, ret);
}

const struct weir_cases_case weir_cases_commit[] = {
    {"commit", "a body through the spool's lane", "pwrite + fdatasync", open_wall, close_job},
    {"commit-cpu", "the same, by CPU time", "pwrite + fdatasync", open_cpu, close_job},
    {.name = NULL}};
