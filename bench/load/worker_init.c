/* SPDX-License-Identifier: Apache-2.0 */
#include "load/request.h"
#include "weir/file.h"
#include "weir/mem.h"
#include <stdio.h>
#include <sys/timerfd.h>

/* The share of `index` when `whole` is cut for all threads, and where it begins. */
static uint64_t share(uint64_t whole, uint32_t threads, uint32_t index, uint64_t *ret_first)
{
    uint64_t more = whole % threads;
    *ret_first = whole / threads * index + (index < more ? index : more);
    return whole / threads + (index < more ? 1 : 0);
}

static enum weir_status init_life(struct weir_load_worker *worker)
{
    const struct weir_load_options *options = worker->run->options;
    const struct weir_load_life_options life = {
        .traffic = worker->run->traffic,
        .shape = &options->shape,
        .buffer = options->buffer,
        .streams = options->world.streams,
        .per_stream = options->world.per_stream,
        .first = worker->index,
        .step = options->threads,
    };
    return options->mode == WEIR_LOAD_LIFE ? weir_load_life_new(&life, &worker->life) : WEIR_OK;
}

enum weir_status weir_load_worker_init(struct weir_load_worker *worker, struct weir_load_run *run,
                                       uint32_t index)
{
    const struct weir_load_options *options = run->options;
    uint64_t first;
    uint64_t seed;
    *worker = (struct weir_load_worker){.run = run, .index = index, .timer = -1};
    worker->flying_max = (uint32_t)share(options->connections, options->threads, index, &first);
    worker->quota = options->requests == 0
                        ? UINT64_MAX
                        : share(options->requests, options->threads, index, &first);
    worker->request_count = (uint32_t)share(options->bodies, options->threads, index, &first);
    worker->first_body = (uint32_t)first;
    worker->requests = weir_mem_zalloc(worker->request_count, sizeof *worker->requests);
    worker->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (worker->requests == NULL) {
        return WEIR_ENOMEM;
    }
    if (worker->timer < 0) {
        return WEIR_EIO;
    }
    WEIR_TRY(weir_load_results_init(&worker->results));
    WEIR_TRY(weir_load_maker_init(&worker->maker, run->traffic, &options->shape));
    WEIR_TRY(init_life(worker));
    weir_rand_system(&seed, sizeof seed);
    weir_rand_init(&worker->rand, seed);
    (void)snprintf(worker->key_header, sizeof worker->key_header, "X-Amz-Firehose-Access-Key: %s",
                   options->key == NULL ? "" : options->key);
    return weir_transport_curl(&worker->transport);
}

void weir_load_worker_done(struct weir_load_worker *worker)
{
    if (worker->transport.free != NULL) {
        worker->transport.free(worker->transport.self); /* before the bodies that it reads */
    }
    for (uint32_t i = 0; worker->requests != NULL && i < worker->request_count; i++) {
        weir_load_parcel_done(&worker->requests[i].parcel);
    }
    weir_mem_free(worker->requests);
    weir_load_maker_done(&worker->maker);
    weir_load_life_free(worker->life);
    weir_load_results_done(&worker->results);
    weir_load_promises_done(&worker->promises);
    weir_file_close(worker->timer);
    explicit_bzero(worker->key_header, sizeof worker->key_header);
}
