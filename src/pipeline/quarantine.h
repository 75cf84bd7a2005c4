/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_QUARANTINE_H
#define WEIR_PIPELINE_QUARANTINE_H

#include "weir/body.h"
#include "weir/letterbox.h"

/*
 * Letters to the dead letter about a request's body: what was quarantined in it, each record of it,
 * or all of it. The body is decoded once more for that: see weir_body_quarantined.
 */
struct weir_quarantine_source {
    struct weir_inflater *inflater;
    struct weir_regions *regions;
    struct weir_arena_budget budget; /* pays for the second decode */
    struct weir_bytes body;
    struct weir_body_options options; /* its source_arn is the stream */
    struct weir_bytes request_id;
    int64_t arrival_wall_ns;
};

/* Where letters go. `put` copies the letter; its payload stays until the function that was given
 * the sink returns, and as long after as the arena does. */
struct weir_quarantine_sink {
    void (*put)(void *self, const struct weir_letter *letter);
    void *self;
};

/* A letter about the source without a payload: texts are cut to what fits. */
void weir_quarantine_letter(const struct weir_quarantine_source *source, const char *reason,
                            const char *message, struct weir_letter *ret);

/* Puts letters of all that a decode quarantines, lines and messages of one reason that follow each
 * other together. All memory is the fresh arena's. WEIR_EFULL, WEIR_EMALFORMED, WEIR_ELIMIT. */
WEIR_MUST_USE enum weir_status weir_quarantine_pieces(const struct weir_quarantine_source *source,
                                                      struct weir_arena *arena,
                                                      struct weir_quarantine_sink sink);

/* The same, each on its way to the letterbox when this returns, with memory of its own: for a
 * thread that cannot wait. What does not get there is counted nowhere but in the log. */
void weir_quarantine_post(const struct weir_quarantine_source *source,
                          struct weir_letterbox *letterbox);

/* Whole records that a destination may not have. */
struct weir_quarantine_whole {
    struct weir_bytes destination;
    const char *reason, *message; /* literals, and words that are copied */
    uint32_t points;
};

/* Posts each record of the body as a letter, as weir_quarantine_post does what is quarantined. */
void weir_quarantine_post_whole(const struct weir_quarantine_source *source,
                                const struct weir_quarantine_whole *whole,
                                struct weir_letterbox *letterbox);

#endif
