/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/batcher.h"
#include "batch_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"

struct weir_batcher {
    struct weir_batcher_options options;
    struct weir_batch *open; /* NULL, or a batch that may still be empty */
};

enum weir_status weir_batcher_new(const struct weir_batcher_options *options,
                                  struct weir_batcher **ret)
{
    struct weir_batcher *batcher = weir_mem_zalloc(1, sizeof(*batcher));
    if (batcher == NULL) {
        return WEIR_ENOMEM;
    }
    batcher->options = *options;
    *ret = batcher;
    return WEIR_OK;
}

void weir_batcher_free(struct weir_batcher *batcher)
{
    if (batcher == NULL) {
        return;
    }
    weir_batch_release(batcher->open, batcher->options.batches);
    weir_mem_free(batcher);
}

/* An open batch without points, with its manifest. */
static enum weir_status open_batch(struct weir_batcher *batcher)
{
    const struct weir_batcher_options *options = &batcher->options;
    struct weir_batch *batch = weir_pool_take(options->batches);
    if (batch == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_manifest *manifest = NULL;
    if (options->manifests != NULL) {
        manifest = weir_pool_take(options->manifests->pool);
        if (manifest == NULL) {
            weir_pool_give(options->batches, batch);
            return WEIR_ENOMEM;
        }
        weir_manifest_open(manifest, options->destination);
    }
    weir_batch_open(batch, options->hints, options->budget);
    batch->manifest = manifest;
    batch->accounts = options->manifests;
    batcher->open = batch;
    return WEIR_OK;
}

enum weir_status weir_batcher_add(struct weir_batcher *batcher, const struct weir_run *run,
                                  uint32_t *offset, int64_t now_ns)
{
    WEIR_ASSERT(*offset <= run->count);
    if (*offset == run->count) {
        weir_arena_unref(run->arena, run->bytes);
        return WEIR_OK;
    }
    if (batcher->open == NULL) {
        WEIR_TRY(open_batch(batcher));
    }
    return weir_batch_add(batcher->open, &batcher->options, run, offset, now_ns);
}

void weir_batcher_ask(const struct weir_batcher *batcher, struct weir_run *const *runs,
                      uint32_t count)
{
    WEIR_ASSERT(count <= WEIR_BATCHER_TOGETHER);
    if (batcher->open != NULL) {
        weir_batch_ask(batcher->open, runs, count);
    }
}

enum weir_status weir_batcher_add_whole(struct weir_batcher *batcher, const struct weir_run *run,
                                        uint32_t sources, int64_t now_ns)
{
    WEIR_ASSERT(run->count > 0);
    if (batcher->open == NULL) {
        WEIR_TRY(open_batch(batcher));
    }
    return weir_batch_add_whole(batcher->open, &batcher->options, run, sources, now_ns);
}

enum weir_buffer_trigger weir_batcher_due(const struct weir_batcher *batcher, int64_t now_ns)
{
    return batcher->open == NULL ? WEIR_BUFFER_NOT_DUE
                                 : weir_buffer_due(&batcher->open->buffer, now_ns);
}

int64_t weir_batcher_deadline_ns(const struct weir_batcher *batcher)
{
    return batcher->open == NULL ? INT64_MAX : weir_buffer_deadline_ns(&batcher->open->buffer);
}

struct weir_batch *weir_batcher_close(struct weir_batcher *batcher,
                                      enum weir_buffer_trigger trigger)
{
    struct weir_batch *batch = batcher->open;
    if (batch == NULL || batch->point_count == 0) {
        return NULL;
    }
    batch->trigger = trigger == WEIR_BUFFER_NOT_DUE ? WEIR_BUFFER_SIZE : trigger;
    batcher->open = NULL;
    return batch;
}

size_t weir_batcher_compact(struct weir_batcher *batcher)
{
    return batcher->open == NULL ? 0 : weir_batch_compact(batcher->open, &batcher->options);
}

size_t weir_batcher_open_bytes(const struct weir_batcher *batcher)
{
    return batcher->open == NULL ? 0 : batcher->open->buffer.bytes;
}
