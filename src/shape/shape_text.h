/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SHAPE_TEXT_H
#define WEIR_SHAPE_TEXT_H

#include "shape_state.h"

/* What a name may hold beside letters and digits. */
#define WEIR_SHAPE_TEXT_DYNATRACE  "_-."
#define WEIR_SHAPE_TEXT_SECTION    "_-" /* what stands between the dots of a metric key */
#define WEIR_SHAPE_TEXT_PROMETHEUS "_:"

/* `size` bytes for what this point alone needs: of the shape's scratch, or else of the arena. NULL:
 * that is full. */
uint8_t *weir_shape_text_room(struct weir_shape_walk *walk, size_t size);

/* The longest beginning of `text` of at most `size_max` bytes that ends between two characters. */
struct weir_bytes weir_shape_text_cut(struct weir_bytes text, size_t size_max);

/* Writes `text` at `at` with a _ for each character that is no letter, no digit and none of
 * `others`; never more bytes than it has. The end. */
uint8_t *weir_shape_text_mend(uint8_t *at, struct weir_bytes text, const char *others);

/* ASCII letters to lower case. */
void weir_shape_text_lower(uint8_t *at, const uint8_t *end);

/* Fills the shape's table of what each byte of a key becomes. */
void weir_shape_text_table(struct weir_shape *shape);

/* A key as Dynatrace has them; `key` itself where nothing is to be done. False: the arena is
 * full. */
bool weir_shape_text_key(struct weir_shape_walk *walk, struct weir_bytes key,
                         struct weir_bytes *ret);

/* The decimal percent of a quantile (its bits), up to ten places, without a terminator: "99.9".
 * Returns the size. */
#define WEIR_SHAPE_TEXT_PERCENT 40
size_t weir_shape_text_percent(uint64_t quantile, char ret[WEIR_SHAPE_TEXT_PERCENT]);

#endif
