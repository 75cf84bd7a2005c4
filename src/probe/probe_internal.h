/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROBE_INTERNAL_H
#define WEIR_PROBE_INTERNAL_H

#include "weir/buf.h"
#include "weir/probe.h"
#include <netdb.h>

/* What the files of the room share: the endpoint, one request and its answer, the findings. */
enum {
    WEIR_PROBE_CONNECT_MS = 10000,       /* to connect, and for a handshake */
    WEIR_PROBE_ANSWER_KEPT = 64 << 10,   /* of an answer's body, in memory */
    WEIR_PROBE_ANSWER_READ = 1 << 20,    /* as much as Firehose reads */
    WEIR_PROBE_ANSWER_LINES = 256 << 10, /* of headers */
    WEIR_PROBE_ID_SIZE = 40,
    WEIR_PROBE_WORDS = 700,
    WEIR_PROBE_CLOCK_SLACK_S = 300
};

/* The URL's parts. */
struct weir_probe_target {
    char host[256];         /* for the certificate and SNI; IPv6 without brackets */
    char port[8];           /* the URL's, else its scheme's */
    char connect_host[256]; /* where to connect: the same, or connect_to's */
    char connect_port[8];
    bool is_tls;
    bool is_address; /* the host is an IP address */
};

/* WEIR_EINVAL: not such a URL, or one with a name and a password in it, or connect_to is none. */
WEIR_MUST_USE enum weir_status weir_probe_target_parse(const char *url, const char *connect_to,
                                                       struct weir_probe_target *ret);

struct weir_probe_request {
    const char *method;
    const char *id; /* NULL: without the header */
    const char *key;
    size_t attributes; /* bytes of the common attributes' header; 0: without */
    size_t padding;    /* bytes of a header that nobody knows; 0: without */
    struct weir_bytes body;
    bool is_gzip;
    bool is_chunked;
    bool expects_100;
};

struct weir_probe_answer {
    int status;         /* 0: none came */
    char error[256];    /* why not; "" when the answer is whole */
    uint8_t *body;      /* WEIR_PROBE_ANSWER_KEPT at most; the exchange's until the next */
    size_t body_size;   /* kept */
    size_t body_total;  /* received */
    size_t lines_total; /* bytes of headers */
    char content_type[128];
    char location[256];
    int64_t date_s; /* the Date header; -1 */
    int64_t duration_ns;
    int64_t sent;     /* bytes of the body */
    long connections; /* opened for it */
    bool has_length;
    bool is_chunked;
    bool is_coded; /* Content-Encoding other than identity */
    bool seen_100;
    bool is_cut;        /* longer than Firehose would read; not read to its end */
    bool is_unverified; /* libcurl refused the certificate */
};

struct weir_probe_http;

/* One connection's worth of libcurl; kept from request to request. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_probe_http_new(const struct weir_probe_options *options,
                                                   const struct weir_probe_target *target,
                                                   struct weir_probe_http **ret);

/* NULL is nothing. */
void weir_probe_http_free(struct weir_probe_http *http);

/* Sends one request and reads what comes within the time. */
void weir_probe_http_exchange(struct weir_probe_http *http,
                              const struct weir_probe_request *request,
                              struct weir_probe_answer *ret);

/* The header line of common attributes, `size` bytes together (at least 128), 50 at most. */
void weir_probe_attributes(struct weir_buf *out, size_t size);

/* A Firehose body of exactly `size` bytes (or of what it takes, if that is more): an empty list of
 * records, or one with `metric`, filled up with white space of two bits a byte, so that gzip makes
 * about a quarter of it, as of real data. */
void weir_probe_body(struct weir_buf *out, const char *id, enum weir_probe_metric metric,
                     size_t size);

/* One point of weir.probe in Weir/Probe as CloudWatch would write it. */
void weir_probe_record(struct weir_buf *out, enum weir_probe_metric metric, int64_t now_ms);

/* Compresses into memory of its own, freed with weir_mem_free; NULL when memory is out. */
uint8_t *weir_probe_gzip(struct weir_bytes body, size_t *ret_size);

/* The state of one run. */
struct weir_probe {
    const struct weir_probe_options *options;
    struct weir_probe_target target;
    struct weir_probe_http *http;
    struct weir_probe_result result;
    enum weir_probe_metric metric; /* in each valid body; none where empty ones are accepted */
};

/* Tells a finding. */
void weir_probe_say(struct weir_probe *probe, enum weir_probe_level level, const char *what,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends what a stranger has sent: printable ASCII as it is, all else as \xNN, `size_max` bytes
 * of it at most. */
void weir_probe_show(struct weir_buf *out, struct weir_bytes text, size_t size_max);

/* The steps, in their order; false when those after it make no sense. */
bool weir_probe_address(struct weir_probe *probe);
bool weir_probe_tls(struct weir_probe *probe);
void weir_probe_checks(struct weir_probe *probe);
void weir_probe_check_sizes(struct weir_probe *probe);

/* Whether Firehose could reach an address: not private, loopback, link-local, shared, multicast or
 * reserved. IPv4 within IPv6 counts as itself. */
bool weir_probe_is_public(const struct sockaddr *address);

/* Connects within `timeout_ms`; a non-blocking socket, or -1 with the reason in `why`. */
int weir_probe_connect(const struct weir_probe_target *target, int timeout_ms,
                       struct weir_buf *why);

/* Waits until `fd` is ready for `events` (poll(2)); false when the deadline has passed. */
bool weir_probe_wait(int fd, short events, int64_t deadline_ns);

/* The answer's body as Firehose reads it. */
struct weir_probe_reply {
    const char *wrong; /* why it is no such JSON; NULL: it is */
    bool has_id;
    bool is_same_id;
    bool has_timestamp;
    bool is_timestamp_text;
    int64_t timestamp_ms;
    char unexpected[48]; /* a key that Firehose does not expect; "" */
    char message[240];   /* errorMessage, made printable; else the body's beginning */
};

/* Reads it; rewrites the answer's body. */
void weir_probe_reply_read(struct weir_probe_answer *answer, const char *id,
                           struct weir_probe_reply *ret);

/* What is wrong with a whole answer: FAIL when Firehose would not take it for its status, WARN for
 * what it is not known to mind; words appended to `why`. `now_ms`: when it came. */
enum weir_probe_level weir_probe_reply_judge(const struct weir_probe_answer *answer,
                                             const struct weir_probe_reply *reply, int64_t now_ms,
                                             struct weir_buf *why);

/* One request, counted. */
void weir_probe_ask(struct weir_probe *probe, const struct weir_probe_request *request,
                    struct weir_probe_answer *ret);

/* "401 in 12 ms", "no answer: ...", with the answer's own words. */
void weir_probe_tell(struct weir_probe_answer *answer, const char *id, struct weir_buf *out);

/* A fresh request id. */
void weir_probe_id(char *ret);

#endif
