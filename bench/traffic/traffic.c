/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world as arithmetic: nothing here is as large as the world, and every step can be undone,
 * which is how a number is found again from a point.
 *
 *   number ─► minute, position ─► stream, place in the stream
 *          ─► turn (up to 500 of one resource) ─► resource, place among the resource's own
 *          ─► shuffled among 128: one of the resource's series, 0 .. its count
 *          ─► namespace, which of its series there ─► entity, metric
 *          ─► id: (resource, entity) as 64 mixed bits in hexadecimal
 *
 *   I1  each arrow is one to one for a given seed, and its inverse stands beside it
 *   I2  a resource's series are dealt to the namespaces one by one, so none but a hot one differs
 *       from another by more than one
 *
 * Only neighbours are shuffled, since in captured streams the metrics of one entity come close
 * together (every 24th to 46th point is of the same one): what deflate finds depends on that.
 *
 * A shuffle of n is a few invertible steps on the next power of two, repeated until the result is
 * below n (twice at most in the mean). Threads: a world does not change once it is made.
 */
#include "traffic_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"

#include <stdio.h>

static const uint64_t factors[WEIR_TRAFFIC_ROUNDS] = {
    UINT64_C(0xff51afd7ed558ccd), UINT64_C(0xc4ceb9fe1a85ec53), UINT64_C(0x9fb21c651e98df25)};

struct weir_traffic_options weir_traffic_defaults(void)
{
    return (struct weir_traffic_options){.seed = 1,
                                         .start_ms = INT64_C(1767225600000),
                                         .streams = 1,
                                         .resources = 1,
                                         .namespaces = 40,
                                         .per_stream = 12000};
}

static bool are_valid(const struct weir_traffic_options *options)
{
    return options->start_ms >= 0 && options->start_ms < INT64_C(1) << 42 &&
           options->start_ms % WEIR_TRAFFIC_MINUTE_MS == 0 && options->streams >= 1 &&
           options->streams <= WEIR_TRAFFIC_STREAMS_MAX && options->resources >= 1 &&
           options->resources <= WEIR_TRAFFIC_RESOURCES_MAX && options->namespaces >= 1 &&
           options->namespaces <= WEIR_TRAFFIC_NAMESPACES_MAX && options->per_stream >= 1 &&
           options->per_stream <= WEIR_TRAFFIC_PER_STREAM_MAX && options->hot_percent <= 100;
}

/* x with f x x = 1 modulo 2^64, by Newton's iteration: each step doubles the bits that are right.
 */
static uint64_t inverse_of(uint64_t factor)
{
    uint64_t x = factor;
    for (int i = 0; i < 6; i++) {
        x *= 2 - factor * x;
    }
    return x;
}

static uint64_t hash_name(struct weir_bytes name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.size; i++) {
        hash = (hash ^ name.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

static void add_space(struct weir_traffic *traffic, uint32_t index)
{
    struct weir_traffic_space *space = &traffic->spaces[index];
    uint32_t known = weir_catalog_count() - 1;
    space->entry = weir_catalog_at(index < known ? index : known);
    space->name = space->entry->name;
    space->key = weir_traffic_mix(traffic->options.seed ^ weir_traffic_mix(index));
    if (index >= known) {
        int size = snprintf(space->text, sizeof(space->text), "%.*sTeam%03u", (int)space->name.size,
                            (const char *)space->name.data, index - known);
        WEIR_ASSERT(size > 0 && (size_t)size < sizeof(space->text));
        space->name = weir_bytes_of(space->text, (size_t)size);
    }
    uint64_t slot = hash_name(space->name) % WEIR_TRAFFIC_SLOTS;
    while (traffic->slots[slot] != 0) {
        slot = (slot + 1) % WEIR_TRAFFIC_SLOTS;
    }
    traffic->slots[slot] = (uint16_t)(index + 1);
}

enum weir_status weir_traffic_new(const struct weir_traffic_options *options,
                                  struct weir_traffic **ret)
{
    if (!are_valid(options)) {
        return WEIR_EINVAL;
    }
    size_t size = sizeof(struct weir_traffic) +
                  (size_t)options->namespaces * sizeof(struct weir_traffic_space);
    struct weir_traffic *traffic = weir_mem_zalloc(1, size);
    if (traffic == NULL) {
        return WEIR_ENOMEM;
    }
    traffic->options = *options;
    traffic->series = (uint64_t)options->streams * options->per_stream;
    uint32_t each = options->per_stream / options->resources;
    traffic->turn = each == 0 ? 1 : each < WEIR_TRAFFIC_TURN_MAX ? each : WEIR_TRAFFIC_TURN_MAX;
    for (int i = 0; i < WEIR_TRAFFIC_ROUNDS; i++) {
        traffic->inverses[i] = inverse_of(factors[i]);
    }
    for (uint32_t i = 0; i < options->namespaces; i++) {
        add_space(traffic, i);
    }
    *ret = traffic;
    return WEIR_OK;
}

void weir_traffic_free(struct weir_traffic *traffic)
{
    weir_mem_free(traffic);
}

uint64_t weir_traffic_series(const struct weir_traffic *traffic)
{
    return traffic->series;
}

const struct weir_traffic_options *weir_traffic_options(const struct weir_traffic *traffic)
{
    return &traffic->options;
}

uint64_t weir_traffic_scramble(uint64_t value, uint64_t key)
{
    value ^= key;
    for (int i = 0; i < WEIR_TRAFFIC_ROUNDS; i++) {
        value = (value ^ value >> 32) * factors[i];
    }
    return value ^ value >> 32;
}

uint64_t weir_traffic_unscramble(const struct weir_traffic *traffic, uint64_t value, uint64_t key)
{
    value ^= value >> 32;
    for (int i = WEIR_TRAFFIC_ROUNDS - 1; i >= 0; i--) {
        value *= traffic->inverses[i];
        value ^= value >> 32;
    }
    return value ^ key;
}

/* A part of a resource's series. */
struct window {
    uint64_t start;
    uint64_t size;
    uint64_t key;
};

/* A number below `count` for each number below it, one to one. */
static uint64_t shuffle(uint64_t count, uint64_t key, uint64_t value)
{
    if (count < 2) {
        return value;
    }
    unsigned bits = 64 - (unsigned)__builtin_clzll(count - 1);
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    do {
        for (int i = 0; i < WEIR_TRAFFIC_ROUNDS; i++) {
            value = (value * factors[i] + key) & mask;
            value ^= value >> (bits + 1) / 2;
        }
    } while (value >= count);
    return value;
}

static uint64_t unshuffle(const struct weir_traffic *traffic, uint64_t count, uint64_t key,
                          uint64_t value)
{
    if (count < 2) {
        return value;
    }
    unsigned bits = 64 - (unsigned)__builtin_clzll(count - 1);
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    do {
        for (int i = WEIR_TRAFFIC_ROUNDS - 1; i >= 0; i--) {
            value ^= value >> (bits + 1) / 2;
            value = (value - key) * traffic->inverses[i] & mask;
        }
    } while (value >= count);
    return value;
}

/* Fills in what follows from stream and resource. */
static void complete(const struct weir_traffic *traffic, struct weir_traffic_place *place)
{
    const struct weir_traffic_options *options = &traffic->options;
    uint32_t turns = options->per_stream / traffic->turn;
    uint32_t tail = options->per_stream % traffic->turn;
    uint32_t whole = turns / options->resources + (place->resource < turns % options->resources);
    place->own = (uint64_t)whole * traffic->turn;
    place->own += turns % options->resources == place->resource ? tail : 0;
    place->global = (uint64_t)place->stream * options->resources + place->resource;
}

/* How a resource's series are dealt: `hot` of them to namespace 0, evenly spread; the others one by
 * one to the `others` namespaces from `base` on, beginning with number `skip` of these. */
struct deal {
    uint64_t hot;
    uint32_t base;
    uint32_t others;
    uint32_t skip;
};

static struct deal deal_of(const struct weir_traffic *traffic,
                           const struct weir_traffic_place *place)
{
    const struct weir_traffic_options *options = &traffic->options;
    struct deal deal = {0, 0, options->namespaces, 0};
    if (options->hot_percent > 0 && options->namespaces > 1) {
        deal.hot = place->own * options->hot_percent / 100;
        deal.base = 1;
        deal.others = options->namespaces - 1;
    }
    deal.skip =
        (uint32_t)(place->global * (options->per_stream / options->resources) % deal.others);
    return deal;
}

/* Series `series` of a resource: which namespace's, and how many of that come before it. Of the
 * first s series, s x hot / own are hot, rounded down. */
static void deal_out(const struct deal *deal, uint64_t series, struct weir_traffic_place *place)
{
    uint64_t hot_before = series * deal->hot / place->own;
    if ((series + 1) * deal->hot / place->own > hot_before) {
        place->space = 0;
        place->series = hot_before;
        return;
    }
    uint64_t dealt = series - hot_before;
    place->space = deal->base + (uint32_t)((dealt + deal->skip) % deal->others);
    place->series = dealt / deal->others;
}

static bool collect_back(const struct deal *deal, const struct weir_traffic_place *place,
                         uint64_t *ret)
{
    if (place->space < deal->base) {
        if (place->series >= deal->hot) {
            return false;
        }
        *ret = ((place->series + 1) * place->own + deal->hot - 1) / deal->hot - 1;
        return true;
    }
    uint32_t turn = (place->space - deal->base + deal->others - deal->skip) % deal->others;
    uint64_t dealt = place->series * deal->others + turn;
    uint64_t cold = place->own - deal->hot;
    if (dealt >= cold) {
        return false;
    }
    *ret = dealt * place->own / cold;
    return true;
}

/* The window around the resource's series `local`, which is shuffled by itself. */
static struct window window_of(const struct weir_traffic *traffic,
                               const struct weir_traffic_place *place, uint64_t local)
{
    uint64_t start = local - local % WEIR_TRAFFIC_WINDOW;
    uint64_t left = place->own - start;
    uint64_t key = weir_traffic_mix(traffic->options.seed + (place->global << 32) + start);
    return (struct window){start, left < WEIR_TRAFFIC_WINDOW ? left : WEIR_TRAFFIC_WINDOW, key};
}

struct weir_traffic_place weir_traffic_place_at(const struct weir_traffic *traffic,
                                                uint64_t position)
{
    const struct weir_traffic_options *options = &traffic->options;
    struct weir_traffic_place place = {.position = position};
    place.stream = (uint32_t)(position / options->per_stream);
    uint32_t in_stream = (uint32_t)(position % options->per_stream);
    uint32_t turn = in_stream / traffic->turn;
    place.resource = turn % options->resources;
    complete(traffic, &place);
    uint64_t local =
        (uint64_t)(turn / options->resources) * traffic->turn + in_stream % traffic->turn;
    struct window window = window_of(traffic, &place, local);
    struct deal deal = deal_of(traffic, &place);
    deal_out(&deal, window.start + shuffle(window.size, window.key, local - window.start), &place);
    return place;
}

bool weir_traffic_find_position(const struct weir_traffic *traffic,
                                struct weir_traffic_place *place)
{
    const struct weir_traffic_options *options = &traffic->options;
    complete(traffic, place);
    struct deal deal = deal_of(traffic, place);
    uint64_t series = 0;
    if (!collect_back(&deal, place, &series)) {
        return false;
    }
    struct window window = window_of(traffic, place, series);
    uint64_t local =
        window.start + unshuffle(traffic, window.size, window.key, series - window.start);
    uint64_t turn = local / traffic->turn * options->resources + place->resource;
    place->position = (uint64_t)place->stream * options->per_stream + turn * traffic->turn +
                      local % traffic->turn;
    return true;
}

const struct weir_traffic_space *weir_traffic_space_find(const struct weir_traffic *traffic,
                                                         struct weir_bytes name)
{
    uint64_t slot = hash_name(name) % WEIR_TRAFFIC_SLOTS;
    while (traffic->slots[slot] != 0) {
        const struct weir_traffic_space *space = &traffic->spaces[traffic->slots[slot] - 1];
        if (weir_bytes_eq(space->name, name)) {
            return space;
        }
        slot = (slot + 1) % WEIR_TRAFFIC_SLOTS;
    }
    return NULL;
}

uint32_t weir_traffic_run(const struct weir_traffic *traffic, uint64_t number)
{
    const struct weir_traffic_options *options = &traffic->options;
    uint32_t in_stream = (uint32_t)(number % traffic->series % options->per_stream);
    uint32_t left = options->per_stream - in_stream;
    if (options->resources == 1) {
        return left;
    }
    uint32_t in_turn = traffic->turn - in_stream % traffic->turn;
    return left < in_turn ? left : in_turn;
}
