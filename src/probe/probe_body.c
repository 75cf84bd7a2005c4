/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is sent: bodies and common attributes as Firehose makes them, of any size, without data.
 *
 *   {"requestId":"...","timestamp":1767225600000,"records":[ <white space> ]}
 *                                                            ^ to the size wanted
 *
 * An empty list of records is valid JSON of the right form, though Firehose never sends one, and
 * leaves nothing behind at whoever takes it. White space is what every reader of JSON must skip. It
 * is of four kinds in random order, hence two bits a byte: compressed it comes to a quarter of its
 * size, about what real data does, and nobody takes it for a bomb. The order repeats after 1 MiB,
 * beyond the 32 KiB that deflate looks back.
 *
 * I1  a body is exactly as large as was asked for, unless its fixed part is larger
 * I2  the common attributes are 50 at most, keys of 256 and values of up to 1024 characters
 *
 * Pure but for the clock in a body's timestamp. One thread.
 */
#include "probe_internal.h"
#include "weir/base64.h"
#include "weir/clock.h"
#include "weir/gzip.h"
#include "weir/mem.h"
#include "weir/pbw.h"
#include "weir/rand.h"
#include <inttypes.h>

enum {
    SPACE_PERIOD = 1 << 20,
    ATTRIBUTE_KEY = 256,
    ATTRIBUTE_VALUE = 1024,
    ATTRIBUTES_MAX = 50,
    RECORD_MAX = 1024,
    MESSAGE_MAX = 512
};

static const char account[] = "123456789012";
static const char stream_arn[] =
    "arn:aws:cloudwatch:us-east-1:123456789012:metric-stream/weir-probe";

static void put_space(struct weir_buf *out, size_t size)
{
    static const uint8_t kinds[4] = {' ', '\n', '\t', '\r'};
    uint8_t *at = size == 0 ? NULL : weir_buf_reserve(out, size);
    if (at == NULL) {
        return;
    }
    struct weir_rand rand;
    weir_rand_init(&rand, 1);
    size_t head = size < SPACE_PERIOD ? size : SPACE_PERIOD;
    uint64_t bits = 0;
    for (size_t i = 0; i < head; i++, bits >>= 2) {
        bits = i % 32 == 0 ? weir_rand_u64(&rand) : bits;
        at[i] = kinds[bits & 3];
    }
    for (size_t done = head; done < size;) {
        size_t step = size - done < head ? size - done : head;
        memcpy(at + done, at, step);
        done += step;
    }
    out->size += size;
}

/* ---- one metric, as CloudWatch writes it (AWS's documentation of both formats) ---- */

static void put_json(struct weir_buf *out, int64_t minute_ms)
{
    weir_buf_printf(out,
                    "{\"metric_stream_name\":\"weir-probe\",\"account_id\":\"%s\","
                    "\"region\":\"us-east-1\",\"namespace\":\"Weir/Probe\",\"metric_name\":"
                    "\"weir.probe\",\"dimensions\":{},\"timestamp\":%" PRId64 ",\"value\":{"
                    "\"max\":1.0,\"min\":1.0,\"sum\":1.0,\"count\":1.0},\"unit\":\"None\"}\n",
                    account, minute_ms);
}

/* A message built in memory of its own, put as a field. */
struct message {
    uint8_t memory[MESSAGE_MAX];
    struct weir_buf buf;
};

static struct weir_buf *begin(struct message *message)
{
    message->buf = weir_buf_fixed(message->memory, sizeof message->memory);
    return &message->buf;
}

static void put_message(struct weir_buf *out, uint32_t number, const struct message *message)
{
    weir_pbw_bytes(out, number, weir_buf_view(&message->buf));
    out->failed = out->failed || message->buf.failed;
}

/* KeyValue{key, AnyValue{string}} */
static void put_attribute(struct weir_buf *out, uint32_t number, const char *key, const char *text)
{
    struct message value;
    struct message pair;
    weir_pbw_bytes(begin(&value), 1, weir_bytes_str(text));
    weir_pbw_bytes(begin(&pair), 1, weir_bytes_str(key));
    put_message(&pair.buf, 2, &value);
    put_message(out, number, &pair);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void put_quantile(struct weir_buf *out, double quantile)
{
    struct message value;
    (void)begin(&value);
    if (quantile > 0) {
        weir_pbw_fixed64(&value.buf, 1, bits_of(quantile));
    }
    weir_pbw_fixed64(&value.buf, 2, bits_of(1.0));
    put_message(out, 6, &value);
}

static void put_point(struct weir_buf *point, int64_t minute_ms)
{
    static const uint8_t no_dimensions[] = {0x0a, 0x0a, 'D', 'i', 'm',  'e',  'n',  's',
                                            'i',  'o',  'n', 's', 0x12, 0x02, 0x32, 0x00};
    uint64_t start_ns = (uint64_t)(minute_ms * WEIR_NS_PER_MS);
    weir_pbw_fixed64(point, 2, start_ns);
    weir_pbw_fixed64(point, 3, start_ns + 60 * (uint64_t)WEIR_NS_PER_S);
    weir_pbw_fixed64(point, 4, 1);
    weir_pbw_fixed64(point, 5, bits_of(1.0));
    put_quantile(point, 0);
    put_quantile(point, 1);
    put_attribute(point, 7, "Namespace", "Weir/Probe");
    put_attribute(point, 7, "MetricName", "weir.probe");
    weir_pbw_bytes(point, 7, weir_bytes_of(no_dimensions, sizeof no_dimensions));
}

/* [length][ExportMetricsServiceRequest] */
static void put_otlp(struct weir_buf *out, int64_t minute_ms)
{
    struct message point;
    struct message summary;
    struct message metric;
    struct message scope;
    struct message resource;
    struct message both;
    struct message request;
    put_point(begin(&point), minute_ms);
    put_message(begin(&summary), 1, &point);
    weir_pbw_bytes(begin(&metric), 1, WEIR_BYTES("amazonaws.com/Weir/Probe/weir.probe"));
    weir_pbw_bytes(&metric.buf, 3, WEIR_BYTES("1"));
    put_message(&metric.buf, 11, &summary);
    put_message(begin(&scope), 2, &metric);
    (void)begin(&resource);
    put_attribute(&resource.buf, 1, "cloud.provider", "aws");
    put_attribute(&resource.buf, 1, "cloud.account.id", account);
    put_attribute(&resource.buf, 1, "cloud.region", "us-east-1");
    put_attribute(&resource.buf, 1, "aws.exporter.arn", stream_arn);
    put_message(begin(&both), 1, &resource);
    put_message(&both.buf, 2, &scope);
    put_message(begin(&request), 1, &both);
    weir_pbw_varint(out, request.buf.size);
    weir_buf_put(out, weir_buf_view(&request.buf));
    out->failed = out->failed || request.buf.failed;
}

void weir_probe_record(struct weir_buf *out, enum weir_probe_metric metric, int64_t now_ms)
{
    int64_t minute_ms = now_ms / 60000 * 60000 - 60000;
    if (metric == WEIR_PROBE_METRIC_JSON) {
        put_json(out, minute_ms);
    } else if (metric == WEIR_PROBE_METRIC_OTLP_10) {
        put_otlp(out, minute_ms);
    }
}

/* ---- bodies ---- */

void weir_probe_body(struct weir_buf *out, const char *id, enum weir_probe_metric metric,
                     size_t size)
{
    uint8_t memory[RECORD_MAX];
    uint8_t text[RECORD_MAX * 2];
    struct weir_buf record = weir_buf_fixed(memory, sizeof memory);
    size_t begin_size = out->size;
    int64_t now_ms = weir_clock_wall_ns() / WEIR_NS_PER_MS;
    weir_buf_printf(out, "{\"requestId\":\"%s\",\"timestamp\":%" PRId64 ",\"records\":[", id,
                    now_ms);
    weir_probe_record(&record, metric, now_ms);
    if (record.size > 0) {
        weir_base64_encode(weir_buf_view(&record), text);
        weir_buf_put(out, WEIR_BYTES("{\"data\":\""));
        weir_buf_put(out, weir_bytes_of(text, weir_base64_encoded_size(record.size)));
        weir_buf_put(out, WEIR_BYTES("\"}"));
    }
    out->failed = out->failed || record.failed;
    size_t fixed = out->size - begin_size + 2;
    put_space(out, size > fixed ? size - fixed : 0);
    weir_buf_put(out, WEIR_BYTES("]}"));
}

static void put_repeated(struct weir_buf *out, char byte, size_t count)
{
    uint8_t *at = weir_buf_reserve(out, count);
    if (at != NULL) {
        memset(at, byte, count);
        out->size += count;
    }
}

void weir_probe_attributes(struct weir_buf *out, size_t size)
{
    static const char name[] = "X-Amz-Firehose-Common-Attributes: {\"commonAttributes\":{";
    enum { KEY_DIGITS = 4, MARKS = 6 }; /* "":"", */
    weir_buf_put(out, weir_bytes_str(name));
    size_t left = size > sizeof name + 1 ? size - (sizeof name + 1) : 0;
    for (unsigned i = 0; i < ATTRIBUTES_MAX && left > MARKS + KEY_DIGITS; i++) {
        left -= MARKS;
        size_t key = left < ATTRIBUTE_KEY ? left : ATTRIBUTE_KEY;
        size_t value = left - key < ATTRIBUTE_VALUE ? left - key : ATTRIBUTE_VALUE;
        left -= key + value;
        weir_buf_printf(out, "%s\"p%03u", i == 0 ? "" : ",", i);
        put_repeated(out, 'k', key - KEY_DIGITS);
        weir_buf_put(out, WEIR_BYTES("\":\""));
        put_repeated(out, 'v', value);
        weir_buf_put_byte(out, '"');
    }
    weir_buf_put(out, WEIR_BYTES("}}"));
}

uint8_t *weir_probe_gzip(struct weir_bytes body, size_t *ret_size)
{
    struct weir_deflater *deflater;
    if (weir_deflater_new(6, &deflater) != WEIR_OK) { /* as zlib, unless told */
        return NULL;
    }
    size_t capacity = weir_gzip_bound(deflater, body.size);
    uint8_t *out = weir_mem_alloc(capacity);
    if (out != NULL && weir_gzip_deflate(deflater, body, out, capacity, ret_size) != WEIR_OK) {
        weir_mem_free(out);
        out = NULL;
    }
    weir_deflater_free(deflater);
    return out;
}
