/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"
#include "weir/panic.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODIES_MAX ((size_t)20 << 20)

void sim_fail(const struct sim_world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "sim: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n  world %llu, life %u, step %u (%s), change %llu, state %llu%s\n",
            (unsigned long long)world->seed, world->life, world->step, world->doing,
            (unsigned long long)world->changes, (unsigned long long)world->states,
            world->checking ? ", in a trial recovery" : "");
    fprintf(stderr, "  fault: call %llu of %llu, errno %d%s\n",
            (unsigned long long)world->disk->fault.at, (unsigned long long)world->disk->calls,
            world->disk->fault.error, world->disk->fault.on ? " from then on" : "");
    fprintf(stderr, "  again: sim_spool 1 %llu   (and add the number to tests/sim/seeds.txt)\n",
            (unsigned long long)world->seed);
    if (getenv("WEIR_SIM_ABORT") != NULL) {
        abort();
    }
    exit(1);
}

void sim_trace(const struct sim_world *world, const char *format, ...)
{
    static int wanted = -1;
    if (wanted < 0) {
        wanted = getenv("WEIR_SIM_TRACE") != NULL;
    }
    if (wanted == 0 || world->checking) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%u.%u/%llu%s %s: ", world->life, world->step,
            (unsigned long long)world->changes, world->crashed ? " (dead)" : "", world->doing);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
}

uint32_t sim_below(struct sim_world *world, uint32_t bound)
{
    return (uint32_t)weir_rand_below(&world->rand, bound);
}

bool sim_is_faulty(const struct sim_world *world)
{
    return world->faulty || world->disk->faults > 0;
}

bool sim_chance(struct sim_world *world, uint32_t in)
{
    return sim_below(world, in) == 0;
}

/* Bodies of one world: apart from the allocator, which tests make fail. */
static _Alignas(WEIR_DISK_BLOCK) uint8_t bodies[BODIES_MAX];
static size_t bodies_used;

static uint8_t *body_memory(size_t size)
{
    size_t rounded = (size + 15) / 16 * 16;
    WEIR_ASSERT(rounded <= BODIES_MAX - bodies_used);
    uint8_t *memory = bodies + bodies_used;
    bodies_used += rounded;
    return memory;
}

/* A body that the lane may write from where it lies: a block before it, and blocks for itself. */
static uint8_t *body_with_margins(size_t size)
{
    bodies_used += (WEIR_DISK_BLOCK - bodies_used % WEIR_DISK_BLOCK) % WEIR_DISK_BLOCK;
    size_t blocks = (size + WEIR_DISK_BLOCK - 1) / WEIR_DISK_BLOCK;
    return body_memory(WEIR_DISK_BLOCK * (1 + blocks)) + WEIR_DISK_BLOCK;
}

static size_t random_size(struct sim_world *world)
{
    switch (sim_below(world, 16)) {
    case 0: return 0;
    case 1: return world->size_most + sim_below(world, 6 * world->size_most);
    case 2: return sim_chance(world, 4) ? SIM_SEGMENT + sim_below(world, 20000) : 3;
    default: return sim_below(world, world->size_most);
    }
}

static void random_content(struct sim_world *world, struct sim_request *request)
{
    size_t size = random_size(world);
    bool has_margins = size > 0 && sim_chance(world, 4);
    uint8_t *memory = has_margins ? body_with_margins(size) : body_memory(size + 8);
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = weir_rand_u64(&world->rand);
        memcpy(memory + at, &word, size - at < 8 ? size - at : 8);
    }
    request->margins = has_margins ? memory : NULL;
    request->body = (struct weir_bytes){memory, size};
    request->content_crc = (uint32_t)weir_rand_u64(&world->rand);
    request->content_size = size * 3;
    request->gzip = sim_chance(world, 2);
    snprintf(request->stream, sizeof request->stream, "arn:aws:firehose:eu-west-1:1:stream/%u",
             sim_below(world, 2));
    if (!sim_chance(world, 8)) {
        snprintf(request->id, sizeof request->id, "id-%u", request->index);
    }
}

static void copy_content(struct sim_request *request, const struct sim_request *from)
{
    request->body = from->body;
    request->content_crc = from->content_crc;
    request->content_size = from->content_size;
    request->gzip = from->gzip;
    memcpy(request->stream, from->stream, sizeof request->stream);
    memcpy(request->id, from->id, sizeof request->id);
    request->original = from->original;
}

static void random_debts(struct sim_world *world, struct sim_request *request)
{
    uint32_t all = request->points == 0 ? 0 : UINT32_MAX >> (32 - request->points);
    for (uint32_t i = 0; i < (world->moving ? SIM_DESTINATIONS : world->options.count); i++) {
        uint32_t target = world->options.order[i];
        enum sim_place place = world->options.place[target];
        if (place == SIM_ABSENT || (place == SIM_REMOVED && sim_chance(world, 2))) {
            continue; /* one that was removed a moment ago may still be meant */
        }
        struct sim_debt *debt = &request->to[target];
        debt->wanted = sim_chance(world, 3) ? all & (uint32_t)weir_rand_u64(&world->rand) : all;
        debt->owed = !sim_chance(world, 5) && debt->wanted != 0;
    }
    if (sim_chance(world, 12)) {
        request->to[SIM_LETTER].owed = true;
        request->to[SIM_LETTER].wanted = 1;
    }
}

struct sim_request *sim_request_new(struct sim_world *world, int original)
{
    if (world->request_count == SIM_REQUESTS) {
        return NULL;
    }
    if (world->request_count == 0) {
        bodies_used = 0;
    }
    struct sim_request *request = &world->requests[world->request_count];
    memset(request, 0, sizeof *request);
    request->index = world->request_count++;
    request->original = request->index;
    request->state = SIM_NEVER;
    request->points = 1 + sim_below(world, 31);
    request->received_wall_ns = world->now.wall_ns - (int64_t)sim_below(world, 1000000);
    if (original >= 0) {
        copy_content(request, &world->requests[original]);
    } else {
        random_content(world, request);
    }
    /* The index is what finds a request again. */
    int pad = (int)sim_below(world, 100);
    snprintf(request->attributes, sizeof request->attributes, "%08x{%*s}", request->index, pad, "");
    snprintf(request->key, sizeof request->key, "key-%u", sim_below(world, 3));
    random_debts(world, request);
    return request;
}

static struct weir_bytes bytes_of(const char *text)
{
    return (struct weir_bytes){(const uint8_t *)text, strlen(text)};
}

struct weir_spool_job sim_job(const struct sim_request *request, struct weir_now now)
{
    return (struct weir_spool_job){
        .body = request->body,
        .margins = request->margins,
        .gzip = request->gzip,
        .request_id = bytes_of(request->id),
        .stream = bytes_of(request->stream),
        .key_name = bytes_of(request->key),
        .attributes = bytes_of(request->attributes),
        .content_crc = request->content_crc,
        .content_size = request->content_size,
        .points = request->points,
        .received_ns = now.mono_ns,
        .received_wall_ns = request->received_wall_ns,
    };
}

static const char *const names[SIM_DESTINATIONS] = {"alpha", "beta", "gamma"};

enum weir_status sim_open(struct sim_world *world, struct simdisk *disk,
                          struct weir_spool_report *ret_report, struct weir_spool **ret)
{
    struct weir_spool_destination destinations[SIM_DESTINATIONS];
    memset(world->options.place, 0, sizeof world->options.place);
    for (uint32_t i = 0; i < world->options.count; i++) {
        destinations[i] =
            (struct weir_spool_destination){.name = names[world->options.order[i]], .share = 0};
        world->options.place[world->options.order[i]] = SIM_OPEN;
        world->options.slot[world->options.order[i]] = i;
    }
    struct weir_spool_options options = {
        .durability = WEIR_DURABILITY_DISK,
        .disk = simdisk_disk(disk),
        .limit = world->options.limit,
        .segment_bytes = SIM_SEGMENT,
        .headroom = SIM_SEGMENT,
        .version = world->options.version,
        .destinations = destinations,
        .destination_count = world->options.count,
        .dedupe_window_ns = SIM_WINDOW,
        .dedupe_entries = 2 * SIM_REQUESTS,
        .seed = world->options.seed,
    };
    return weir_spool_open(&options, world->now, ret_report, ret);
}

uint32_t sim_slot(const struct sim_world *world, uint32_t target)
{
    if (target == SIM_LETTER) {
        return WEIR_SPOOL_LETTER;
    }
    SIM_CHECK(world, world->options.place[target] != SIM_ABSENT, "target %u has no slot", target);
    return world->options.slot[target];
}

uint32_t sim_position(const struct sim_world *world, uint32_t target)
{
    if (target == SIM_LETTER) {
        return WEIR_SPOOL_LETTER;
    }
    return world->options.place[target] == SIM_OPEN ? world->options.slot[target]
                                                    : WEIR_BACKLOG_GONE;
}

uint32_t sim_target(const struct sim_world *world, const struct weir_backlog_place *place)
{
    if (place->destination == WEIR_SPOOL_LETTER) {
        return SIM_LETTER;
    }
    for (uint32_t target = 0; target < SIM_DESTINATIONS; target++) {
        if (strcmp(place->name, names[target]) == 0) {
            SIM_CHECK(world, sim_position(world, target) == place->destination,
                      "a place for '%s' in %u, which is in %u", place->name, place->destination,
                      sim_position(world, target));
            return target;
        }
    }
    sim_fail(world, "a place for '%s', which nobody is", place->name);
}

/* -- destinations that come and go ---------------------------------------------------------- */

static void open_one(struct sim_world *world, uint32_t target)
{
    struct sim_options *options = &world->options;
    struct weir_spool_destination destination = {names[target], 0};
    uint32_t slot = UINT32_MAX;
    enum weir_status status = weir_spool_destination_open(world->spool, &destination, &slot);
    SIM_CHECK(world, status == WEIR_OK, "opening '%s': %s", names[target],
              weir_status_text(status));
    SIM_CHECK(world, options->place[target] == SIM_ABSENT || options->slot[target] == slot,
              "'%s' had slot %u and has %u", names[target], options->slot[target], slot);
    for (uint32_t other = 0; other < SIM_DESTINATIONS; other++) {
        SIM_CHECK(world,
                  other == target || options->place[other] == SIM_ABSENT ||
                      options->slot[other] != slot,
                  "'%s' and '%s' have slot %u", names[target], names[other], slot);
    }
    options->place[target] = SIM_OPEN;
    options->slot[target] = slot;
    sim_trace(world, "%s is open in slot %u", names[target], slot);
}

/* Others come and go at once, in all slots that are free, so that no target finds its old one. */
static void forget_slots(struct sim_world *world)
{
    static const char *const strangers[SIM_DESTINATIONS] = {"delta", "epsilon", "zeta"};
    uint32_t slots[SIM_DESTINATIONS];
    for (uint32_t i = 0; i < SIM_DESTINATIONS; i++) {
        struct weir_spool_destination destination = {strangers[i], 0};
        enum weir_status status =
            weir_spool_destination_open(world->spool, &destination, &slots[i]);
        SIM_CHECK(world, status == WEIR_OK, "opening '%s': %s", strangers[i],
                  weir_status_text(status));
    }
    for (uint32_t i = 0; i < SIM_DESTINATIONS; i++) {
        weir_spool_destination_remove(world->spool, slots[i]);
        enum weir_status status = weir_spool_destination_free(world->spool, slots[i]);
        SIM_CHECK(world, status == WEIR_OK, "freeing '%s': %s", strangers[i],
                  weir_status_text(status));
    }
}

/* Whether anything that we know of is not settled for the target. */
static bool is_owed(const struct sim_world *world, uint32_t target)
{
    bool owed = false;
    for (uint32_t i = 0; i < world->request_count; i++) {
        const struct sim_request *request = &world->requests[i];
        const struct sim_debt *debt = &request->to[target];
        owed = owed || (request->state == SIM_ACKED && debt->owed &&
                        (debt->settled != debt->wanted || debt->in_memory));
    }
    return owed;
}

static void free_one(struct sim_world *world, uint32_t target)
{
    bool owed = is_owed(world, target);
    enum weir_status status =
        weir_spool_destination_free(world->spool, world->options.slot[target]);
    sim_trace(world, "free %s: %s", names[target], weir_status_text(status));
    if (status == WEIR_OK) {
        SIM_CHECK(world, !owed || sim_is_faulty(world), "'%s' is free and is owed something",
                  names[target]);
        world->options.place[target] = SIM_ABSENT;
        if (sim_chance(world, 2)) {
            forget_slots(world);
        }
        return;
    }
    SIM_CHECK(world, status == WEIR_EAGAIN, "free said '%s'", weir_status_text(status));
    SIM_CHECK(world, owed || sim_is_faulty(world) || world->crashed,
              "'%s' is owed nothing and is not free", names[target]);
}

void sim_step_configure(struct sim_world *world)
{
    const char *doing = world->doing;
    uint32_t target = sim_below(world, SIM_DESTINATIONS);
    world->doing = "configure";
    switch (world->options.place[target]) {
    case SIM_ABSENT: open_one(world, target); break;
    case SIM_OPEN:
        weir_spool_destination_remove(world->spool, world->options.slot[target]);
        world->options.place[target] = SIM_REMOVED;
        sim_trace(world, "%s is removed", names[target]);
        break;
    case SIM_REMOVED:
        if (sim_chance(world, 4)) {
            open_one(world, target);
        } else {
            free_one(world, target);
        }
        break;
    }
    world->doing = doing;
}

void sim_free_everybody(struct sim_world *world)
{
    for (uint32_t target = 0; target < SIM_DESTINATIONS; target++) {
        if (world->options.place[target] != SIM_ABSENT) {
            weir_spool_destination_remove(world->spool, world->options.slot[target]);
            free_one(world, target);
        }
    }
}
