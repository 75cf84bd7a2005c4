/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry as text, in two formats that differ in little:
 *
 *                        Prometheus 0.0.4                      OpenMetrics 1.0
 *   a counter's family   # TYPE weir_requests_total counter    # TYPE weir_requests counter
 *   its sample           weir_requests_total{...} 3            weir_requests_total{...} 3
 *   a bucket's bound     le="1"                                le="1.0"
 *   the end              (none)                                # EOF
 *
 * A family is written when one of its series has been touched; so are its series. Buckets are
 * cumulated here. Values of labels come from outside: backslash, quote and line feed are escaped,
 * what is not UTF-8 becomes U+FFFD and other controls a question mark, since neither format has a
 * way to write them.
 *
 * Threads: one writer at a time, while all others go on counting; a sum may miss what was counted a
 * moment ago. Collectors are added at the start, before anybody writes. A buffer that is full has
 * `failed` set and the text is not to be used. Deliberately no timestamps and no exemplars.
 */
#include "weir/expo.h"
#include "expo_internal.h"
#include "metrics_internal.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLLECTORS_MAX = 16, NUMBER_SIZE = 32, QUALITY_ONE = 1000 };

struct collector {
    void (*collect)(void *argument);
    void *argument;
};

static struct collector collectors[COLLECTORS_MAX]; /* written at the start only */
static unsigned collector_count;

void weir_expo_collector(void (*collect)(void *argument), void *argument)
{
    WEIR_ASSERT(collector_count < COLLECTORS_MAX);
    collectors[collector_count++] = (struct collector){collect, argument};
}

void weir_expo_forget_collectors(void)
{
    collector_count = 0;
}

/* The shortest text that reads back as the same number; `number` holds NUMBER_SIZE bytes. */
static void format_number(char *number, double value)
{
    if (isnan(value)) {
        (void)snprintf(number, NUMBER_SIZE, "NaN");
        return;
    }
    if (isinf(value)) {
        (void)snprintf(number, NUMBER_SIZE, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(number, NUMBER_SIZE, "%.*g", digits, value);
        double back = strtod(number, NULL);
        if (!(back < value) && !(back > value)) {
            return;
        }
    }
}

static void put_number(struct weir_buf *out, double value)
{
    char number[NUMBER_SIZE];
    format_number(number, value);
    weir_buf_put(out, weir_bytes_str(number));
}

static void put_label_value(struct weir_buf *out, struct weir_bytes value)
{
    while (value.size > 0) {
        size_t length = weir_bytes_utf8_length(value);
        uint8_t first = value.data[0];
        if (length == 0) {
            weir_buf_put(out, WEIR_BYTES("\xef\xbf\xbd"));
            length = 1;
        } else if (first == '\n') {
            weir_buf_put(out, WEIR_BYTES("\\n"));
        } else if (first == '"' || first == '\\') {
            weir_buf_put_byte(out, '\\');
            weir_buf_put_byte(out, first);
        } else if (first < 0x20 || first == 0x7f) {
            weir_buf_put_byte(out, '?');
        } else {
            weir_buf_put(out, weir_bytes_of(value.data, length));
        }
        value = weir_bytes_from(value, length);
    }
}

/* {label="value",...}, with `le` last where it is not NULL; nothing at all where
 * there is no label. */
static void put_labels(struct weir_buf *out, uint32_t series, const char *le)
{
    const struct weir_family_info *info = &weir_families[weir_metrics_family(series)];
    if (info->label_count == 0 && le == NULL) {
        return;
    }
    for (uint32_t i = 0; i < info->label_count; i++) {
        weir_buf_printf(out, "%s%s=\"", i == 0 ? "{" : ",", info->labels[i]);
        put_label_value(out, weir_metrics_label(series, i));
        weir_buf_put_byte(out, '"');
    }
    if (le != NULL) {
        weir_buf_printf(out, "%sle=\"%s\"", info->label_count == 0 ? "{" : ",", le);
    }
    weir_buf_put_byte(out, '}');
}

static void put_bucket(struct weir_buf *out, uint32_t series, const char *le, uint64_t count)
{
    weir_buf_printf(out, "%s_bucket", weir_families[weir_metrics_family(series)].name);
    put_labels(out, series, le);
    weir_buf_printf(out, " %" PRIu64 "\n", count);
}

/* OpenMetrics wants bounds as canonical floats: 1.0, not 1. Ours have no exponent. */
static void format_bound(char *le, double bound, enum weir_expo_format format)
{
    format_number(le, bound);
    if (format == WEIR_EXPO_OPENMETRICS && strchr(le, '.') == NULL) {
        WEIR_ASSERT(strlen(le) + 2 < NUMBER_SIZE);
        memcpy(le + strlen(le), ".0", 3);
    }
}

static void put_histogram(struct weir_buf *out, uint32_t series, enum weir_expo_format format)
{
    const struct weir_family_info *info = &weir_families[weir_metrics_family(series)];
    uint64_t count = 0;
    for (uint32_t i = 0; i < info->buckets->count; i++) {
        char le[NUMBER_SIZE];
        format_bound(le, info->buckets->bounds[i], format);
        count += weir_metrics_count(series, i);
        put_bucket(out, series, le, count);
    }
    count += weir_metrics_count(series, info->buckets->count);
    put_bucket(out, series, "+Inf", count);
    weir_buf_printf(out, "%s_sum", info->name);
    put_labels(out, series, NULL);
    weir_buf_put_byte(out, ' ');
    put_number(out, weir_metrics_sum(series));
    weir_buf_printf(out, "\n%s_count", info->name);
    put_labels(out, series, NULL);
    weir_buf_printf(out, " %" PRIu64 "\n", count);
}

static void put_series(struct weir_buf *out, uint32_t series, enum weir_expo_format format)
{
    const struct weir_family_info *info = &weir_families[weir_metrics_family(series)];
    if (info->kind == WEIR_FAMILY_HISTOGRAM) {
        put_histogram(out, series, format);
        return;
    }
    weir_buf_put(out, weir_bytes_str(info->name));
    put_labels(out, series, NULL);
    if (info->kind == WEIR_FAMILY_COUNTER) {
        weir_buf_printf(out, " %" PRIu64 "\n", weir_metrics_count(series, 0));
        return;
    }
    weir_buf_put_byte(out, ' ');
    put_number(out, weir_metrics_gauge(series));
    weir_buf_put_byte(out, '\n');
}

static void put_family_head(struct weir_buf *out, const struct weir_family_info *info,
                            enum weir_expo_format format)
{
    static const char suffix[] = "_total";
    const char *type = "gauge";
    size_t length = strlen(info->name);
    if (info->kind == WEIR_FAMILY_HISTOGRAM) {
        type = "histogram";
    } else if (info->kind != WEIR_FAMILY_GAUGE) {
        type = "counter";
        length -= format == WEIR_EXPO_OPENMETRICS ? sizeof suffix - 1 : 0;
    }
    int shown = (int)length;
    weir_buf_printf(out, "# HELP %.*s ", shown, info->name);
    for (const char *at = info->help; *at != '\0'; at++) {
        bool escaped = *at == '\\' || (*at == '"' && format == WEIR_EXPO_OPENMETRICS);
        if (escaped) {
            weir_buf_put_byte(out, '\\');
        }
        weir_buf_put_byte(out, (uint8_t)*at);
    }
    weir_buf_printf(out, "\n# TYPE %.*s %s\n", shown, info->name, type);
}

/* What this room and base know by themselves. */
static void collect_own(void)
{
    const struct weir_bytes version = WEIR_BYTES_INIT(WEIR_VERSION);
    weir_metrics_set(weir_metrics_series(WEIR_M_BUILD_INFO, &version), 1);
    weir_metrics_set(weir_metrics_series(WEIR_M_ALLOCATIONS, NULL), (double)weir_mem_calls());
    weir_metrics_set(weir_metrics_series(WEIR_M_LOG_SUPPRESSED, NULL),
                     (double)weir_log_suppressed());
}

void weir_expo_write(struct weir_buf *out, enum weir_expo_format format)
{
    collect_own();
    for (unsigned i = 0; i < collector_count; i++) {
        collectors[i].collect(collectors[i].argument);
    }
    for (uint32_t family = 0; family < WEIR_M_FAMILIES; family++) {
        bool has_head = false;
        uint32_t series = weir_metrics_first((enum weir_family)family);
        for (; series != WEIR_METRICS_NONE; series = weir_metrics_next(series)) {
            if (!weir_metrics_is_touched(series)) {
                continue;
            }
            if (!has_head) {
                put_family_head(out, &weir_families[family], format);
                has_head = true;
            }
            put_series(out, series, format);
        }
    }
    if (format == WEIR_EXPO_OPENMETRICS) {
        weir_buf_put(out, WEIR_BYTES("# EOF\n"));
    }
}

double weir_expo_value(uint32_t series)
{
    const struct weir_family_info *info = &weir_families[weir_metrics_family(series)];
    switch (info->kind) {
    case WEIR_FAMILY_COUNTER: return (double)weir_metrics_count(series, 0);
    case WEIR_FAMILY_TOTAL:
    case WEIR_FAMILY_GAUGE: return weir_metrics_gauge(series);
    case WEIR_FAMILY_HISTOGRAM: break;
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i <= info->buckets->count; i++) {
        count += weir_metrics_count(series, i);
    }
    return (double)count;
}

const char *weir_expo_content_type(enum weir_expo_format format)
{
    return format == WEIR_EXPO_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Cuts the text up to `separator` off the front of `rest`, without white space around it. */
static struct weir_bytes next_part(struct weir_bytes *rest, uint8_t separator)
{
    size_t end = 0;
    while (end < rest->size && rest->data[end] != separator) {
        end++;
    }
    struct weir_bytes part = weir_bytes_of(rest->data, end);
    *rest = weir_bytes_from(*rest, end + 1);
    while (part.size > 0 && is_space(part.data[0])) {
        part = weir_bytes_from(part, 1);
    }
    while (part.size > 0 && is_space(part.data[part.size - 1])) {
        part.size--;
    }
    return part;
}

/* The weight in thousandths (RFC 9110, 12.4.2) among an entry's parameters; 1000 where there is
 * none. */
static unsigned quality_of(struct weir_bytes parameters)
{
    while (parameters.size > 0) {
        struct weir_bytes parameter = next_part(&parameters, ';');
        if (parameter.size < 3 || (parameter.data[0] | 0x20) != 'q' || parameter.data[1] != '=') {
            continue;
        }
        unsigned quality = parameter.data[2] == '1' ? QUALITY_ONE : 0;
        unsigned unit = QUALITY_ONE / 10;
        for (size_t i = 4; i < parameter.size && unit > 0 && quality < QUALITY_ONE; i++) {
            uint8_t digit = parameter.data[i];
            if (digit < '0' || digit > '9') {
                break;
            }
            quality += (unsigned)(digit - '0') * unit;
            unit /= 10;
        }
        return quality;
    }
    return QUALITY_ONE;
}

enum weir_expo_format weir_expo_negotiate(struct weir_bytes accept)
{
    unsigned open_metrics = 0;
    unsigned text = 0;
    while (accept.size > 0) {
        struct weir_bytes entry = next_part(&accept, ',');
        struct weir_bytes type = next_part(&entry, ';');
        unsigned quality = quality_of(entry);
        if (weir_bytes_eq_nocase(type, WEIR_BYTES("application/openmetrics-text"))) {
            open_metrics = quality > open_metrics ? quality : open_metrics;
        } else if (weir_bytes_eq_nocase(type, WEIR_BYTES("text/plain"))) {
            text = quality > text ? quality : text;
        }
    }
    return open_metrics > 0 && open_metrics >= text ? WEIR_EXPO_OPENMETRICS : WEIR_EXPO_PROMETHEUS;
}
