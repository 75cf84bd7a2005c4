/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BENCH_TRAFFIC_INTERNAL_H
#define WEIR_BENCH_TRAFFIC_INTERNAL_H

#include "catalog.h"
#include "traffic.h"

#define WEIR_TRAFFIC_MINUTE_MS  60000
#define WEIR_TRAFFIC_MINUTE_MAX (UINT64_C(1) << 26) /* minutes of a world: 127 years */
#define WEIR_TRAFFIC_TURN_MAX   500
#define WEIR_TRAFFIC_WINDOW     128 /* series of a resource that are shuffled together */

enum { WEIR_TRAFFIC_SLOTS = 4096, WEIR_TRAFFIC_NAME_SIZE = 24, WEIR_TRAFFIC_ROUNDS = 3 };

struct weir_traffic_space {
    const struct weir_catalog_namespace *entry;
    struct weir_bytes name;
    uint64_t key;
    char text[WEIR_TRAFFIC_NAME_SIZE];
};

struct weir_traffic {
    struct weir_traffic_options options;
    uint64_t series;                        /* a minute */
    uint32_t turn;                          /* positions of one resource in a row */
    uint64_t inverses[WEIR_TRAFFIC_ROUNDS]; /* of the factors, modulo 2^64 */
    uint16_t slots[WEIR_TRAFFIC_SLOTS];     /* namespaces by their names' hashes: index + 1 */
    struct weir_traffic_space spaces[];     /* options.namespaces of them */
};

/* Where a series is. */
struct weir_traffic_place {
    uint64_t position;
    uint32_t stream;
    uint32_t resource; /* of the stream's */
    uint64_t own;      /* how many series the resource has */
    uint64_t global;   /* number of the resource in the world */
    uint32_t space;    /* index of the namespace */
    uint64_t series;   /* of the namespace's in this resource: entity x metrics + metric */
};

/* The series at a position (below the world's series). */
struct weir_traffic_place weir_traffic_place_at(const struct weir_traffic *traffic,
                                                uint64_t position);

/* The inverse: fills in the rest of a place of which stream, resource, namespace and series are
 * known. False when there is no such series. */
bool weir_traffic_find_position(const struct weir_traffic *traffic,
                                struct weir_traffic_place *place);

/* The namespace of that name, or NULL. */
const struct weir_traffic_space *weir_traffic_space_find(const struct weir_traffic *traffic,
                                                         struct weir_bytes name);

/* 64 bits mixed one to one, and back. */
uint64_t weir_traffic_scramble(uint64_t value, uint64_t key);
uint64_t weir_traffic_unscramble(const struct weir_traffic *traffic, uint64_t value, uint64_t key);

/* All bits of `value`, well mixed (the finalizer of splitmix64). */
static inline uint64_t weir_traffic_mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* Fills in count, sum and quantiles of a point of this kind. `series` is a hash of the seed and of
 * what the series is, `moment` one of the seed and the point's number. */
void weir_traffic_values(enum weir_catalog_kind kind, uint64_t series, uint64_t moment,
                         bool without_percentiles, struct weir_traffic_point *point);

#endif
