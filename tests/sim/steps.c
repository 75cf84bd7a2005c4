/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a life: what submitters, exporters, the keeper and the backlog's thread do, in any
 * order, one at a time. The power may go inside of each (world->crashed): what happens after that
 * is not known to anybody, so only tickets are remembered then, to be given back.
 */
#include "sim.h"
#include <string.h>

#define JOBS  5U
#define PARTS 4U

static void done(struct weir_spool_job *job)
{
    job->next_waiting = job; /* a mark: called */
}

static bool is_recent(const struct sim_world *world, const struct sim_request *request)
{
    return world->now.wall_ns - request->received_wall_ns < SIM_WINDOW - 60 * SIM_SECOND;
}

static bool is_old(const struct sim_world *world, const struct sim_request *request)
{
    return world->now.wall_ns - request->received_wall_ns > SIM_WINDOW + 60 * SIM_SECOND;
}

/* Whether requests before `request` of the same id and content are there: surely, or maybe. */
static void look_for_twins(const struct sim_world *world, const struct sim_request *request,
                           bool *ret_surely, bool *ret_maybe)
{
    *ret_surely = false;
    *ret_maybe = false;
    for (uint32_t i = 0; i < request->index && request->id[0] != '\0'; i++) {
        const struct sim_request *other = &world->requests[i];
        if (other->original != request->original || is_old(world, other)) {
            continue;
        }
        *ret_surely = *ret_surely || (other->state == SIM_ACKED && is_recent(world, other));
        *ret_maybe = *ret_maybe || other->state == SIM_ACKED || other->state == SIM_SENT;
    }
}

static struct sim_request *invent(struct sim_world *world)
{
    struct sim_request *request;
    if (world->request_count > 0 && sim_chance(world, 4)) {
        return sim_request_new(world, (int)sim_below(world, world->request_count));
    }
    request = sim_request_new(world, -1);
    if (request != NULL && request->index > 0 && sim_chance(world, 8)) { /* the id of another */
        const struct sim_request *other = &world->requests[sim_below(world, request->index)];
        memcpy(request->id, other->id, sizeof request->id);
        memcpy(request->stream, other->stream, sizeof request->stream);
    }
    return request;
}

static void put_owed(struct sim_world *world, const struct sim_request *request,
                     struct weir_spool_job *job, uint32_t *live_points)
{
    memset(live_points, 0, 64 * sizeof *live_points);
    for (uint32_t target = 0; target < SIM_TARGETS; target++) {
        if (!request->to[target].owed) {
            continue;
        }
        uint64_t bit = UINT64_C(1) << sim_slot(world, target);
        job->owed |= bit;
        if (sim_chance(world, 4)) {
            continue; /* disk only */
        }
        job->live |= bit;
        if (target != SIM_LETTER) {
            live_points[sim_slot(world, target)] =
                (uint32_t)__builtin_popcount(request->to[target].wanted);
        }
    }
    job->live_points = live_points;
}

static void take_live(struct sim_world *world, struct sim_request *request,
                      const struct weir_spool_job *job)
{
    SIM_CHECK(world, (job->ticket != NULL) == (job->live != 0),
              "request %u: ticket and live differ", request->index);
    for (uint32_t target = 0; target < SIM_TARGETS; target++) {
        struct sim_debt *debt = &request->to[target];
        if (!debt->owed || (job->live >> sim_slot(world, target) & 1U) == 0) {
            continue;
        }
        debt->in_memory = true;
        debt->live = debt->wanted;
        debt->ticket = job->ticket;
    }
}

static void take_answer(struct sim_world *world, struct sim_request *request,
                        const struct weir_spool_job *job)
{
    bool surely;
    bool maybe;
    look_for_twins(world, request, &surely, &maybe);
    sim_trace(world, "request %u (%zu bytes, id '%s', owed %llx, live %llx): %s, lsn %llx",
              request->index, request->body.size, request->id, (unsigned long long)job->owed,
              (unsigned long long)job->live, weir_status_text(job->status),
              (unsigned long long)job->plan.lsn);
    SIM_CHECK(world, job->next_waiting == job, "request %u was not answered", request->index);
    if (job->status == WEIR_OK) {
        /* without memory for a table of the list's ids, two of one list are both taken */
        SIM_CHECK(world, !surely || world->faulty, "request %u is a repetition, and was accepted",
                  request->index);
        take_live(world, request, job);
        request->state = world->crashed ? SIM_SENT : SIM_ACKED;
    } else if (job->status == WEIR_EEXIST) {
        SIM_CHECK(world, maybe, "request %u was never seen before", request->index);
        SIM_CHECK(world, job->ticket == NULL, "a repetition with a ticket");
        request->state = SIM_REPEAT;
    } else {
        SIM_CHECK(world,
                  sim_is_faulty(world) && (job->status == WEIR_EFULL || job->status == WEIR_EIO),
                  "request %u was let in, and answered '%s'", request->index,
                  weir_status_text(job->status));
    }
}

void sim_step_submit(struct sim_world *world)
{
    struct weir_spool_job jobs[JOBS];
    uint32_t live_points[JOBS][64];
    struct sim_request *requests[JOBS];
    uint32_t count = 0;
    uint32_t wanted = 1 + sim_below(world, JOBS);
    uint64_t bytes = 0;
    world->doing = "submit";
    while (count < wanted) {
        struct sim_request *request = invent(world);
        if (request == NULL) {
            break;
        }
        uint64_t size = request->body.size + 4096;
        if ((bytes > 0 && bytes + size > SIM_SEGMENT) || !weir_spool_admits(world->spool, size)) {
            break; /* it stays in the list, as one that never was */
        }
        bytes += size;
        request->state = SIM_SENT;
        requests[count] = request;
        jobs[count] = sim_job(request, world->now);
        jobs[count].done = done;
        put_owed(world, request, &jobs[count], live_points[count]);
        count++;
    }
    for (uint32_t i = 0; i + 1 < count; i++) {
        jobs[i].next = &jobs[i + 1];
    }
    if (count == 0) {
        return;
    }
    weir_spool_commit(world->spool, jobs, world->now);
    for (uint32_t i = 0; i < count; i++) {
        take_answer(world, requests[i], &jobs[i]);
    }
}

static void book(struct sim_debt *debt, uint32_t points, enum weir_settlement settlement)
{
    debt->live &= ~points;
    debt->settled |= settlement == WEIR_SETTLED ? points : 0;
    if (debt->live == 0) {
        debt->in_memory = false;
        debt->ticket = NULL;
    }
}

/* One run of a debt's live points. */
static uint32_t some_points(struct sim_world *world, const struct sim_debt *debt,
                            struct weir_part *ret)
{
    uint32_t begin = (uint32_t)__builtin_ctz(debt->live);
    uint32_t left = debt->live >> begin;
    uint32_t run = left == UINT32_MAX ? 32 : (uint32_t)__builtin_ctz(~left);
    uint32_t size = sim_chance(world, 2) ? run : 1 + sim_below(world, run);
    *ret = (struct weir_part){debt->ticket, begin, begin + size};
    return (UINT32_MAX >> (32 - size)) << begin;
}

static void settle_whole(struct sim_world *world, struct sim_debt *debt, uint32_t target)
{
    enum weir_settlement settlement = sim_chance(world, 4) ? WEIR_KEPT : WEIR_SETTLED;
    weir_spool_settle(world->spool, debt->ticket, sim_slot(world, target), settlement);
    sim_trace(world, "the rest, %x, for target %u: %s", debt->live, target,
              settlement == WEIR_KEPT ? "kept" : "settled");
    book(debt, debt->live, settlement);
    if (settlement == WEIR_SETTLED) { /* what was kept of it before, too: it is the whole record */
        debt->settled = debt->wanted;
    }
}

void sim_step_deliver(struct sim_world *world)
{
    struct weir_part parts[PARTS];
    struct sim_debt *debts[PARTS];
    uint32_t points[PARTS];
    uint32_t target = sim_below(world, SIM_TARGETS);
    struct weir_settler settler = weir_spool_settler(world->spool);
    struct weir_manifest manifest = {.refs = 1, .parts = parts, .capacity = PARTS};
    world->doing = "deliver";
    uint32_t first = world->draining ? 0 : sim_below(world, world->request_count + 1);
    for (uint32_t i = first; i < world->request_count && manifest.count < PARTS; i++) {
        struct sim_debt *debt = &world->requests[i].to[target];
        if (!debt->in_memory || sim_chance(world, 5)) {
            continue;
        }
        if (target == SIM_LETTER || sim_chance(world, 12)) {
            settle_whole(world, debt, target);
            continue;
        }
        debts[manifest.count] = debt;
        points[manifest.count] = some_points(world, debt, &parts[manifest.count]);
        manifest.count++;
    }
    if (manifest.count == 0) {
        return;
    }
    manifest.destination = sim_slot(world, target);
    if (sim_chance(world, 3)) {
        int64_t used = world->now.mono_ns;
        for (uint32_t i = 0; i < manifest.count; i++) {
            debts[i]->used = used; /* before: it is written to the log at once, and may be there */
            sim_trace(world, "attempted points %x for target %u, used %lld", points[i], target,
                      (long long)used);
        }
        settler.attempted(settler.self, &manifest, used);
        return;
    }
    enum weir_settlement settlement = sim_chance(world, 4) ? WEIR_KEPT : WEIR_SETTLED;
    settler.settle(settler.self, &manifest, settlement);
    for (uint32_t i = 0; i < manifest.count; i++) {
        sim_trace(world, "points %x of %x for target %u: %s", points[i], debts[i]->live, target,
                  settlement == WEIR_KEPT ? "kept" : "settled");
        book(debts[i], points[i], settlement);
    }
}

void sim_step_keep(struct sim_world *world)
{
    uint32_t times = 1 + sim_below(world, 4);
    world->doing = "keep";
    for (uint32_t k = 0; k < times && !world->crashed; k++) {
        int64_t wake;
        enum weir_status status = weir_spool_keep(world->spool, world->now, &wake);
        sim_trace(world, "%s", weir_status_text(status));
        if (world->crashed) {
            return;
        }
        SIM_CHECK(world, status == WEIR_OK || (status == WEIR_EIO && sim_is_faulty(world)),
                  "the keeper said '%s'", weir_status_text(status));
        world->failed = status != WEIR_OK;
        if (world->failed) {
            return;
        }
        for (uint32_t i = 0; i < world->request_count && !sim_is_faulty(world); i++) {
            for (uint32_t target = 0; target < SIM_TARGETS; target++) {
                struct sim_debt *debt = &world->requests[i].to[target];
                debt->noted = debt->settled;
                debt->used_noted = debt->used;
            }
        }
    }
}

static void read_back(struct sim_world *world, const struct weir_backlog_place *place,
                      uint32_t target)
{
    struct sim_request *request = sim_read(world, world->spool, place);
    if (request == NULL && world->given_up) {
        return;
    }
    if (world->moving && sim_chance(world, 6)) { /* the place stays what it is */
        sim_step_configure(world);
    }
    if (request == NULL || sim_chance(world, 6)) {
        weir_spool_settle(world->spool, place->ticket, place->destination, WEIR_KEPT);
        return;
    }
    struct sim_debt *debt = &request->to[target];
    SIM_CHECK(world, debt->owed, "request %u came for target %u, not owed", request->index, target);
    SIM_CHECK(world, !debt->in_memory, "request %u came for target %u, which has it in memory",
              request->index, target);
    SIM_CHECK(world, request->lsn == 0 || request->lsn == place->lsn, "request %u: another number",
              request->index);
    request->lsn = place->lsn;
    sim_trace(world, "request %u for target %u comes back, lsn %llx", request->index, target,
              (unsigned long long)place->lsn);
    if (place->kind == WEIR_BACKLOG_LETTER || target == SIM_LETTER) {
        weir_spool_settle(world->spool, place->ticket, place->destination, WEIR_SETTLED);
        debt->settled = debt->wanted;
        return;
    }
    uint32_t settled = sim_settled(world, request, target, place);
    SIM_CHECK(world, !world->exact || settled == debt->settled,
              "request %u: points %x are settled, not %x", request->index, settled, debt->settled);
    debt->live = debt->wanted & ~settled;
    debt->in_memory = true;
    debt->ticket = place->ticket;
    weir_backlog_expect(world->spool, place->ticket, place->destination,
                        (uint32_t)__builtin_popcount(debt->live), request->points);
}

/* The backlog said that none waits: none may. */
static void check_nothing_waits(struct sim_world *world, uint32_t target)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        const struct sim_request *request = &world->requests[i];
        const struct sim_debt *debt = &request->to[target];
        SIM_CHECK(world,
                  request->state != SIM_ACKED || !debt->owed || debt->in_memory ||
                      debt->settled == debt->wanted,
                  "request %u waits for target %u, and the backlog says none does", i, target);
    }
}

void sim_step_backlog(struct sim_world *world)
{
    world->doing = "backlog";
    uint32_t target = sim_below(world, SIM_TARGETS);
    uint32_t times = 1 + sim_below(world, 4);
    for (uint32_t i = 0; i < times && !world->crashed; i++) {
        struct weir_backlog_place place;
        uint32_t position = sim_position(world, target);
        enum weir_status status = weir_backlog_next(world->spool, position, &place);
        if (status == WEIR_EEND && !sim_is_faulty(world)) {
            check_nothing_waits(world, target);
            return;
        }
        if (status != WEIR_OK && sim_is_faulty(world)) {
            return;
        }
        SIM_CHECK(world, status == WEIR_OK, "the backlog said '%s'", weir_status_text(status));
        read_back(world, &place, sim_target(world, &place));
    }
}

void sim_let_go(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        for (uint32_t target = 0; target < SIM_TARGETS; target++) {
            struct sim_debt *debt = &world->requests[i].to[target];
            if (debt->in_memory) {
                weir_spool_settle(world->spool, debt->ticket, sim_slot(world, target), WEIR_KEPT);
                book(debt, debt->live, WEIR_KEPT);
            }
        }
    }
}
