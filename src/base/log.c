/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured log lines: see weir/log.h for how they look.
 *
 * A line is built in LINE_SIZE bytes on the stack and goes out in one write(2). LINE_SIZE is
 * PIPE_BUF, so lines of several threads (or processes) into one pipe never mix. Fields that no
 * longer fit are left out, and the line says "truncated".
 *
 * Allowance: one bucket an event name, found by its hash in an open-addressed table that only ever
 * gains names:
 *
 *   buckets [ hash | full_at | lost ]     full_at is when the bucket will be full again (a leaky
 *           [ hash | full_at | lost ]     bucket told by one number): a line moves it one interval
 *           [  0   |    0    |  0   ]     on, and is allowed while that keeps it within BURST
 *                                         intervals of now
 *
 *   I1  a bucket's hash changes once, from 0 to a name's
 *   I2  at most BURST + t / INTERVAL lines of a name pass in any time t
 *   I3  lost lines are told exactly once, by the next line of that name, and counted in
 *       `suppressed` for ever
 *
 * Names beyond the table's size share its last bucket. Any thread; lock-free; all atomics are
 * relaxed, since a bucket guards nothing but itself. A line that write(2) refuses is gone: there is
 * nowhere to tell it. So is one that a pipe has no room for: a reader of the log that has stopped
 * must not stop a thread that serves; it is counted as suppressed. Deliberately no file, no
 * rotation, no syslog: standard error is the service manager's business.
 */
#include "weir/log.h"
#include "weir/buf.h"
#include "weir/clock.h"
#include "weir/hash.h"
#include "weir/panic.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_SIZE = 4096,
    TAIL_SIZE = 64,
    TEXT_MAX = 256,
    BUCKETS = 256,
    BURST = 10,
    SHARED = BUCKETS - 1
};
#define INTERVAL_NS WEIR_NS_PER_S

struct bucket {
    _Atomic uint64_t hash;
    _Atomic int64_t full_at;
    _Atomic uint64_t lost;
};

static struct bucket buckets[BUCKETS];
static _Atomic int level_min = WEIR_LOG_INFO;
static _Atomic int line_format = WEIR_LOG_JSON;
static _Atomic uint64_t suppressed;

void weir_log_configure(enum weir_log_level level, enum weir_log_format format)
{
    /* relaxed: a line more or less in the old shape does no harm */
    atomic_store_explicit(&level_min, (int)level, memory_order_relaxed);
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

static struct bucket *find_bucket(const char *event)
{
    uint64_t hash = weir_hash(weir_bytes_str(event)) | 1; /* 0 means a free bucket */
    for (size_t i = 0; i < SHARED; i++) {
        struct bucket *bucket = &buckets[(hash / 2 + i) % SHARED];
        uint64_t found = atomic_load_explicit(&bucket->hash, memory_order_relaxed);
        if (found == 0 &&
            atomic_compare_exchange_strong_explicit(&bucket->hash, &found, hash,
                                                    memory_order_relaxed, memory_order_relaxed)) {
            return bucket;
        }
        if (found == hash) {
            return bucket;
        }
    }
    return &buckets[SHARED];
}

static bool take_allowance(struct bucket *bucket, int64_t now)
{
    int64_t full_at = atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
    int64_t next;
    do {
        next = (full_at > now ? full_at : now) + INTERVAL_NS;
        if (next > now + BURST * INTERVAL_NS) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&bucket->full_at, &full_at, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void put_time(struct weir_buf *line)
{
    int64_t now = weir_clock_wall_ns();
    time_t seconds = (time_t)(now / WEIR_NS_PER_S);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) {
        weir_buf_put(line, WEIR_BYTES("?"));
        return;
    }
    weir_buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                    utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                    (int)(now % WEIR_NS_PER_S / WEIR_NS_PER_MS));
}

static const char *level_name(enum weir_log_level level)
{
    switch (level) {
    case WEIR_LOG_DEBUG: return "debug";
    case WEIR_LOG_INFO: return "info";
    case WEIR_LOG_WARN: return "warn";
    case WEIR_LOG_ERROR: return "error";
    }
    return "?";
}

static void put_head(struct weir_buf *line, enum weir_log_level level, const char *event,
                     enum weir_log_format format)
{
    if (format == WEIR_LOG_TEXT) {
        put_time(line);
        weir_buf_printf(line, " %-5s %s ", level_name(level), event);
        return;
    }
    weir_buf_put(line, WEIR_BYTES("{\"time\":\""));
    put_time(line);
    weir_buf_printf(line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_name(level), event);
}

/* Whether a value can stand in a text line without quotes and still be read back as one word. */
static bool is_word(struct weir_bytes text)
{
    if (text.size == 0 || text.size > TEXT_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=') {
            return false;
        }
    }
    return true;
}

static void put_field(struct weir_buf *line, const struct weir_log_field *field,
                      enum weir_log_format format)
{
    bool is_text = format == WEIR_LOG_TEXT;
    weir_buf_printf(line, is_text ? " %s=" : ",\"%s\":", field->name);
    if (field->kind == WEIR_LOG_FIELD_INT) {
        weir_buf_printf(line, "%" PRId64, field->number);
    } else if (field->kind == WEIR_LOG_FIELD_HEX) {
        weir_buf_printf(line, format == WEIR_LOG_JSON ? "\"%016" PRIx64 "\"" : "%016" PRIx64,
                        (uint64_t)field->number);
    } else if (is_text && is_word(field->text)) {
        weir_buf_put(line, field->text);
    } else {
        weir_buf_put_json_string(line, field->text, TEXT_MAX);
    }
}

/* Appends what fits of the fields, leaving TAIL_SIZE bytes; false when one did not fit. */
static bool put_fields(struct weir_buf *line, const struct weir_log_field *fields, size_t count,
                       enum weir_log_format format)
{
    for (size_t i = 0; i < count; i++) {
        size_t before = line->size;
        put_field(line, &fields[i], format);
        if (line->failed || line->size > LINE_SIZE - TAIL_SIZE) {
            line->size = before;
            line->failed = false;
            return false;
        }
    }
    return true;
}

/* A pipe that poll(2) calls writable has room for PIPE_BUF bytes, which is any line. */
static bool has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) != 0;
}

static void write_line(struct weir_bytes line)
{
    if (!has_room()) {
        atomic_fetch_add_explicit(&suppressed, 1, memory_order_relaxed);
        return;
    }
    ssize_t written = write(STDERR_FILENO, line.data, line.size);
    if (written < 0 && errno == EINTR) {
        written = write(STDERR_FILENO, line.data, line.size);
    }
    (void)written; /* a log that cannot be written has nobody to tell */
}

void weir_log_fields(enum weir_log_level level, const char *event,
                     const struct weir_log_field *fields, size_t count)
{
    if ((int)level < atomic_load_explicit(&level_min, memory_order_relaxed)) {
        return;
    }
    int saved = errno; /* callers log in the middle of failing */
    struct bucket *bucket = find_bucket(event);
    if (!take_allowance(bucket, weir_clock_mono_ns())) {
        atomic_fetch_add_explicit(&bucket->lost, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&suppressed, 1, memory_order_relaxed);
        errno = saved;
        return;
    }
    /* relaxed: these numbers order nothing */
    enum weir_log_format format =
        (enum weir_log_format)atomic_load_explicit(&line_format, memory_order_relaxed);
    uint64_t lost = atomic_exchange_explicit(&bucket->lost, 0, memory_order_relaxed);
    uint8_t memory[LINE_SIZE];
    struct weir_buf line = weir_buf_fixed(memory, sizeof memory);
    put_head(&line, level, event, format);
    WEIR_ASSERT(!line.failed); /* events are short literals */
    struct weir_log_field told = WEIR_LOG_INT("suppressed", lost);
    struct weir_log_field cut = WEIR_LOG_INT("truncated", 1);
    bool whole = (lost == 0 || put_fields(&line, &told, 1, format)) &&
                 put_fields(&line, fields, count, format);
    if (!whole) {
        put_field(&line, &cut, format);
    }
    weir_buf_put(&line, format == WEIR_LOG_TEXT ? WEIR_BYTES("\n") : WEIR_BYTES("}\n"));
    WEIR_ASSERT(!line.failed);
    write_line(weir_buf_view(&line));
    errno = saved;
}

uint64_t weir_log_suppressed(void)
{
    return atomic_load_explicit(&suppressed, memory_order_relaxed); /* a statistic */
}
