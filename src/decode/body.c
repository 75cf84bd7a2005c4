/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole request body, from the bytes of the wire to runs of points.
 *
 *   body ─► inflate | copy ─► text, mutable, in the arena
 *           envelope ─► record 0, record 1, ...   base64 undone in place
 *           each record ─► collector ─► runs
 *
 *   I1  the caller's body is only read; everything that is written is the arena's
 *   I2  the result is set once the envelope was sound to its last byte; until then only the error
 *       and the request id are
 *
 * Damage and limits end the whole request (the sender can mend it by sending again); what is merely
 * no metric is in the tally. A full arena ends it too, as WEIR_EFULL: nothing is wrong with the
 * request. Any one thread; no clock, no log.
 */
#include "weir/body.h"
#include "weir/arn.h"
#include "weir/buf.h"
#include "weir/panic.h"
#include "weir/record.h"

#define ERROR_SIZE 160

/* The body in the arena, mutable. */
struct text {
    uint8_t *data;
    size_t size;
};

static enum weir_status refuse(struct weir_body_result *ret, enum weir_status status,
                               const char *error)
{
    ret->error = error;
    ret->error_offset = 0;
    return status;
}

/* Inflates with as much room as the stream suggests, and with twice as much while that is too
 * little: one byte more than the limit is offered at the end, so that a body of just the limit can
 * be told from a larger one. */
static enum weir_status inflate(struct weir_inflater *inflater, struct weir_arena *arena,
                                struct weir_bytes body, size_t limit, struct text *ret)
{
    size_t capacity = 0;
    WEIR_TRY(weir_gzip_size_hint(body, limit + 1, &capacity));
    for (;;) {
        uint8_t *room = weir_arena_alloc(arena, capacity, 1);
        size_t size = 0;
        if (room == NULL) {
            return WEIR_EFULL;
        }
        enum weir_status status = weir_gzip_inflate(inflater, body, room, capacity, &size);
        if (status == WEIR_OK && size <= limit) {
            weir_arena_trim(arena, room, capacity, size);
            *ret = (struct text){room, size};
            return WEIR_OK;
        }
        if (status == WEIR_OK || (status == WEIR_EFULL && capacity > limit)) {
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
    *ret = (struct text){room, body.size};
    return WEIR_OK;
}

static enum weir_status take_text(struct weir_inflater *inflater, struct weir_arena *arena,
                                  struct weir_bytes body, const struct weir_body_options *options,
                                  struct text *ret)
{
    WEIR_ASSERT(options->body_limit < SIZE_MAX);
    return options->gzip ? inflate(inflater, arena, body, options->body_limit, ret)
                         : copy(arena, body, options->body_limit, ret);
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
    }
    return status;
}

static enum weir_status decode_text(struct weir_arena *arena, struct text text,
                                    const struct weir_body_options *options,
                                    struct weir_body_result *ret)
{
    struct weir_collect *collect = weir_collect_new(arena);
    if (collect == NULL) {
        return WEIR_EFULL;
    }
    struct weir_envelope envelope;
    weir_envelope_init(&envelope, text.data, text.size, options->limits);
    enum weir_status status = decode_records(collect, &envelope, read_arn(options->source_arn));
    ret->request_id = envelope.request_id;
    if (status == WEIR_EMALFORMED || status == WEIR_ELIMIT) {
        ret->error = error_sentence(arena, &envelope);
        ret->error_offset = envelope.error_offset;
        return status;
    }
    if (status != WEIR_EEND) {
        return status;
    }
    struct weir_runs runs;
    WEIR_TRY(weir_collect_finish(collect, &runs));
    *ret = (struct weir_body_result){.runs = runs,
                                     .tally = collect->tally,
                                     .request_id = envelope.request_id,
                                     .timestamp_ms = envelope.timestamp_ms,
                                     .inflated_bytes = text.size};
    return WEIR_OK;
}

enum weir_status weir_body_decode(struct weir_inflater *inflater, struct weir_arena *arena,
                                  struct weir_bytes body, const struct weir_body_options *options,
                                  struct weir_body_result *ret)
{
    struct text text;
    enum weir_status status = take_text(inflater, arena, body, options, &text);
    if (status == WEIR_EMALFORMED) {
        return refuse(ret, status, "the body is not sound gzip, though Content-Encoding says so");
    }
    if (status == WEIR_ELIMIT) {
        return refuse(ret, status, "the body is larger than the limit");
    }
    return status == WEIR_OK ? decode_text(arena, text, options, ret) : status;
}
