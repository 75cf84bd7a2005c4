/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Structured log lines to standard error: one event, one line, as JSON or as text for people.
 *
 *   {"time":"2026-11-21T10:00:00.123Z","level":"warn","event":"request refused","reason":"…",…}
 *   2026-11-21T10:00:00.123Z warn  request refused  reason=… request_id=…
 *
 * Every external string is cut (256 bytes) and escaped, so a line cannot be forged. Each event name
 * has its own allowance (a burst of 10, then one a second); what it loses is counted and told by
 * the next line as `suppressed`; a line over 4 KiB loses its last fields and says so as
 * `truncated`. No secret is ever a field: keys and tokens are named, never shown. Pure rooms do not
 * log. Any thread; a line is one write(2).
 */
enum weir_log_level { WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARN, WEIR_LOG_ERROR };
enum weir_log_format { WEIR_LOG_JSON, WEIR_LOG_TEXT };

struct weir_log_field {
    const char *name; /* snake_case literal */
    enum { WEIR_LOG_FIELD_TEXT, WEIR_LOG_FIELD_INT, WEIR_LOG_FIELD_HEX } kind;
    struct weir_bytes text;
    int64_t number;
};

#define WEIR_LOG_TEXTF(name_, bytes_)                                                              \
    ((struct weir_log_field){(name_), WEIR_LOG_FIELD_TEXT, (bytes_), 0})
#define WEIR_LOG_STR(name_, string_)                                                               \
    ((struct weir_log_field){(name_), WEIR_LOG_FIELD_TEXT, weir_bytes_str(string_), 0})
#define WEIR_LOG_INT(name_, number_)                                                               \
    ((struct weir_log_field){(name_), WEIR_LOG_FIELD_INT, {NULL, 0}, (int64_t)(number_)})

/* 16 hex digits, as text: numbers of segments and records, as files and `weir spool` name them. */
#define WEIR_LOG_HEX(name_, number_)                                                               \
    ((struct weir_log_field){(name_), WEIR_LOG_FIELD_HEX, {NULL, 0}, (int64_t)(number_)})

/* Sets level and format for the whole process; before any thread is started, or
 * later atomically. */
void weir_log_configure(enum weir_log_level level, enum weir_log_format format);

/* Writes the event if its level and its allowance permit. `event` is a literal. `fields` is copied
 * out before the call returns. */
void weir_log_fields(enum weir_log_level level, const char *event,
                     const struct weir_log_field *fields, size_t count);

#define weir_log(level, event, ...)                                                                \
    weir_log_fields((level), (event), (const struct weir_log_field[]){__VA_ARGS__},                \
                    sizeof((const struct weir_log_field[]){__VA_ARGS__}) /                         \
                        sizeof(struct weir_log_field))

/* Lines suppressed since the process began. */
uint64_t weir_log_suppressed(void);

#endif
