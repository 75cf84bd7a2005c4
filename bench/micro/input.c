/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/input.h"
#include "traffic/body.h"
#include "weir/envelope.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include <stdio.h>

#define BODY_MAX ((size_t)1 << 30)

static const struct weir_envelope_limits limits = {10000, (size_t)64 << 20, 32};

struct weir_input_options weir_input_defaults(void)
{
    return (struct weir_input_options){.format = WEIR_INPUT_OTLP10,
                                       .seed = 1,
                                       .points = 11600,
                                       .per_record = 250,
                                       .namespaces = 40,
                                       .resources = 4,
                                       .gzip_level = 6};
}

enum weir_status weir_input_format(const char *name, enum weir_input_format *ret)
{
    static const char *const names[] = {"json", "0.7", "1.0"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum weir_input_format)i;
            return WEIR_OK;
        }
    }
    return WEIR_EINVAL;
}

static enum weir_body_format body_format(enum weir_input_format format)
{
    switch (format) {
    case WEIR_INPUT_JSON: return WEIR_BODY_JSON;
    case WEIR_INPUT_OTLP07: return WEIR_BODY_OTLP07;
    case WEIR_INPUT_OTLP10: break;
    }
    return WEIR_BODY_OTLP10;
}

static enum weir_status build(const struct weir_input_options *options,
                              const struct weir_traffic *traffic, uint64_t first,
                              struct weir_buf *out)
{
    const struct weir_body_shape shape = {.format = body_format(options->format),
                                          .points_per_record = options->per_record,
                                          .gzip_level = 0};
    struct weir_body body = {.first = first, .points = options->points};
    char id[WEIR_BODY_ID_SIZE + 1];
    (void)snprintf(id, sizeof id, "%08x-0000-4000-8000-%012llx", (unsigned)options->seed,
                   (unsigned long long)first & 0xffffffffffffULL);
    return weir_body_build(traffic, &shape, id, &body, out);
}

/* The same bytes as weir_body_build would compress; done here, so that both stages are at hand. */
static enum weir_status compress(struct weir_input *input, int level)
{
    struct weir_deflater *deflater = NULL;
    WEIR_TRY(weir_deflater_new(level, &deflater));
    size_t size = 0;
    size_t bound = weir_gzip_bound(deflater, input->json.size);
    uint8_t *out = weir_mem_alloc(bound);
    enum weir_status status =
        out == NULL ? WEIR_ENOMEM : weir_gzip_deflate(deflater, input->json, out, bound, &size);
    weir_deflater_free(deflater);
    input->memory[1] = out;
    input->gzip = weir_bytes_of(out, size);
    return status;
}

/* Takes a copy of the body apart; the records are moved together at its front. */
static enum weir_status take_apart(struct weir_input *input)
{
    uint8_t *copy = weir_mem_alloc(input->json.size);
    input->memory[2] = copy;
    input->content = weir_bytes_of(copy, 0);
    input->record = weir_mem_zalloc(limits.records, sizeof *input->record);
    if (copy == NULL || input->record == NULL) {
        return WEIR_ENOMEM;
    }
    memcpy(copy, input->json.data, input->json.size);
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, copy, input->json.size, limits);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        memmove(copy + input->content.size, record.data, record.size);
        input->record[input->records++] = weir_bytes_of(copy + input->content.size, record.size);
        input->content.size += record.size;
    }
    return status == WEIR_EEND ? WEIR_OK : status;
}

static enum weir_status fill(struct weir_input *input, const struct weir_input_options *options,
                             uint32_t minute)
{
    struct weir_traffic_options world = weir_traffic_defaults();
    world.seed = options->seed;
    world.namespaces = options->namespaces;
    world.resources = options->resources;
    world.per_stream = options->points;
    struct weir_traffic *traffic = NULL;
    WEIR_TRY(weir_traffic_new(&world, &traffic));
    struct weir_buf json = weir_buf_grow_init(BODY_MAX);
    enum weir_status status = build(options, traffic, (uint64_t)minute * world.per_stream, &json);
    weir_traffic_free(traffic);
    input->points = options->points;
    input->memory[0] = json.data;
    input->json = weir_buf_view(&json);
    if (status == WEIR_OK && options->gzip_level > 0) {
        status = compress(input, options->gzip_level);
    }
    return status == WEIR_OK ? take_apart(input) : status;
}

enum weir_status weir_input_new(const struct weir_input_options *options, uint32_t minute,
                                struct weir_input **ret)
{
    struct weir_input *input = weir_mem_zalloc(1, sizeof *input);
    if (input == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = fill(input, options, minute);
    if (status != WEIR_OK) {
        weir_input_free(input);
        return status;
    }
    *ret = input;
    return WEIR_OK;
}

void weir_input_free(struct weir_input *input)
{
    if (input != NULL) {
        for (unsigned i = 0; i < sizeof input->memory / sizeof *input->memory; i++) {
            weir_mem_free(input->memory[i]);
        }
        weir_mem_free(input->record);
        weir_mem_free(input);
    }
}
