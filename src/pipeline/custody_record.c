/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record from the spool on its second way: see custody.h and custody_backlog.c.
 *
 *   place ─► memory ─► weir_backlog_read
 *              ├─ for a destination ─► decode ─► without what is settled ─► reserve
 *              │                                           publish ◄─ expect ◄─┘
 *              ├─ quarantined ─► its pieces ──────────────┐
 *              └─ nobody's, over a share ─► its records ──┴► letters ─► all durable
 *
 * Edges, and how each ends:
 *   no memory, no room in the rings       settle KEPT     WEIR_CUSTODY_LATER
 *   the disk would not, or a letter        settle KEPT     WEIR_CUSTODY_FAILED
 *   damaged on disk                        settled by the spool
 *   nothing wanted any more                settle SETTLED
 *   letters durable                        settle SETTLED
 *   published                              settled by the exporters, point by point
 *   of a tenant that may not be any more   its records become letters; then as letters
 *   of a tenant that is not known yet      settle KEPT     WEIR_CUSTODY_LATER
 *   does not decode, though it once did    the whole body becomes a letter; then as letters
 *
 * Invariants
 *   I1  every place is settled once here, or published after expect; never both
 *   I2  points keep the numbers of the whole decode, so what is settled later means the same points
 *   I3  settled spans are believed only when they were noted for as many points as there are now
 *   I4  what is owed to a destination has passed its stream and attributes, and is not asked for
 *       them again: a replay's record has no attributes. Namespace, account and region are in the
 *       points, and are
 *
 * Memory: the record as it was sent and its arena are the backlog's credit, all of it free when a
 * record begins. One that is too large for all of it, as it was sent or decoded, takes the memory
 * of any large request instead. The backlog's thread alone; it waits for the letterbox.
 *
 * A letter that is lost between its sync and the release log comes again: twice in the dead letter,
 * never not at all.
 */
#include "custody_internal.h"

#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <stdio.h>

/* A record in hand. */
struct hand {
    struct weir_custody *custody;
    const struct weir_backlog_place *place;
    struct weir_region memory;
    struct weir_credit *payer; /* of `memory` */
    struct weir_frame_record record;
    struct weir_bytes body;
    const char *message; /* of whole-record letters, as the two that follow */
    const char *reason;
    const char *name; /* of the destination */
    struct weir_route_recalled recalled;
    bool points_said; /* by one of its letters */
};

static enum weir_custody_outcome settle(const struct hand *hand, enum weir_settlement settlement,
                                        enum weir_custody_outcome outcome)
{
    weir_spool_settle(hand->custody->options.spool, hand->place->ticket, hand->place->destination,
                      settlement);
    return outcome;
}

static struct weir_body_options body_options(const struct hand *hand)
{
    const struct weir_custody_options *options = &hand->custody->options;
    return (struct weir_body_options){.gzip = (hand->record.flags & WEIR_FRAME_GZIP) != 0,
                                      .body_limit = options->body_limit,
                                      .limits = options->limits,
                                      .source_arn = hand->record.stream};
}

/* -- to a destination ----------------------------------------------------------------------- */

static void add_run(struct weir_runs *runs, const struct weir_run *from, uint32_t begin,
                    uint32_t end)
{
    struct weir_run *to = &runs->runs[runs->count++];
    *to = *from;
    to->points = from->points + (begin - from->first);
    to->first = begin;
    to->count = end - begin;
    to->bytes = 0;
    for (uint32_t i = 0; i < to->count; i++) {
        to->bytes += weir_point_encoded_size(to->points[i].size);
    }
    runs->points += to->count;
    runs->bytes += to->bytes;
}

/* The parts of a run that are in no span. Runs and spans come in the order of their points, so
 * *at moves forward only. */
static void add_unsettled(struct weir_runs *runs, const struct weir_run *run,
                          const struct weir_backlog_place *place, uint32_t *at)
{
    uint32_t begin = run->first;
    uint32_t end = run->first + run->count;
    while (begin < end) {
        while (*at < place->settled_count && place->settled[*at].end <= begin) {
            (*at)++;
        }
        const struct weir_span *span =
            *at < place->settled_count ? &place->settled[*at] : &(struct weir_span){end, end};
        if (span->begin > begin) {
            uint32_t stop = span->begin < end ? span->begin : end;
            add_run(runs, run, begin, stop);
            begin = stop;
        } else {
            begin = span->end < end ? span->end : end;
        }
    }
}

/* Leaves the settled points out; runs with a gap become several. */
static enum weir_status drop_settled(struct weir_arena *arena,
                                     const struct weir_backlog_place *place, struct weir_runs *runs)
{
    if (place->settled_count == 0 || place->settled_total != runs->points || runs->count == 0) {
        return WEIR_OK;
    }
    size_t most = (size_t)runs->count + place->settled_count;
    struct weir_runs left = {
        .runs = weir_arena_alloc(arena, most * sizeof(*left.runs), _Alignof(struct weir_run))};
    if (left.runs == NULL) {
        return WEIR_EFULL;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        add_unsettled(&left, &runs->runs[i], place, &at);
    }
    *runs = left;
    return WEIR_OK;
}

static enum weir_status name_origin(const struct hand *hand, struct weir_arena *arena,
                                    struct weir_runs *runs)
{
    struct weir_origin *origin =
        weir_arena_alloc(arena, sizeof(*origin), _Alignof(struct weir_origin));
    if (origin == NULL) {
        return WEIR_EFULL;
    }
    int64_t age_ns = weir_clock_wall_ns() - hand->record.received_wall_ns;
    *origin = (struct weir_origin){.request_id = weir_arena_keep(arena, hand->record.request_id),
                                   .stream = weir_arena_keep(arena, hand->record.stream),
                                   .received_ns = weir_clock_mono_ns() - (age_ns > 0 ? age_ns : 0),
                                   .ticket = hand->place->ticket,
                                   .used_ns = hand->place->used_ns};
    for (uint32_t i = 0; i < runs->count; i++) {
        runs->runs[i].arena = arena;
        runs->runs[i].origin = origin;
    }
    return WEIR_OK;
}

/* Decodes into `arena`: *ret is what is left to be delivered, *ret_total the points of all. */
static enum weir_status decode(const struct hand *hand, struct weir_arena *arena,
                               struct weir_runs *ret, uint32_t *ret_total)
{
    const struct weir_body_options options = body_options(hand);
    struct weir_body_result result = {.error = ""};
    WEIR_TRY(weir_body_decode(hand->custody->inflater, arena, hand->body, &options, &result));
    *ret = result.runs;
    *ret_total = result.runs.points;
    WEIR_TRY(drop_settled(arena, hand->place, ret));
    return name_origin(hand, arena, ret);
}

/* Some of it was wanted when it came; the filters have changed since. */
static enum weir_custody_outcome settle_unwanted(const struct hand *hand, uint32_t points)
{
    struct weir_bytes label = weir_bytes_str(weir_route_unrouted_text(WEIR_UNROUTED_CHANGED));
    weir_metrics_add(weir_metrics_series(WEIR_M_POINTS_UNROUTED, &label), points);
    return settle(hand, WEIR_SETTLED, WEIR_CUSTODY_TAKEN);
}

static enum weir_custody_outcome publish_chosen(const struct hand *hand, struct weir_arena *arena,
                                                struct weir_runs *runs, uint32_t total,
                                                const struct weir_route_choice *choice)
{
    const struct weir_custody_options *options = &hand->custody->options;
    uint32_t destination = hand->place->destination;
    struct weir_reservation held;
    if (choice->targets == 0) { /* it has just left: what becomes of it is said elsewhere */
        return settle(hand, WEIR_KEPT, WEIR_CUSTODY_LATER);
    }
    weir_router_reserve(options->router, arena, runs, choice, &held);
    if (held.wanted == 0) {
        return settle_unwanted(hand, runs->points);
    }
    if (held.live == 0) {
        return settle(hand, WEIR_KEPT, WEIR_CUSTODY_LATER);
    }
    weir_backlog_expect(options->spool, hand->place->ticket, destination, held.points[destination],
                        total);
    weir_router_publish(options->router, runs, &held);
    return WEIR_CUSTODY_TAKEN;
}

static enum weir_custody_outcome publish(const struct hand *hand, struct weir_arena *arena,
                                         struct weir_runs *runs, uint32_t total)
{
    struct weir_router *router = hand->custody->options.router;
    struct weir_route_choice choice;
    weir_router_hold(router, UINT64_C(1) << hand->place->destination, &choice);
    enum weir_custody_outcome outcome = publish_chosen(hand, arena, runs, total, &choice);
    weir_router_release(router, &choice);
    return outcome;
}

static enum weir_custody_outcome letter_body(struct hand *hand);

/* Nothing is wrong with the body. */
static bool is_lack_of_memory(enum weir_status status)
{
    return status != WEIR_OK && status != WEIR_EMALFORMED && status != WEIR_ELIMIT;
}

static enum weir_custody_outcome decode_and_publish(struct hand *hand, struct weir_arena *arena,
                                                    bool *ret_full)
{
    struct weir_runs runs;
    uint32_t total = 0;
    enum weir_status status = decode(hand, arena, &runs, &total);
    *ret_full = is_lack_of_memory(status);
    if (status == WEIR_OK) {
        return publish(hand, arena, &runs, total);
    }
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        return letter_body(hand);
    }
    return WEIR_CUSTODY_LATER; /* not settled yet */
}

/* -- to the dead letter --------------------------------------------------------------------- */

static struct weir_quarantine_source source_of(const struct hand *hand)
{
    return (struct weir_quarantine_source){.inflater = hand->custody->inflater,
                                           .regions = hand->custody->options.regions,
                                           .body = hand->body,
                                           .options = body_options(hand),
                                           .request_id = hand->record.request_id,
                                           .arrival_wall_ns = hand->record.received_wall_ns};
}

static void put_letter(void *self, const struct weir_letter *letter)
{
    struct hand *hand = self;
    struct weir_letter mine = *letter;
    mine.destination = hand->name;
    mine.ending_wall_ns = weir_clock_wall_ns();
    mine.points = hand->points_said || hand->place->destination == WEIR_SPOOL_LETTER
                      ? 0
                      : hand->record.points;
    hand->points_said = true;
    weir_mail_put(&hand->custody->mail, &mine);
}

static void put_record(void *argument, const struct weir_body_piece *piece)
{
    struct hand *hand = argument;
    const struct weir_quarantine_source source = source_of(hand);
    struct weir_letter letter;
    if (piece->whole.size > 0) {
        weir_quarantine_letter(&source, hand->reason, hand->message, &letter);
        letter.payload = piece->whole;
        put_letter(hand, &letter);
    }
}

/* Waits for the letters that were put; then it is settled. */
static enum weir_custody_outcome settle_letters(const struct hand *hand)
{
    enum weir_status status = weir_mail_finish(&hand->custody->mail);
    if (status == WEIR_OK) {
        return settle(hand, WEIR_SETTLED, WEIR_CUSTODY_TAKEN);
    }
    weir_log(WEIR_LOG_WARN, "dead letter refused a record",
             WEIR_LOG_STR("why", weir_status_text(status)),
             WEIR_LOG_TEXTF("request_id", hand->record.request_id),
             WEIR_LOG_TEXTF("stream", hand->record.stream));
    return settle(hand, WEIR_KEPT, WEIR_CUSTODY_FAILED);
}

/* The whole body, as one letter: it was accepted once, and today's limits refuse it. */
static enum weir_custody_outcome letter_body(struct hand *hand)
{
    if (hand->custody->options.letterbox == NULL) {
        weir_log(WEIR_LOG_ERROR, "accepted record does not decode",
                 WEIR_LOG_TEXTF("request_id", hand->record.request_id),
                 WEIR_LOG_TEXTF("stream", hand->record.stream));
        return settle(hand, WEIR_KEPT, WEIR_CUSTODY_FAILED);
    }
    const struct weir_quarantine_source source = source_of(hand);
    struct weir_letter letter;
    weir_quarantine_letter(&source, "body_refused",
                           "accepted before, but over a limit of the configuration now", &letter);
    letter.kind = WEIR_LETTER_BODY;
    letter.payload = hand->body;
    letter.gzip = source.options.gzip;
    put_letter(hand, &letter);
    return settle_letters(hand);
}

static enum weir_custody_outcome letter_from(struct hand *hand, struct weir_arena *arena,
                                             bool *ret_full)
{
    const struct weir_quarantine_source source = source_of(hand);
    enum weir_status status;
    if (hand->place->destination == WEIR_SPOOL_LETTER) {
        status =
            weir_quarantine_pieces(&source, arena, (struct weir_quarantine_sink){put_letter, hand});
    } else {
        const struct weir_body_visitor visitor = {put_record, hand};
        status = weir_body_records(source.inflater, arena, source.body, &source.options, &visitor);
    }
    *ret_full = is_lack_of_memory(status);
    if (status == WEIR_OK) {
        return settle_letters(hand);
    }
    enum weir_status put =
        weir_mail_finish(&hand->custody->mail); /* of a part; not settled by it */
    (void)put;
    return *ret_full ? WEIR_CUSTODY_LATER : letter_body(hand);
}

/* -- tenants -------------------------------------------------------------------------------- */

/* What it was owed to is a template, or a slot whose tenant is not known: see weir_router_recall.
 * The denial's strings are the set's, and it may go with the choice: they are copied. */
static enum weir_status recall(struct hand *hand, struct weir_arena *arena, char *ret_name)
{
    struct weir_router *router = hand->custody->options.router;
    const struct weir_route_request request = {.attributes = hand->record.attributes,
                                               .key_name = hand->record.key_name};
    struct weir_route_choice choice;
    weir_router_hold(router, UINT64_C(1) << hand->place->destination, &choice);
    enum weir_status status = weir_router_recall(router, &choice, arena, &request, &hand->recalled);
    if (status == WEIR_OK && hand->recalled.what == WEIR_RECALL_DENIED) {
        (void)snprintf(ret_name, WEIR_TENANT_NAME_SIZE, "%s", hand->recalled.denial.template_name);
    }
    weir_router_release(router, &choice);
    return status;
}

static enum weir_custody_outcome letter_denied(struct hand *hand, struct weir_arena *arena,
                                               const char *template_name, bool *ret_full)
{
    if (hand->custody->options.letterbox == NULL) {
        *ret_full = false;
        return settle(hand, WEIR_KEPT, WEIR_CUSTODY_FAILED); /* its denial was counted and logged */
    }
    hand->name = template_name;
    hand->reason = hand->recalled.denial.reason;
    hand->message = hand->recalled.denial.mistake.words;
    enum weir_custody_outcome outcome = letter_from(hand, arena, ret_full);
    hand->name = hand->place->name;
    return outcome;
}

static enum weir_custody_outcome deliver_from(struct hand *hand, struct weir_arena *arena,
                                              bool *ret_full)
{
    char template_name[WEIR_TENANT_NAME_SIZE];
    hand->recalled.what = WEIR_RECALL_GO;
    if (hand->place->destination < WEIR_BACKLOG_GONE &&
        recall(hand, arena, template_name) != WEIR_OK) {
        *ret_full = true;
        return WEIR_CUSTODY_LATER;
    }
    switch (hand->recalled.what) {
    case WEIR_RECALL_GO: return decode_and_publish(hand, arena, ret_full);
    case WEIR_RECALL_DENIED: return letter_denied(hand, arena, template_name, ret_full);
    case WEIR_RECALL_WAIT: break;
    }
    *ret_full = false;
    return settle(hand, WEIR_KEPT, WEIR_CUSTODY_LATER);
}

/* -- the record ----------------------------------------------------------------------------- */

static enum weir_status take_memory(struct hand *hand)
{
    const struct weir_custody_options *options = &hand->custody->options;
    size_t capacity = weir_region_capacity((size_t)hand->place->size);
    hand->payer = capacity <= options->credit->limit ? options->credit : options->intake;
    if (hand->payer == NULL || !weir_credit_take(hand->payer, capacity)) {
        return WEIR_EFULL;
    }
    if (weir_region_take(options->regions, (size_t)hand->place->size, &hand->memory) != WEIR_OK) {
        weir_credit_give(hand->payer, capacity);
        return WEIR_EFULL;
    }
    WEIR_ASSERT(hand->memory.capacity == capacity);
    return WEIR_OK;
}

static void give_memory(struct hand *hand)
{
    size_t capacity = hand->memory.capacity;
    weir_region_give(hand->custody->options.regions, &hand->memory);
    weir_credit_give(hand->payer, capacity);
}

/* Decodes in an arena that `payer` pays for. *ret_full: that was too little, nothing is settled. */
static enum weir_custody_outcome go_with(struct hand *hand, struct weir_credit *payer,
                                         bool is_letter, bool *ret_full)
{
    struct weir_arena *arena;
    *ret_full = true;
    if (weir_arena_new(hand->custody->options.regions, weir_credit_budget(payer), 0, &arena) !=
        WEIR_OK) {
        return WEIR_CUSTODY_LATER;
    }
    enum weir_custody_outcome outcome =
        is_letter ? letter_from(hand, arena, ret_full) : deliver_from(hand, arena, ret_full);
    weir_arena_unref(arena, 0);
    return outcome;
}

static enum weir_custody_outcome take_read(struct hand *hand, bool is_letter)
{
    const struct weir_custody_options *options = &hand->custody->options;
    bool is_full = false;
    enum weir_custody_outcome outcome = go_with(hand, options->credit, is_letter, &is_full);
    if (is_full && options->intake != NULL) {
        outcome = go_with(hand, options->intake, is_letter, &is_full);
    }
    return is_full ? settle(hand, WEIR_KEPT, WEIR_CUSTODY_LATER) : outcome;
}

/* Without a letterbox: what is over a share goes on its way after all, what was quarantined has
 * been counted and logged, and what belongs to nobody stays. True when that was the end of it. */
static bool do_without_letterbox(const struct hand *hand, enum weir_custody_outcome *ret)
{
    struct weir_custody *custody = hand->custody;
    uint32_t destination = hand->place->destination;
    if (custody->options.letterbox != NULL || destination < WEIR_BACKLOG_GONE) {
        return false;
    }
    if (destination == WEIR_SPOOL_LETTER) {
        *ret = settle(hand, WEIR_SETTLED, WEIR_CUSTODY_TAKEN);
        return true;
    }
    if (!custody->pace.warned) {
        custody->pace.warned = true;
        weir_log(WEIR_LOG_WARN, "records of a removed destination stay in the spool",
                 WEIR_LOG_STR("destination", hand->place->name),
                 WEIR_LOG_STR("do", "configure dead_letter, or the destination again"));
    }
    *ret = settle(hand, WEIR_KEPT, WEIR_CUSTODY_FAILED);
    return true;
}

enum weir_custody_outcome weir_custody_take(struct weir_custody *custody,
                                            const struct weir_backlog_place *place)
{
    struct hand hand = {.custody = custody,
                        .place = place,
                        .message = "",
                        .reason = place->reason,
                        .name = place->name};
    enum weir_custody_outcome outcome;
    if (do_without_letterbox(&hand, &outcome)) {
        return outcome;
    }
    if (take_memory(&hand) != WEIR_OK) {
        return settle(&hand, WEIR_KEPT, WEIR_CUSTODY_LATER);
    }
    bool is_removed = place->destination >= WEIR_BACKLOG_GONE;
    bool is_letter =
        is_removed || (place->kind == WEIR_BACKLOG_LETTER && custody->options.letterbox != NULL);
    hand.message = is_removed ? "the destination is not configured any more"
                              : "more waited for this destination than its share of the spool";
    enum weir_status status = weir_backlog_read(custody->options.spool, place, hand.memory.data,
                                                &hand.record, &hand.body);
    if (status == WEIR_OK) {
        outcome = take_read(&hand, is_letter);
    } else if (status == WEIR_EMALFORMED) {
        outcome = WEIR_CUSTODY_TAKEN; /* counted, kept in quarantine/ and settled by the spool */
    } else {
        outcome = settle(&hand, WEIR_KEPT, WEIR_CUSTODY_FAILED);
    }
    give_memory(&hand);
    return outcome;
}
