/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A letter as lines of at most WEIR_LETTER_DATA_MAX decoded bytes.
 *
 *   OTLP     request ─fits? halves at a point, halves of halves─► requests, each with its length
 *            before it, as Firehose delimits them: every line is a record of its own
 *
 *            [ request of 1,800 points, 3 MB ]
 *            [ 0..900          ][ 900..1800   ]      popped from the left, so the order stays
 *            [ 0..450 ][..900  ][ 900..1800   ]
 *
 *   RECORD, BODY, and a request of one point that is too large, or that cannot be read at all:
 *            cut anywhere, part i of n; whoever reads puts the parts together
 *
 *   I1  the pieces hold the letter's points, or bytes, each once and in order
 *   I2  a letter has at least one line, an empty one too
 *   I3  at most WEIR_LETTER_PARTS_MAX parts: what would be more is over 4 GB and never got in
 *
 * Memory: while it is cut, an OTLP letter takes its own size about twice; one letter at a time. The
 * others take none. The letterbox's thread.
 */
#include "letterbox_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/split.h"

enum { VARINT_MAX = 10, STACK_MAX = 64 };

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

/* A further piece, zeroed; NULL without memory. */
static struct weir_letter_piece *add_piece(struct weir_letter_cut *cut)
{
    if (cut->count == cut->capacity) {
        uint32_t capacity = cut->capacity == 0 ? 4 : cut->capacity * 2;
        void *grown = weir_mem_resize(cut->pieces, capacity, sizeof *cut->pieces);
        if (grown == NULL) {
            return NULL;
        }
        cut->pieces = grown;
        cut->capacity = capacity;
    }
    cut->pieces[cut->count] = (struct weir_letter_piece){.parts = 1};
    return &cut->pieces[cut->count++];
}

/* Pieces of `data` in order; the first one owns `own`, which the views are into. */
static enum weir_status cut_anywhere(struct weir_letter_cut *cut, struct weir_bytes data,
                                     struct weir_buf *own)
{
    size_t parts = (data.size + WEIR_LETTER_DATA_MAX - 1) / WEIR_LETTER_DATA_MAX;
    parts = parts == 0 ? 1 : parts;
    WEIR_ASSERT(parts <= WEIR_LETTER_PARTS_MAX);
    for (uint32_t i = 0; i < parts; i++) {
        struct weir_letter_piece *piece = add_piece(cut);
        if (piece == NULL) {
            return WEIR_ENOMEM;
        }
        struct weir_bytes rest = weir_bytes_from(data, i * WEIR_LETTER_DATA_MAX);
        rest.size = rest.size > WEIR_LETTER_DATA_MAX ? WEIR_LETTER_DATA_MAX : rest.size;
        piece->data = rest;
        piece->part = i;
        piece->parts = (uint32_t)parts;
        if (i == 0 && own != NULL) {
            piece->own = *own;
            *own = (struct weir_buf){.data = NULL};
        }
    }
    return WEIR_OK;
}

/* A request as one record: its length, then itself. */
static enum weir_status add_delimited(struct weir_letter_cut *cut, struct weir_bytes request)
{
    uint8_t prefix[VARINT_MAX];
    size_t prefix_size = put_varint(prefix, request.size);
    struct weir_buf own = weir_buf_grow_init(prefix_size + request.size);
    weir_buf_put(&own, weir_bytes_of(prefix, prefix_size));
    weir_buf_put(&own, request);
    enum weir_status status =
        own.failed ? WEIR_ENOMEM : cut_anywhere(cut, weir_buf_view(&own), &own);
    weir_buf_done(&own);
    return status;
}

struct half {
    struct weir_buf own;
    struct weir_bytes request;
};

/* The halves of `request`. WEIR_EEND: it has none. */
static enum weir_status halve(struct weir_bytes request, struct half *first, struct half *second)
{
    size_t points = 0;
    if (weir_split_count(request, &points) != WEIR_OK || points < 2) {
        return WEIR_EEND;
    }
    first->own = weir_buf_grow_init(request.size + 64);
    second->own = weir_buf_grow_init(request.size + 64);
    enum weir_status status = weir_split_at(request, points / 2, &first->own, &second->own);
    if (status != WEIR_OK) {
        weir_buf_done(&first->own);
        weir_buf_done(&second->own);
        return status == WEIR_ENOMEM ? WEIR_ENOMEM : WEIR_EEND;
    }
    first->request = weir_buf_view(&first->own);
    second->request = weir_buf_view(&second->own);
    return WEIR_OK;
}

/* Takes the topmost request: as a line, or as two requests again. */
static enum weir_status cut_top(struct weir_letter_cut *cut, struct half *stack, uint32_t *depth)
{
    struct half top = stack[--*depth];
    struct half first;
    struct half second;
    bool fits = top.request.size + VARINT_MAX <= WEIR_LETTER_DATA_MAX || *depth + 2 > STACK_MAX;
    enum weir_status status = fits ? WEIR_EEND : halve(top.request, &first, &second);
    if (status == WEIR_EEND) {
        status = add_delimited(cut, top.request);
    } else if (status == WEIR_OK) {
        stack[(*depth)++] = second;
        stack[(*depth)++] = first;
    }
    weir_buf_done(&top.own);
    return status;
}

static enum weir_status cut_otlp(struct weir_letter_cut *cut)
{
    struct half stack[STACK_MAX];
    uint32_t depth = 1;
    enum weir_status status = WEIR_OK;
    stack[0] = (struct half){.request = cut->letter->payload};
    while (depth > 0 && status == WEIR_OK) {
        status = cut_top(cut, stack, &depth);
    }
    while (depth > 0) {
        weir_buf_done(&stack[--depth].own);
    }
    return status;
}

enum weir_status weir_letter_cut_init(struct weir_letter_cut *cut, const struct weir_letter *letter)
{
    *cut = (struct weir_letter_cut){.letter = letter};
    enum weir_status status =
        letter->kind == WEIR_LETTER_OTLP ? cut_otlp(cut) : cut_anywhere(cut, letter->payload, NULL);
    if (status != WEIR_OK) {
        weir_letter_cut_done(cut);
    }
    return status;
}

void weir_letter_cut_done(struct weir_letter_cut *cut)
{
    for (uint32_t i = 0; i < cut->count; i++) {
        weir_buf_done(&cut->pieces[i].own);
    }
    weir_mem_free(cut->pieces);
    *cut = (struct weir_letter_cut){.count = 0};
}

static struct weir_bytes bounded(const char *text, size_t size)
{
    return weir_bytes_of(text, strnlen(text, size));
}

struct weir_letter_line weir_letter_cut_line(const struct weir_letter_cut *cut, uint32_t index)
{
    const struct weir_letter *letter = cut->letter;
    WEIR_ASSERT(index < cut->count);
    const struct weir_letter_piece *piece = &cut->pieces[index];
    return (struct weir_letter_line){
        .data = piece->data,
        .destination = weir_bytes_str(letter->destination),
        .reason = weir_bytes_str(letter->reason),
        .message = bounded(letter->message, sizeof letter->message),
        .request_id = bounded(letter->request_id, sizeof letter->request_id),
        .stream = bounded(letter->stream, sizeof letter->stream),
        .attempts = letter->attempts,
        .arrival_wall_ns = letter->arrival_wall_ns,
        .ending_wall_ns = letter->ending_wall_ns,
        .part = piece->part,
        .parts = piece->parts,
        .whole_body = letter->kind == WEIR_LETTER_BODY,
        .gzip_body = letter->kind == WEIR_LETTER_BODY && letter->gzip,
    };
}
