/* SPDX-License-Identifier: Apache-2.0 */
#include "shape_points.h"

static struct weir_point *new_list(struct weir_shape_walk *walk, size_t capacity)
{
    size_t size = 0;
    if (capacity > UINT32_MAX ||
        __builtin_mul_overflow(capacity, sizeof(struct weir_point), &size)) {
        return NULL;
    }
    return weir_arena_alloc(walk->arena, size, _Alignof(struct weir_point));
}

bool weir_shape_points_begin(struct weir_shape_walk *walk, size_t count)
{
    walk->points = new_list(walk, count);
    walk->capacity = (uint32_t)count;
    return walk->points != NULL;
}

/* The old list stays behind in the arena: it is a tenth of what its points take. */
static bool grow(struct weir_shape_walk *walk)
{
    size_t capacity = (size_t)walk->capacity * 2;
    struct weir_point *points = new_list(walk, capacity);
    if (points == NULL) {
        return false;
    }
    memcpy(points, walk->points, walk->count * sizeof(*points));
    walk->points = points;
    walk->capacity = (uint32_t)capacity;
    return true;
}

uint8_t *weir_shape_points_add(struct weir_shape_walk *walk, uint32_t index,
                               const struct weir_metric *metric, size_t size)
{
    if (metric == NULL || size > UINT32_MAX || (walk->count == walk->capacity && !grow(walk))) {
        return NULL;
    }
    uint8_t *data = weir_arena_alloc(walk->arena, size == 0 ? 1 : size, 1);
    if (data == NULL) {
        return NULL;
    }
    walk->points[walk->count++] = (struct weir_point){data, (uint32_t)size, index, metric};
    walk->bytes += weir_point_encoded_size((uint32_t)size);
    return data;
}

bool weir_shape_points_refuse(struct weir_shape_walk *walk, uint32_t index,
                              enum weir_shape_refusal reason)
{
    if (walk->refused == NULL) { /* rare: at once for all that may follow */
        size_t size = (walk->in->count - index) * sizeof(*walk->refused);
        walk->refused = weir_arena_alloc(walk->arena, size, _Alignof(struct weir_shape_refused));
        if (walk->refused == NULL) {
            return false;
        }
    }
    walk->refused[walk->refused_count++] = (struct weir_shape_refused){index, reason};
    return true;
}
