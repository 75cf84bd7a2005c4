/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a body to letters about it.
 *
 *   pieces of a record      {bad line\n{bad line\n good line\n [len]bad message [len]bad message
 *   letters                 └─────── one ──────┘              └────────── another ───────────┘
 *
 * A payload is what a Firehose record could be: lines with their line feeds between them, messages
 * with their lengths before them. So `weir decode` and a replay read a letter as they read a
 * record.
 *
 *   I1  a letter's payload is a view of one record, pristine
 *   I2  at most WEIR_LETTER_DATA_MAX bytes are joined; a larger piece is a letter of its own, which
 *       the letterbox cuts
 *
 * With durability: disk the backlog's thread does this when it reads the record back; otherwise the
 * loop's thread does, before the body is gone (weir_quarantine_post). There letters and body copies
 * share an arena, which the last letter gives back on the letterbox's thread; a budget that says no
 * ends it early: the log says so. Letters are only put when all are made, for an arena that others
 * hold may not be allocated from.
 */
#include "quarantine.h"

#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"

static const char *const messages[WEIR_QUARANTINE_REASONS] = {
    [WEIR_QUARANTINE_NOT_A_METRIC] = "JSON without the keys of a metric",
    [WEIR_QUARANTINE_GZIP] = "gzip inside a record, as CloudWatch Logs send it",
    [WEIR_QUARANTINE_JSON_LINE] = "a line that is not JSON",
    [WEIR_QUARANTINE_JSON_VALUE] = "a metric with a missing, mistyped or impossible value",
    [WEIR_QUARANTINE_OTLP_FRAME] = "a delimited message whose length does not fit",
    [WEIR_QUARANTINE_OTLP_MESSAGE] = "a message that is not well-formed OTLP metrics",
    [WEIR_QUARANTINE_OTLP_TYPE] = "an OTLP 0.7 data type that CloudWatch never sends",
    [WEIR_QUARANTINE_OTLP_NO_POINTS] = "well-formed, but without a data point",
    [WEIR_QUARANTINE_UNKNOWN] = "none of the formats of CloudWatch metric streams",
};

static void copy_text(char *to, size_t capacity, struct weir_bytes text)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;
    if (size > 0) {
        memcpy(to, text.data, size);
    }
    to[size] = '\0';
}

void weir_quarantine_letter(const struct weir_quarantine_source *source, const char *reason,
                            const char *message, struct weir_letter *ret)
{
    *ret = (struct weir_letter){.kind = WEIR_LETTER_RECORD,
                                .destination = "",
                                .reason = reason,
                                .arrival_wall_ns = source->arrival_wall_ns,
                                .ending_wall_ns = source->arrival_wall_ns};
    copy_text(ret->message, sizeof(ret->message), weir_bytes_str(message));
    copy_text(ret->request_id, sizeof(ret->request_id), source->request_id);
    copy_text(ret->stream, sizeof(ret->stream), source->options.source_arn);
}

/* Pieces that will be one letter. */
struct joiner {
    const struct weir_quarantine_source *source;
    struct weir_quarantine_sink sink;
    enum weir_quarantine reason;
    uint32_t index;
    struct weir_bytes whole; /* empty: none yet */
};

static void put_joined(struct joiner *joiner)
{
    if (joiner->whole.size > 0) {
        struct weir_letter letter;
        weir_quarantine_letter(joiner->source, weir_quarantine_text(joiner->reason),
                               messages[joiner->reason], &letter);
        letter.payload = joiner->whole;
        joiner->sink.put(joiner->sink.self, &letter);
        joiner->whole.size = 0;
    }
}

/* Bytes of the varint that ends right before `end`, is not before `begin`, and says `value`; 0 when
 * there is none. */
static size_t length_before(const uint8_t *begin, const uint8_t *end, uint64_t value)
{
    for (size_t size = 1; size <= 10 && size <= (size_t)(end - begin); size++) {
        uint64_t said = 0;
        for (size_t i = 0; i < size && i < 9; i++) {
            said |= (uint64_t)(end[(ptrdiff_t)i - (ptrdiff_t)size] & 0x7f) << (7 * i);
        }
        if (said == value && (end[-1] & 0x80) == 0) {
            return size;
        }
    }
    return 0;
}

/* The piece as it would stand in a record. */
static struct weir_bytes with_length(const struct weir_body_piece *piece)
{
    struct weir_bytes whole = piece->whole;
    bool is_message = piece->reason == WEIR_QUARANTINE_OTLP_MESSAGE ||
                      piece->reason == WEIR_QUARANTINE_OTLP_TYPE ||
                      piece->reason == WEIR_QUARANTINE_OTLP_NO_POINTS;
    if (is_message && whole.size > 0) {
        size_t size = length_before(piece->record.data, whole.data, whole.size);
        whole = weir_bytes_of(whole.data - size, whole.size + size);
    }
    return whole;
}

/* Whether `whole` goes on where the joined pieces end, with nothing but a line feed between. */
static bool follows(const struct joiner *joiner, const struct weir_body_piece *piece,
                    struct weir_bytes whole)
{
    if (joiner->whole.size == 0 || joiner->reason != piece->reason ||
        joiner->index != piece->index) {
        return false;
    }
    const uint8_t *end = joiner->whole.data + joiner->whole.size;
    size_t joined = (size_t)(whole.data - joiner->whole.data) + whole.size;
    return joined <= WEIR_LETTER_DATA_MAX &&
           (whole.data == end || (whole.data == end + 1 && *end == '\n'));
}

static void on_piece(void *argument, const struct weir_body_piece *piece)
{
    struct joiner *joiner = argument;
    struct weir_bytes whole = with_length(piece);
    if (follows(joiner, piece, whole)) {
        joiner->whole.size = (size_t)(whole.data - joiner->whole.data) + whole.size;
        return;
    }
    put_joined(joiner);
    joiner->reason = piece->reason;
    joiner->index = piece->index;
    joiner->whole = whole;
}

enum weir_status weir_quarantine_pieces(const struct weir_quarantine_source *source,
                                        struct weir_arena *arena, struct weir_quarantine_sink sink)
{
    struct joiner joiner = {.source = source, .sink = sink};
    const struct weir_body_visitor visitor = {on_piece, &joiner};
    enum weir_status status =
        weir_body_quarantined(source->inflater, arena, source->body, &source->options, &visitor);
    put_joined(&joiner);
    return status;
}

/* Letters that were made and not put yet, in their arena. */
struct outbox {
    struct weir_arena *arena;
    struct weir_letter *first;
    struct weir_letter **last;
    bool full;
};

static void make_letter(void *self, const struct weir_letter *letter)
{
    struct outbox *outbox = self;
    struct weir_letter *made =
        outbox->full ? NULL
                     : weir_arena_alloc(outbox->arena, sizeof(*made), _Alignof(struct weir_letter));
    if (made == NULL) {
        outbox->full = true;
        return;
    }
    *made = *letter;
    made->next = NULL;
    *outbox->last = made;
    outbox->last = &made->next;
}

static void log_lost(const char *why, const char *request_id)
{
    weir_log(WEIR_LOG_ERROR, "quarantined data was not kept", WEIR_LOG_STR("why", why),
             WEIR_LOG_STR("request_id", request_id));
}

static void on_letter_done(struct weir_letter *letter, enum weir_status status)
{
    if (status != WEIR_OK) {
        log_lost(weir_status_text(status), letter->request_id);
    }
    weir_arena_unref(letter->user, 0); /* the letter may be gone with it */
}

/* An arena for letters; false, and logged: there is no memory. */
static bool open_outbox(const struct weir_quarantine_source *source, const char *request_id,
                        struct outbox *ret)
{
    *ret = (struct outbox){.arena = NULL};
    ret->last = &ret->first;
    if (weir_arena_new(source->regions, source->budget, 0, &ret->arena) != WEIR_OK) {
        log_lost("no memory", request_id);
        return false;
    }
    return true;
}

/* Sends what was made on its way. */
static void post_all(struct outbox *outbox, enum weir_status status, const char *request_id,
                     struct weir_letterbox *letterbox)
{
    if (status != WEIR_OK || outbox->full) {
        log_lost(status == WEIR_OK ? "no memory" : weir_status_text(status), request_id);
    }
    struct weir_letter *next;
    for (struct weir_letter *letter = outbox->first; letter != NULL; letter = next) {
        next = letter->next;
        letter->done = on_letter_done;
        letter->user = outbox->arena;
        weir_arena_ref(outbox->arena, 0);
        weir_letterbox_put(letterbox, letter);
    }
    weir_arena_unref(outbox->arena, 0);
}

void weir_quarantine_post(const struct weir_quarantine_source *source,
                          struct weir_letterbox *letterbox)
{
    struct outbox outbox;
    char request_id[128];
    copy_text(request_id, sizeof(request_id), source->request_id);
    if (open_outbox(source, request_id, &outbox)) {
        enum weir_status status = weir_quarantine_pieces(
            source, outbox.arena, (struct weir_quarantine_sink){make_letter, &outbox});
        post_all(&outbox, status, request_id, letterbox);
    }
}

/* Letters of whole records, being made. */
struct wholes {
    const struct weir_quarantine_source *source;
    const struct weir_quarantine_whole *whole;
    const char *destination; /* in the outbox's arena */
    struct outbox *outbox;
};

static void on_record(void *argument, const struct weir_body_piece *piece)
{
    const struct wholes *wholes = argument;
    struct weir_letter letter;
    if (piece->whole.size > 0) {
        weir_quarantine_letter(wholes->source, wholes->whole->reason, wholes->whole->message,
                               &letter);
        letter.destination = wholes->destination;
        letter.points = wholes->outbox->first == NULL ? wholes->whole->points : 0;
        letter.payload = piece->whole;
        make_letter(wholes->outbox, &letter);
    }
}

void weir_quarantine_post_whole(const struct weir_quarantine_source *source,
                                const struct weir_quarantine_whole *whole,
                                struct weir_letterbox *letterbox)
{
    struct outbox outbox;
    char request_id[128];
    copy_text(request_id, sizeof(request_id), source->request_id);
    if (!open_outbox(source, request_id, &outbox)) {
        return;
    }
    enum weir_status status = WEIR_EFULL;
    char *name = weir_arena_alloc(outbox.arena, whole->destination.size + 1, 1);
    if (name != NULL) {
        copy_text(name, whole->destination.size + 1, whole->destination);
        struct wholes wholes = {source, whole, name, &outbox};
        const struct weir_body_visitor visitor = {on_record, &wholes};
        status = weir_body_records(source->inflater, outbox.arena, source->body, &source->options,
                                   &visitor);
    }
    post_all(&outbox, status, request_id, letterbox);
}
