/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CWJSON_LINE_H
#define WEIR_CWJSON_LINE_H

#include "weir/cwpoint.h"
#include "weir/tally.h"

struct weir_scope;

/* One line of CloudWatch JSON, read; a part of the module weir/cwjson.h. */
#define WEIR_CWJSON_VALUES_MAX (WEIR_CWPOINT_QUANTILES_MAX - 2)

struct weir_cwjson_value {
    struct weir_bytes key; /* the statistic: "p99", "TM(25%:75%)" */
    double value;
};

struct weir_cwjson_line {
    struct weir_bytes stream;
    struct weir_bytes account;
    struct weir_bytes region;
    struct weir_bytes unit; /* CloudWatch's; "None" where the line has none */
    /* Of the quick reader only: what stands in the line from the stream's name to the region. Where
     * that is equal, the three are. And it says by this that more than WEIR_CWPOINT_SLACK bytes of
     * the line stand behind each string of the point. */
    struct weir_bytes stream_text;
    uint32_t extra_count;
    struct weir_cwpoint point; /* all of a Summary, quantiles included */
    struct weir_cwjson_value extra[WEIR_CWJSON_VALUES_MAX]; /* what has no place in a Summary */
};

#define WEIR_CWJSON_STREAM_MAX  256 /* what is longer is read in each line */
#define WEIR_CWJSON_TIME_DIGITS 13  /* milliseconds from 2001 to 2255 */

/* What lines have in common with the ones before them, for the quick reader. All zero before the
 * first one. */
struct weir_cwjson_last {
    const struct weir_scope *scope; /* the caller's; NULL whenever the stream is another */
    size_t stream_size;             /* 0: none */
    uint8_t stream_text[WEIR_CWJSON_STREAM_MAX]; /* a line's beginning, as far as the namespace */
    struct weir_bytes stream;                    /* in stream_text */
    struct weir_bytes account;
    struct weir_bytes region;
    uint8_t time[WEIR_CWJSON_TIME_DIGITS];
    uint64_t start_ns;
    uint64_t time_ns; /* 0: none */
};

/* Reads one line, rewriting its escaped strings in place. False, with the reason:
 * it is no metric. */
bool weir_cwjson_line_read(uint8_t *text, size_t size, struct weir_cwjson_line *ret,
                           enum weir_quarantine *ret_reason);

/* The same for a line that looks as AWS writes it, at the beginning of [text, end). What comes
 * after it and its line feed; NULL for every other line, good or not: nothing is written to it, and
 * the plain reader must say. */
const uint8_t *weir_cwjson_line_quick(const uint8_t *text, const uint8_t *end,
                                      struct weir_cwjson_last *last, struct weir_cwjson_line *ret);

/* What the two readers share. A line without anything. */
void weir_cwjson_line_init(struct weir_cwjson_line *line);

/* The start of its minute. False: later than a time can be. */
bool weir_cwjson_line_set_time(struct weir_cwjson_line *line, uint64_t ms);

/* A statistic that is none of count, sum, min and max. False: there is no room for it, or it is
 * there already. */
bool weir_cwjson_line_add(struct weir_cwjson_line *line, struct weir_bytes statistic, double value);

/* What ends a line. False: `count` is no count. */
bool weir_cwjson_line_end(struct weir_cwjson_line *line, double count, double min, double max);

/* The quantile of a percentile's name: "p99.9" is 0.999. False for everything that is not strictly
 * between 0 and 1. */
bool weir_cwjson_quantile(struct weir_bytes statistic, double *ret);

/* The OTLP unit of a statistic of a metric that is in CloudWatch's `unit`: a trimmed count counts,
 * a percentile rank is a percentage, and everything else is in the metric's own. */
struct weir_bytes weir_cwjson_statistic_unit(struct weir_bytes statistic, struct weir_bytes unit);

#endif
