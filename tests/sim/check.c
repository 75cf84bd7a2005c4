/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a recovered spool must hold, seen from outside.
 *
 *   request          what a start may bring back for a destination it is owed to
 *   acknowledged     must, unless everything it wants is settled; must not, when that is noted
 *   sent, unanswered may: the power went between the disk and the answer
 *   repeated, never  must not
 *
 *   I1  what comes back is byte for byte what was sent, once for each destination
 *   I2  its settled points are between what was noted and what was settled; so is the window's use
 *   I3  a number (lsn) belongs to one request, ever
 *   I4  a repetition of an acknowledged request is known as one
 *   I5  nothing acknowledged is reported as lost, and nothing is open or locked after a close
 */
#include "sim.h"
#include <string.h>

#define REPEATS 3U

static struct sim_request *find(struct sim_world *world, struct weir_bytes attributes)
{
    uint32_t index = 0;
    SIM_CHECK(world, attributes.size >= 10, "attributes of %zu bytes came back", attributes.size);
    for (size_t i = 0; i < 8; i++) {
        uint8_t digit = attributes.data[i];
        index = index << 4 | (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    SIM_CHECK(world, index < world->request_count, "request %u came back, which never was", index);
    return &world->requests[index];
}

static bool same(struct weir_bytes a, const char *text)
{
    return a.size == strlen(text) && (a.size == 0 || memcmp(a.data, text, a.size) == 0);
}

static void compare(struct sim_world *world, const struct sim_request *request,
                    const struct weir_frame_record *record, struct weir_bytes body)
{
    SIM_CHECK(world,
              body.size == request->body.size &&
                  (body.size == 0 || memcmp(body.data, request->body.data, body.size) == 0),
              "request %u came back with another body (%zu bytes, not %zu)", request->index,
              body.size, request->body.size);
    SIM_CHECK(world, same(record->attributes, request->attributes), "request %u: attributes",
              request->index);
    SIM_CHECK(world, same(record->request_id, request->id), "request %u: id", request->index);
    SIM_CHECK(world, same(record->stream, request->stream), "request %u: stream", request->index);
    SIM_CHECK(world, record->key_name.size == 0 || same(record->key_name, request->key),
              "request %u: key name", request->index);
    SIM_CHECK(world, record->points == request->points, "request %u: points", request->index);
    SIM_CHECK(world, record->content_crc == request->content_crc, "request %u: crc",
              request->index);
    SIM_CHECK(world, record->content_size == request->content_size, "request %u: content size",
              request->index);
    SIM_CHECK(world, record->received_wall_ns == request->received_wall_ns, "request %u: time",
              request->index);
    SIM_CHECK(world, ((record->flags & WEIR_FRAME_GZIP) != 0) == request->gzip, "request %u: gzip",
              request->index);
}

struct sim_request *sim_read(struct sim_world *world, struct weir_spool *spool,
                             const struct weir_backlog_place *place)
{
    struct weir_frame_record record;
    struct weir_bytes body;
    SIM_CHECK(world, place->size <= SIM_MEMORY, "a place of %llu bytes",
              (unsigned long long)place->size);
    SIM_CHECK(world, place->size % WEIR_DISK_BLOCK == 0, "a place that is not whole blocks");
    enum weir_status status = weir_backlog_read(spool, place, world->read_memory, &record, &body);
    world->given_up = false;
    if (status == WEIR_EIO && !world->checking && sim_is_faulty(world)) {
        return NULL;
    }
    world->given_up = status == WEIR_EMALFORMED && sim_is_faulty(world);
    if (world->given_up) { /* a read that fails again and again */
        return NULL;
    }
    SIM_CHECK(world, status == WEIR_OK, "lsn %llx of segment %llu at %llu does not read: %s",
              (unsigned long long)place->lsn, (unsigned long long)place->segment,
              (unsigned long long)place->offset, weir_status_text(status));
    SIM_CHECK(world, record.lsn == place->lsn, "lsn %llx where %llx should be",
              (unsigned long long)record.lsn, (unsigned long long)place->lsn);
    struct sim_request *request = find(world, record.attributes);
    compare(world, request, &record, body);
    return request;
}

uint32_t sim_settled(struct sim_world *world, const struct sim_request *request, uint32_t target,
                     const struct weir_backlog_place *place)
{
    const struct sim_debt *debt = &request->to[target];
    uint32_t settled = 0;
    for (uint32_t i = 0; i < place->settled_count; i++) {
        struct weir_span span = place->settled[i];
        SIM_CHECK(world, span.begin < span.end && span.end <= request->points,
                  "request %u: points [%u, %u) settled of %u", request->index, span.begin, span.end,
                  request->points);
        for (uint32_t k = span.begin; k < span.end; k++) {
            settled |= UINT32_C(1) << k;
        }
    }
    SIM_CHECK(world, (settled & ~debt->settled) == 0,
              "request %u, target %u: points %x settled, of which only %x were", request->index,
              target, settled, debt->settled);
    SIM_CHECK(world, (debt->noted & ~settled) == 0,
              "request %u, target %u: points %x were noted, %x are known", request->index, target,
              debt->noted, settled);
    SIM_CHECK(world, place->used_ns >= debt->used_noted && place->used_ns <= debt->used,
              "request %u, target %u: %lld ns of the window used, not %lld to %lld", request->index,
              target, (long long)place->used_ns, (long long)debt->used_noted,
              (long long)debt->used);
    SIM_CHECK(world, (place->used_ns != 0) <= (place->first_wall_ns != 0),
              "request %u, target %u: attempted, but nobody knows when", request->index, target);
    return settled;
}

struct seen {
    struct weir_ticket *tickets[SIM_REQUESTS * SIM_TARGETS];
    uint32_t destinations[SIM_REQUESTS * SIM_TARGETS];
    uint32_t count;
    bool came[SIM_REQUESTS][SIM_TARGETS];
    uint32_t settled[SIM_REQUESTS][SIM_TARGETS];
    int64_t used[SIM_REQUESTS][SIM_TARGETS];
    uint64_t lsn[SIM_REQUESTS], segment[SIM_REQUESTS], offset[SIM_REQUESTS];
};

/* Each record is read once, whomever it is for. */
static struct sim_request *read_once(struct sim_world *world, struct weir_spool *spool,
                                     const struct seen *seen,
                                     const struct weir_backlog_place *place)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        if (seen->lsn[i] == place->lsn && seen->segment[i] == place->segment &&
            seen->offset[i] == place->offset) {
            return &world->requests[i];
        }
    }
    return sim_read(world, spool, place);
}

static void check_place(struct sim_world *world, struct weir_spool *spool, struct seen *seen,
                        const struct weir_backlog_place *place)
{
    struct sim_request *request = read_once(world, spool, seen, place);
    uint32_t target = sim_target(world, place);
    SIM_CHECK(world, request != NULL, "a read failed without a fault");
    SIM_CHECK(world, request->state == SIM_SENT || request->state == SIM_ACKED,
              "request %u came back, which was not accepted", request->index);
    SIM_CHECK(world, request->to[target].owed, "request %u came back for target %u, not owed",
              request->index, target);
    SIM_CHECK(world, !seen->came[request->index][target], "request %u came twice for target %u",
              request->index, target);
    SIM_CHECK(world, request->lsn == 0 || request->lsn == place->lsn,
              "request %u had lsn %llx and has %llx", request->index,
              (unsigned long long)request->lsn, (unsigned long long)place->lsn);
    SIM_CHECK(world, seen->lsn[request->index] == 0 || seen->lsn[request->index] == place->lsn,
              "request %u has two numbers", request->index);
    bool letter = target == SIM_LETTER || sim_position(world, target) == WEIR_BACKLOG_GONE;
    SIM_CHECK(world, (place->kind == WEIR_BACKLOG_LETTER) == letter || target == SIM_LETTER,
              "request %u, target %u: the wrong kind", request->index, target);
    if (target != SIM_LETTER) {
        seen->settled[request->index][target] = sim_settled(world, request, target, place);
        seen->used[request->index][target] = place->used_ns;
    }
    seen->came[request->index][target] = true;
    seen->lsn[request->index] = place->lsn;
    seen->segment[request->index] = place->segment;
    seen->offset[request->index] = place->offset;
    SIM_CHECK(world, place->ticket != NULL, "a place without a ticket");
    seen->tickets[seen->count] = place->ticket;
    seen->destinations[seen->count++] = place->destination;
}

static void read_all(struct sim_world *world, struct weir_spool *spool, struct seen *seen)
{
    uint32_t asked[SIM_DESTINATIONS + 2];
    uint32_t count = 0;
    while (count < world->options.count) {
        asked[count] = count;
        count++;
    }
    asked[count++] = WEIR_SPOOL_LETTER;
    asked[count++] = WEIR_BACKLOG_GONE;
    for (uint32_t i = 0; i < count; i++) {
        struct weir_backlog_place place;
        enum weir_status status;
        while ((status = weir_backlog_next(spool, asked[i], &place)) == WEIR_OK) {
            SIM_CHECK(world, seen->count < SIM_REQUESTS * SIM_TARGETS, "the backlog has no end");
            check_place(world, spool, seen, &place);
        }
        SIM_CHECK(world, status == WEIR_EEND, "the backlog ends with '%s'",
                  weir_status_text(status));
    }
}

static void check_debts(struct sim_world *world, const struct seen *seen)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        const struct sim_request *request = &world->requests[i];
        for (uint32_t target = 0; target < SIM_TARGETS; target++) {
            const struct sim_debt *debt = &request->to[target];
            bool came = seen->came[i][target];
            if (!debt->owed) {
                continue;
            }
            SIM_CHECK(world, request->state != SIM_ACKED || debt->settled == debt->wanted || came,
                      "request %u (lsn %llx) was acknowledged and did not come back for target %u: "
                      "%x of %x are settled, %x noted%s",
                      i, (unsigned long long)request->lsn, target, debt->settled, debt->wanted,
                      debt->noted, debt->in_memory ? ", in memory" : "");
            SIM_CHECK(world, debt->noted != debt->wanted || !came,
                      "request %u came back for target %u, which was noted to have all of it", i,
                      target);
        }
        for (uint32_t k = 0; k < i && seen->lsn[i] != 0; k++) {
            SIM_CHECK(world, seen->lsn[k] != seen->lsn[i] && world->requests[k].lsn != seen->lsn[i],
                      "requests %u and %u have one number", i, k);
        }
    }
}

static void done(struct weir_spool_job *job)
{
    job->next_waiting = job; /* a mark: called */
}

/* Some requests once more: each that was acknowledged is known. */
static void check_repeats(struct sim_world *world, struct weir_spool *spool)
{
    struct weir_spool_job jobs[REPEATS];
    for (uint32_t i = 0; i < REPEATS && world->request_count > 0; i++) {
        const struct sim_request *request =
            &world->requests[sim_below(world, world->request_count)];
        if (request->state != SIM_ACKED || request->id[0] == '\0' ||
            world->now.wall_ns - request->received_wall_ns > SIM_WINDOW - 60 * SIM_SECOND) {
            continue;
        }
        jobs[i] = sim_job(request, world->now);
        jobs[i].done = done;
        weir_spool_commit(spool, &jobs[i], world->now);
        SIM_CHECK(world, jobs[i].next_waiting == &jobs[i], "a job was not answered");
        SIM_CHECK(world, jobs[i].status == WEIR_EEXIST,
                  "request %u was acknowledged, and its repetition is answered '%s'",
                  request->index, weir_status_text(jobs[i].status));
    }
}

/* What came back is on disk for good, has a number, and what is known of it is all that is. */
static void learn(struct sim_world *world, const struct seen *seen)
{
    for (uint32_t i = 0; i < world->request_count; i++) {
        struct sim_request *request = &world->requests[i];
        request->lsn = seen->lsn[i] != 0 ? seen->lsn[i] : request->lsn;
        if (request->state == SIM_SENT) {
            request->state = seen->lsn[i] != 0 ? SIM_ACKED : SIM_SENT;
        }
        for (uint32_t target = 0; target < SIM_TARGETS && request->state == SIM_ACKED; target++) {
            struct sim_debt *debt = &request->to[target];
            if (!debt->owed) {
                continue;
            }
            bool came = seen->came[i][target];
            debt->settled = came ? seen->settled[i][target] : debt->wanted;
            debt->noted = debt->settled;
            debt->used = came ? seen->used[i][target] : debt->used;
            debt->used_noted = came ? debt->used : debt->used_noted;
        }
    }
}

void sim_check(struct sim_world *world, struct weir_spool *spool,
               const struct weir_spool_report *report, bool keep)
{
    static struct seen seen;
    memset(&seen, 0, sizeof seen);
    SIM_CHECK(world, report->lost_records == 0, "%llu records reported as lost",
              (unsigned long long)report->lost_records);
    SIM_CHECK(world, report->segments_set_aside == 0, "a segment was set aside");
    read_all(world, spool, &seen);
    check_debts(world, &seen);
    if (keep) {
        learn(world, &seen);
        world->exact = true;
    }
    check_repeats(world, spool);
    for (uint32_t i = 0; i < seen.count; i++) {
        weir_spool_settle(spool, seen.tickets[i], seen.destinations[i], WEIR_KEPT);
    }
}
