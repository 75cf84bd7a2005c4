/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two configurations, by walking the tables: for a reload.
 *
 *   running ─┬─► keep: keys without WEIR_SCHEMA_LIVE on their path get running's value in the fresh
 *   fresh   ─┘   one, and each that differed is told: it needs a restart
 *
 *   destination, old ─┬─► same | only what goes there (WEIR_SCHEMA_ROUTE) | anything else
 *   destination, new ─┘
 *
 *   I1  after weir_config_keep the fresh configuration has running's value for every key that is
 *       not live, so what is derived from it for the rooms agrees with what runs
 *   I2  values are compared as they are, secrets too; none is told
 *
 * Where a key was written, and texts that come to the same value (60s, 1m), make no difference.
 * What a destination derives (its URL, its shape) follows from keys and from the environment, which
 * stays; so keys are all that is compared.
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/panic.h"
#include <stdio.h>

enum { PATH_SIZE = 128 };

static bool same_text(const char *one, const char *other)
{
    return one == other || (one != NULL && other != NULL && strcmp(one, other) == 0);
}

static bool same_texts(const char *const *one, const char *const *other)
{
    if (one == NULL || other == NULL) {
        return one == other;
    }
    size_t i = 0;
    while (one[i] != NULL && same_text(one[i], other[i])) {
        i++;
    }
    return one[i] == NULL && other[i] == NULL;
}

static bool same_attributes(const struct weir_route_attribute *one,
                            const struct weir_route_attribute *other)
{
    if (one == NULL || other == NULL) {
        return one == other;
    }
    size_t i = 0;
    while (one[i].name != NULL && same_text(one[i].name, other[i].name) &&
           same_texts(one[i].values, other[i].values)) {
        i++;
    }
    return one[i].name == NULL && other[i].name == NULL;
}

static bool same_resource(const struct weir_shape_attribute *one,
                          const struct weir_shape_attribute *other)
{
    if (one == NULL || other == NULL) {
        return one == other;
    }
    size_t i = 0;
    while (one[i].key != NULL && same_text(one[i].key, other[i].key) &&
           same_text(one[i].value, other[i].value)) {
        i++;
    }
    return one[i].key == NULL && other[i].key == NULL;
}

static bool same_codes(const int *one, const int *other)
{
    if (one == NULL || other == NULL) {
        return one == other;
    }
    size_t i = 0;
    while (one[i] != 0 && one[i] == other[i]) {
        i++;
    }
    return one[i] == other[i];
}

/* The values of one leaf in both. */
#define BOTH(type_) *(const type_ *)one, *(const type_ *)other

static bool same_leaf(const struct weir_schema *row, const void *one, const void *other)
{
    switch (row->kind) {
    case WEIR_SCHEMA_TEXT: return same_text(BOTH(char *const));
    case WEIR_SCHEMA_TEXTS:
    case WEIR_SCHEMA_HEADERS: return same_texts(BOTH(char *const *const));
    case WEIR_SCHEMA_ATTRIBUTES: return same_attributes(BOTH(struct weir_route_attribute *const));
    case WEIR_SCHEMA_RESOURCE: return same_resource(BOTH(struct weir_shape_attribute *const));
    case WEIR_SCHEMA_CODES: return same_codes(BOTH(int *const));
    case WEIR_SCHEMA_SIZE: return *(const size_t *)one == *(const size_t *)other;
    case WEIR_SCHEMA_DURATION:
    case WEIR_SCHEMA_TIME: return *(const int64_t *)one == *(const int64_t *)other;
    case WEIR_SCHEMA_COUNT: return *(const uint32_t *)one == *(const uint32_t *)other;
    case WEIR_SCHEMA_CHOICE: return *(const unsigned *)one == *(const unsigned *)other;
    case WEIR_SCHEMA_LATER: return true;
    case WEIR_SCHEMA_MAPPING:
    case WEIR_SCHEMA_LIST: break;
    }
    WEIR_UNREACHABLE(); /* no leaves */
}

static bool same_mapping(const struct weir_schema *table, const void *one, const void *other);

static bool same_list(const struct weir_schema *row, const struct weir_config_list *one,
                      const struct weir_config_list *other)
{
    bool same = one->count == other->count && one->none == other->none;
    for (uint32_t i = 0; same && i < one->count; i++) {
        same = same_mapping(row->keys, (const char *)one->items + i * row->element_size,
                            (const char *)other->items + i * row->element_size);
    }
    return same;
}

static bool same_row(const struct weir_schema *row, const void *one, const void *other)
{
    const void *left = (const char *)one + row->offset;
    const void *right = (const char *)other + row->offset;
    return row->kind == WEIR_SCHEMA_MAPPING ? same_mapping(row->keys, left, right)
           : row->kind == WEIR_SCHEMA_LIST  ? same_list(row, left, right)
                                            : same_leaf(row, left, right);
}

static bool same_mapping(const struct weir_schema *table, const void *one, const void *other)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        if (!same_row(row, one, other)) {
            return false;
        }
    }
    return true;
}

enum weir_config_difference
weir_config_compare_destinations(const struct weir_config_destination *one,
                                 const struct weir_config_destination *other)
{
    enum weir_config_difference difference = WEIR_CONFIG_SAME;
    for (const struct weir_schema *row = weir_schema_destination; row->name != NULL; row++) {
        if (same_row(row, one, other)) {
            continue;
        }
        if ((row->flags & WEIR_SCHEMA_ROUTE) == 0) {
            return WEIR_CONFIG_OTHER;
        }
        difference = WEIR_CONFIG_ROUTE;
    }
    return difference;
}

bool weir_config_same_key(const struct weir_config_access_key *one,
                          const struct weir_config_access_key *other)
{
    return weir_bytes_eq(one->key, other->key) && one->not_before_ns == other->not_before_ns &&
           one->not_after_ns == other->not_after_ns && same_texts(one->accounts, other->accounts);
}

struct keeping {
    void (*kept)(void *argument, const char *path);
    void *argument;
    char path[PATH_SIZE];
};

static size_t field_size(enum weir_schema_kind kind)
{
    switch (kind) {
    case WEIR_SCHEMA_SIZE: return sizeof(size_t);
    case WEIR_SCHEMA_DURATION:
    case WEIR_SCHEMA_TIME: return sizeof(int64_t);
    case WEIR_SCHEMA_COUNT: return sizeof(uint32_t);
    case WEIR_SCHEMA_CHOICE: return sizeof(unsigned);
    case WEIR_SCHEMA_LIST: return sizeof(struct weir_config_list);
    case WEIR_SCHEMA_TEXT:
    case WEIR_SCHEMA_TEXTS:
    case WEIR_SCHEMA_HEADERS:
    case WEIR_SCHEMA_ATTRIBUTES:
    case WEIR_SCHEMA_RESOURCE:
    case WEIR_SCHEMA_CODES: return sizeof(void *);
    case WEIR_SCHEMA_LATER: return 0;
    case WEIR_SCHEMA_MAPPING: break;
    }
    WEIR_UNREACHABLE();
}

static void keep_mapping(struct keeping *keeping, size_t size, const struct weir_schema *table,
                         void *fresh, const void *running)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        void *field = (char *)fresh + row->offset;
        const void *value = (const char *)running + row->offset;
        if ((row->flags & WEIR_SCHEMA_LIVE) != 0) {
            continue;
        }
        int more = snprintf(keeping->path + size, sizeof keeping->path - size, "%s%s",
                            size == 0 ? "" : ".", row->name);
        WEIR_ASSERT(more > 0);
        if (row->kind == WEIR_SCHEMA_MAPPING) {
            keep_mapping(keeping, size + (size_t)more, row->keys, field, value);
        } else if (!same_row(row, fresh, running)) {
            keeping->kept(keeping->argument, keeping->path);
            memcpy(field, value, field_size(row->kind));
        }
        keeping->path[size] = 0;
    }
}

void weir_config_keep(struct weir_config *fresh, const struct weir_config *running,
                      void (*kept)(void *argument, const char *path), void *argument)
{
    struct keeping keeping = {.kept = kept, .argument = argument};
    keep_mapping(&keeping, 0, weir_schema_root, fresh, running);
}
