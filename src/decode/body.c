/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole request body, from the bytes of the wire to runs of points.
 *
 *   body ─► inflate | copy ─► text, mutable, in the arena
 *           envelope ─► record 0, record 1, ...   summed, base64 undone in place
 *           each record ─► collector ─► runs
 *           the sum = gzip's trailer?
 *
 *   I1  the caller's body is only read; everything that is written is the arena's
 *   I2  the result is set once the envelope was sound to its last byte; until then only the error
 *       and the request id are
 *   I3  of gzip's content nothing is told, neither result nor error, before its checksum was right:
 *       it is taken on the envelope's way through the text, and to the text's end where that way
 *       ends early. So damage on the wire is never said to be the sender's JSON
 *   I4  what a request may hold has bounds beside its size (bounds.h), so that none takes much
 *       longer than its bytes
 *
 * Damage and limits end the whole request (the sender can mend it by sending again); what is merely
 * no metric is in the tally. A full arena ends it too, as WEIR_EFULL: nothing is wrong with the
 * request. Any one thread; no clock, no log.
 *
 * For the dead letter the body is gone through once more (weir_body_quarantined): text is decoded
 * as above, and each piece that is quarantined there is shown where it lies in a second copy, of
 * which nothing but the base64 was undone. Both copies are alike to that point, so an offset is
 * enough.
 */
#include "weir/body.h"
#include "bounds.h"
#include "weir/arn.h"
#include "weir/buf.h"
#include "weir/crc32.h"
#include "weir/panic.h"
#include "weir/record.h"

#define ERROR_SIZE 160

static const char unsound_gzip[] = "the body is not sound gzip, though Content-Encoding says so";

/* The body in the arena, mutable. */
struct text {
    uint8_t *data;
    size_t size;
    bool is_sound; /* otherwise only if `crc` is its checksum */
    uint32_t crc;
};

static bool is_sound(struct text text)
{
    return text.is_sound || weir_crc32(weir_bytes_of(text.data, text.size)) == text.crc;
}

static enum weir_status refuse(struct weir_body_result *ret, enum weir_status status,
                               const char *error)
{
    ret->error = error;
    ret->error_offset = 0;
    ret->is_crowded = false;
    return status;
}

/* What a stream may be longer than its last member says without being inflated twice. */
enum { ROOM_FOR_A_MEMBER = 4096 };

/* Inflates with as much room as the stream suggests, and with twice as much while that is too
 * little: one byte more than the limit is offered at the end, so that a body of just the limit can
 * be told from a larger one. */
static enum weir_status inflate(struct weir_inflater *inflater, struct weir_arena *arena,
                                struct weir_bytes body, size_t limit, struct text *ret)
{
    size_t capacity = 0;
    WEIR_TRY(weir_gzip_size_hint(body, limit + 1, &capacity));
    size_t left = limit + 1 - capacity;
    capacity += left < ROOM_FOR_A_MEMBER ? left : ROOM_FOR_A_MEMBER;
    for (;;) {
        uint8_t *room = weir_arena_alloc(arena, capacity, 1);
        struct weir_gzip_unsummed got = {0};
        if (room == NULL) {
            return WEIR_EFULL;
        }
        enum weir_status status = weir_gzip_inflate_unsummed(inflater, body, room, capacity, &got);
        struct text text = {room, got.size, got.is_summed, got.crc};
        if (status == WEIR_OK && got.size <= limit) {
            weir_arena_trim(arena, room, capacity, got.size);
            *ret = text;
            return WEIR_OK;
        }
        if (status == WEIR_OK) {
            return is_sound(text) ? WEIR_ELIMIT : WEIR_EMALFORMED;
        }
        if (status == WEIR_EFULL && capacity > limit) {
            return WEIR_ELIMIT;
        }
        if (status != WEIR_EFULL) {
            return WEIR_EMALFORMED;
        }
        weir_arena_reset(arena);
        capacity = capacity > limit / 2 ? limit + 1 : capacity * 2;
    }
}

static enum weir_status copy(struct weir_arena *arena, struct weir_bytes body, size_t limit,
                             struct text *ret)
{
    if (body.size > limit) {
        return WEIR_ELIMIT;
    }
    uint8_t *room = weir_arena_alloc(arena, body.size == 0 ? 1 : body.size, 1);
    if (room == NULL) {
        return WEIR_EFULL;
    }
    if (body.size > 0) {
        memcpy(room, body.data, body.size);
    }
    *ret = (struct text){.data = room, .size = body.size, .is_sound = true};
    return WEIR_OK;
}

/* The text, which may still turn out not to be sound. */
static enum weir_status take_text(struct weir_inflater *inflater, struct weir_arena *arena,
                                  struct weir_bytes body, const struct weir_body_options *options,
                                  struct text *ret)
{
    WEIR_ASSERT(options->body_limit < SIZE_MAX);
    return options->gzip ? inflate(inflater, arena, body, options->body_limit, ret)
                         : copy(arena, body, options->body_limit, ret);
}

/* The text, for those who go through it more than once. */
static enum weir_status take_sound(struct weir_inflater *inflater, struct weir_arena *arena,
                                   struct weir_bytes body, const struct weir_body_options *options,
                                   struct text *ret)
{
    struct text text;
    WEIR_TRY(take_text(inflater, arena, body, options, &text));
    if (!is_sound(text)) {
        return WEIR_EMALFORMED;
    }
    *ret = text;
    return WEIR_OK;
}

/* The partition and account of a delivery stream's ARN; anything else is as good as no header. */
static struct weir_cwjson_context read_arn(struct weir_bytes text)
{
    struct weir_cwjson_context none = {WEIR_BYTES("aws"), {NULL, 0}};
    struct weir_arn arn;
    if (weir_arn_parse(text, &arn) != WEIR_OK || arn.account.size == 0 ||
        !weir_bytes_eq(arn.service, WEIR_BYTES("firehose")) ||
        !weir_bytes_starts_with(arn.resource, WEIR_BYTES("deliverystream/"))) {
        return none;
    }
    return (struct weir_cwjson_context){arn.partition, arn.account};
}

/* The envelope's error as a sentence that names the record, in the arena; without room for it, as
 * it is. */
static const char *error_sentence(struct weir_arena *arena, const struct weir_envelope *envelope)
{
    char *sentence = envelope->in_record ? weir_arena_alloc(arena, ERROR_SIZE, 1) : NULL;
    if (sentence == NULL) {
        return envelope->error;
    }
    struct weir_buf buf = weir_buf_fixed(sentence, ERROR_SIZE - 1);
    weir_buf_printf(&buf, "record %u: %s", envelope->record_count, envelope->error);
    if (buf.failed) {
        return envelope->error;
    }
    sentence[buf.size] = '\0';
    return sentence;
}

static enum weir_status decode_records(struct weir_collect *collect, struct weir_envelope *envelope,
                                       struct weir_cwjson_context context)
{
    struct weir_bytes record;
    enum weir_status status;
    while ((status = weir_envelope_next(envelope, &record)) == WEIR_OK) {
        weir_record_decode(collect, context, record, envelope->record_count - 1);
        if (collect->full) {
            return WEIR_EFULL;
        }
        if (weir_bounds_exceeded(collect) != NULL) {
            return WEIR_ELIMIT;
        }
    }
    return status;
}

/* What was wrong, with the envelope or with how much it holds. */
static void tell_error(const struct weir_collect *collect, const struct weir_envelope *envelope,
                       struct weir_body_result *ret)
{
    ret->is_crowded = envelope->error == NULL;
    if (ret->is_crowded) {
        ret->error = weir_bounds_exceeded(collect);
        ret->error_offset = (size_t)(envelope->json.position - envelope->json.start);
        return;
    }
    ret->error = error_sentence(collect->arena, envelope);
    ret->error_offset = envelope->error_offset;
}

/* Numbers the points over all runs. */
static void number_points(struct weir_runs *runs)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        runs->runs[i].first = first;
        first += runs->runs[i].count;
    }
}

static enum weir_status decode_text(struct weir_arena *arena, struct text text,
                                    const struct weir_body_options *options,
                                    struct weir_body_result *ret)
{
    struct weir_collect *collect = weir_collect_new(arena);
    struct weir_crc32_sum sum;
    struct weir_envelope envelope;
    weir_envelope_init(&envelope, text.data, text.size, options->limits);
    weir_envelope_sum(&envelope, &sum);
    enum weir_status status =
        collect == NULL ? WEIR_EFULL
                        : decode_records(collect, &envelope, read_arn(options->source_arn));
    weir_crc32_sum_to(&sum, text.data + text.size);
    if (!text.is_sound && sum.crc != text.crc) {
        return refuse(ret, WEIR_EMALFORMED, unsound_gzip);
    }
    ret->request_id = envelope.request_id;
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        tell_error(collect, &envelope, ret);
        return status;
    }
    if (status != WEIR_EEND) {
        return status;
    }
    struct weir_runs runs;
    WEIR_TRY(weir_collect_finish(collect, &runs));
    number_points(&runs);
    *ret = (struct weir_body_result){.runs = runs,
                                     .tally = collect->tally,
                                     .request_id = envelope.request_id,
                                     .timestamp_ms = envelope.timestamp_ms,
                                     .inflated_bytes = text.size,
                                     .content_crc = sum.crc};
    return WEIR_OK;
}

enum weir_status weir_body_decode(struct weir_inflater *inflater, struct weir_arena *arena,
                                  struct weir_bytes body, const struct weir_body_options *options,
                                  struct weir_body_result *ret)
{
    struct text text;
    enum weir_status status = take_text(inflater, arena, body, options, &text);
    if (status == WEIR_EMALFORMED) {
        return refuse(ret, status, unsound_gzip);
    }
    if (status == WEIR_ELIMIT) {
        return refuse(ret, status, "the body is larger than the limit");
    }
    if (status != WEIR_OK) {
        return status;
    }
    return decode_text(arena, text, options, ret);
}

/* Undoes the base64 of all records where they lie, and shows them; NULL: to nobody. */
static enum weir_status walk_records(struct text text, struct weir_envelope_limits limits,
                                     const struct weir_body_visitor *visitor)
{
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, text.data, text.size, limits);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
        if (visitor != NULL) {
            const struct weir_body_piece piece = {
                .index = envelope.record_count - 1, .record = record, .whole = record};
            visitor->visit(visitor->argument, &piece);
        }
    }
    return status == WEIR_EEND ? WEIR_OK : status;
}

enum weir_status weir_body_records(struct weir_inflater *inflater, struct weir_arena *arena,
                                   struct weir_bytes body, const struct weir_body_options *options,
                                   const struct weir_body_visitor *visitor)
{
    struct text text;
    struct text again;
    WEIR_TRY(take_sound(inflater, arena, body, options, &text));
    WEIR_TRY(copy(arena, weir_bytes_of(text.data, text.size), text.size, &again));
    WEIR_TRY(walk_records(again, options->limits, NULL));
    return walk_records(text, options->limits, visitor);
}

/* The two copies, and the record that is being decoded in the first. */
struct quarantine_walk {
    const struct weir_body_visitor *visitor;
    struct text text;
    struct text pristine;
    struct weir_bytes record;
};

static struct weir_bytes pristine_of(const struct quarantine_walk *walk, struct weir_bytes view)
{
    if (view.size == 0) {
        return weir_bytes_of(walk->pristine.data, 0);
    }
    WEIR_ASSERT(view.data >= walk->text.data);
    WEIR_ASSERT(view.data + view.size <= walk->text.data + walk->text.size);
    return weir_bytes_of(walk->pristine.data + (view.data - walk->text.data), view.size);
}

static void show_quarantined(void *argument, const struct weir_quarantined *quarantined)
{
    const struct quarantine_walk *walk = argument;
    const struct weir_body_piece piece = {.reason = quarantined->reason,
                                          .index = quarantined->record,
                                          .record = pristine_of(walk, walk->record),
                                          .whole = pristine_of(walk, quarantined->whole)};
    walk->visitor->visit(walk->visitor->argument, &piece);
}

static enum weir_status walk_quarantined(struct weir_arena *arena, struct quarantine_walk *walk,
                                         const struct weir_body_options *options)
{
    struct weir_collect *collect = weir_collect_new(arena);
    if (collect == NULL) {
        return WEIR_EFULL;
    }
    collect->tally->visitor = (struct weir_tally_visitor){show_quarantined, walk};
    struct weir_cwjson_context context = read_arn(options->source_arn);
    struct weir_envelope envelope;
    enum weir_status status;
    weir_envelope_init(&envelope, walk->text.data, walk->text.size, options->limits);
    while ((status = weir_envelope_next(&envelope, &walk->record)) == WEIR_OK) {
        weir_record_decode(collect, context, walk->record, envelope.record_count - 1);
        if (collect->full) {
            return WEIR_EFULL;
        }
    }
    return status == WEIR_EEND ? WEIR_OK : status;
}

enum weir_status weir_body_quarantined(struct weir_inflater *inflater, struct weir_arena *arena,
                                       struct weir_bytes body,
                                       const struct weir_body_options *options,
                                       const struct weir_body_visitor *visitor)
{
    struct quarantine_walk walk = {.visitor = visitor};
    WEIR_TRY(take_sound(inflater, arena, body, options, &walk.text));
    WEIR_TRY(
        copy(arena, weir_bytes_of(walk.text.data, walk.text.size), walk.text.size, &walk.pristine));
    WEIR_TRY(walk_records(walk.pristine, options->limits, NULL));
    return walk_quarantined(arena, &walk, options);
}
