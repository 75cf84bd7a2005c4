/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROBE_H
#define WEIR_PROBE_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Whether an endpoint is fit for Amazon Data Firehose: looked at from outside, by the rules of the
 * Firehose HTTP endpoint specification, whatever program answers there. Each check gives one
 * finding, told as soon as it is known. docs/probe.md says what each one means.
 *
 * What is sent is valid and holds no data (an empty list of records, padded with white space where
 * size matters), so that nothing is left behind; a metric goes only where one is asked for.
 *
 * One thread; blocks until all is said. No proxy is used: Firehose would use none.
 */
enum weir_probe_level {
    WEIR_PROBE_OK,
    WEIR_PROBE_WARN, /* Firehose can live with it */
    WEIR_PROBE_FAIL, /* Firehose cannot: what it would do, and what to mend, is in `found` */
    WEIR_PROBE_SKIP, /* not looked at, and why */
    WEIR_PROBE_LEVELS
};

/* `found` is printable ASCII, whatever the other side has sent, and never holds the key. */
struct weir_probe_finding {
    enum weir_probe_level level;
    const char *what; /* the check's name, of a fixed set */
    const char *found;
};

enum weir_probe_metric { WEIR_PROBE_NO_METRIC, WEIR_PROBE_METRIC_JSON, WEIR_PROBE_METRIC_OTLP_10 };

#define WEIR_PROBE_KEY_MAX 4096
/* What 50 common attributes of 256 + 1024 characters, the longest key and the rest come to. */
#define WEIR_PROBE_HEAD_BYTES ((size_t)68800)
#define WEIR_PROBE_HEAD_MIN   ((size_t)2048)
/* The largest buffer of a delivery stream, before compression. */
#define WEIR_PROBE_BODY_BYTES ((size_t)64 << 20)
#define WEIR_PROBE_BODY_MIN   ((size_t)1024)
#define WEIR_PROBE_BODY_MAX   ((size_t)256 << 20)

struct weir_probe_options {
    const char *url;        /* https://host[:port]/path; http:// only with is_plain_http */
    const char *key;        /* one line of at most WEIR_PROBE_KEY_MAX bytes; NULL: none */
    const char *ca_file;    /* authorities to trust; NULL: the system's */
    const char *connect_to; /* "host:port" to connect to instead of the URL's; NULL */
    int64_t timeout_ns;     /* for each answer; 0: 180 s, as Firehose's */
    size_t head_bytes;      /* the largest head to try; 0: WEIR_PROBE_HEAD_BYTES */
    size_t body_bytes;      /* the largest body, before compression; 0: WEIR_PROBE_BODY_BYTES */
    enum weir_probe_metric metric;
    bool is_plain_http; /* behind the balancer: http:// is no failure */
    bool is_private;    /* addresses that are not public are no failure */
    bool is_large;      /* large bodies also without compression, and as base64 makes them */
    void (*report)(void *self, const struct weir_probe_finding *finding);
    void *self;
};

struct weir_probe_result {
    uint32_t counts[WEIR_PROBE_LEVELS];
    uint32_t requests;   /* sent */
    uint64_t bytes_sent; /* of bodies, as on the wire */
    uint32_t points;     /* of the metric, in requests that were answered 200 */
};

/* Looks at the endpoint; WEIR_OK whatever was found, *ret filled in: fit when counts[FAIL] is 0.
 * WEIR_EINVAL: the URL, connect_to, the key or a size is not what the comments above say, and
 * nothing was sent; WEIR_ENOMEM. Once at a time in a process. */
WEIR_MUST_USE enum weir_status weir_probe_run(const struct weir_probe_options *options,
                                              struct weir_probe_result *ret);

/* "ok", "warn", "fail", "skip"; static storage. */
const char *weir_probe_level_text(enum weir_probe_level level);

#endif
