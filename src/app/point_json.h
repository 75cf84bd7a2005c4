/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_POINT_JSON_H
#define WEIR_APP_POINT_JSON_H

#include "weir/buf.h"
#include "weir/point.h"

/* Appends a decoded data point as one line of JSON, line feed included: keys sorted, the
 * canonical form that the same point has whatever format it came in. Pure. */
void weir_point_json(const struct weir_point *point, struct weir_buf *out);

/* A double as the shortest text that reads back the same, with a point or an exponent; a string
 * where JSON has no number for it. */
void weir_point_json_double(double value, struct weir_buf *out);

#endif
