/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"
#include "body.h"
#include "weir/hash.h"

#include <pthread.h>

enum { STEP = 29, TEXT_MAX = 4 << 20 }; /* a prime: all namespaces and forms have their turn */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t fingerprint;

static void put_point(const struct weir_traffic *traffic, uint64_t number, struct weir_buf *out)
{
    struct weir_traffic_point point;
    weir_traffic_point(traffic, number, &point);
    weir_body_expected(&point, out);
    weir_buf_put(out, point.stream);
    weir_buf_put(out, point.owner);
    weir_buf_put(out, point.account);
    weir_buf_put(out, point.region);
    weir_buf_put(out, point.name);
    weir_buf_put(out, point.metric);
    weir_buf_put(out, point.otlp_unit);
}

static void work_out(void)
{
    static const uint64_t key[2] = {0x7765697274726166, 0x6669636e756d6265};
    struct weir_traffic_options options = weir_traffic_defaults();
    options.streams = 2;
    options.resources = 3;
    options.per_stream = 6000;
    struct weir_traffic *traffic;
    if (weir_traffic_new(&options, &traffic) != WEIR_OK) {
        return;
    }
    struct weir_buf text = weir_buf_grow_init(TEXT_MAX);
    for (uint64_t number = 0; number < 2 * weir_traffic_series(traffic); number += STEP) {
        put_point(traffic, number, &text);
    }
    uint64_t hash[2] = {0, 0};
    if (!text.failed) {
        weir_hash_wide(key, weir_buf_view(&text), hash);
    }
    weir_buf_done(&text);
    weir_traffic_free(traffic);
    fingerprint = hash[0];
}

uint64_t weir_traffic_fingerprint(void)
{
    (void)pthread_once(&once, work_out);
    return fingerprint;
}
