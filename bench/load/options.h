/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_OPTIONS_H
#define WEIR_LOAD_OPTIONS_H

#include "traffic/body.h"
#include "weir/buffer_hints.h"

/* weir-load's command line. */
enum { WEIR_LOAD_DONE = 0, WEIR_LOAD_FAILED = 1, WEIR_LOAD_USAGE = 2 };

enum {
    WEIR_LOAD_SINKS_MAX = 8,
    WEIR_LOAD_THREADS_MAX = 64,
    WEIR_LOAD_CONNECTIONS_MAX = 4096,
    WEIR_LOAD_BODIES_MAX = 1 << 20
};

enum weir_load_mode {
    WEIR_LOAD_FAST, /* as fast as the connections allow */
    WEIR_LOAD_RATE, /* open loop: each request has a time at which it is to be sent */
    WEIR_LOAD_LIFE  /* delivery streams that fill their buffers */
};

struct weir_load_options {
    const char *url;
    enum weir_load_mode mode;
    double rate;        /* requests a second; 0: not given */
    double points_rate; /* the same in points; 0: not given */
    double time_scale;  /* life: how much faster than real time */
    struct weir_traffic_options world;
    struct weir_body_shape shape;
    struct weir_buffer_hints buffer;
    uint32_t points; /* of a request; 0: what fills the buffer */
    uint32_t connections;
    uint32_t threads;
    uint32_t bodies;   /* 0: two for each connection, at least 16 */
    uint64_t requests; /* 0: no bound */
    int64_t duration_ns;
    int64_t warm_up_ns;
    int64_t retry_window_ns;
    int64_t timeout_ns;
    int64_t settle_ns;
    const char *backup;
    const char *ca_file;
    const char *key;
    char *key_memory; /* of --key-file; wiped by weir_load_options_done */
    const char *sinks[WEIR_LOAD_SINKS_MAX];
    uint32_t sink_count;
    bool allow_refused;
    uint64_t allow_repeated; /* points, of each sink */
    bool json;
};

/* Reads the command line and WEIR_ACCESS_KEY. True: go on. False: *ret_code is the exit code, and
 * what there is to say was said. The texts are the arguments' own. */
bool weir_load_options_parse(int argc, char **argv, struct weir_load_options *ret, int *ret_code);

/* Wipes and frees the key. */
void weir_load_options_done(struct weir_load_options *options);

#endif
