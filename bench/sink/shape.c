/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes as a backend's documentation would tell them, and not with the code that makes them:
 *
 *   AWS/EC2 CPUUtilization { InstanceId }, its minimum
 *   cloudwatch   amazonaws.com/AWS/EC2/CPUUtilization                   .min
 *   dynatrace    cloud.aws.ec2.CPUUtilization.By.InstanceId             .min
 *   prometheus   amazonaws_com_AWS_EC2_CPUUtilization                   _min
 *
 *   I1  each part of a point has a name of its own, or (the whole) a kind of its own
 *   I2  the parts of a point follow from the shape and from which percentiles it has
 *
 * Threads: any; all is pure. Deliberately knows no gauges' ends but the default ones, no set
 * resource, no limits, no filters and none of the older Dynatrace names: a world's points meet none
 * of them unless somebody asks for it.
 */
#include "sink/shape.h"
#include "weir/panic.h"
#include <stdio.h>

#define WORDS_MAX 4

/* -- the option -------------------------------------------------------------------------------- */

static const struct weir_bytes promotable[WEIR_SINK_SHAPE_PROMOTED_MAX] = {
    WEIR_BYTES_INIT("cloud.provider"), WEIR_BYTES_INIT("cloud.account.id"),
    WEIR_BYTES_INIT("cloud.region")};

/* The index of `text` among the words, or -1. */
static int word_of(struct weir_bytes text, const char *const words[WORDS_MAX])
{
    for (int i = 0; i < WORDS_MAX && words[i] != NULL; i++) {
        if (weir_bytes_eq(text, weir_bytes_str(words[i]))) {
            return i;
        }
    }
    return -1;
}

static int promoted_of(struct weir_bytes text)
{
    for (int i = 0; i < WEIR_SINK_SHAPE_PROMOTED_MAX; i++) {
        if (weir_bytes_eq(text, promotable[i])) {
            return i;
        }
    }
    return -1;
}

static const char *const keys[] = {"summary", "dimensions", "names", "attribute_keys", "promote"};
static const char *const wrong[] = {
    "summary is keep, gauges or exponential_histogram", "dimensions are kvlist, flat or json",
    "names are cloudwatch, dynatrace or prometheus", "attribute_keys is keep or dynatrace",
    "what can be promoted is cloud.provider, cloud.account.id and cloud.region"};

/* One key=value; NULL, or what is wrong with it. */
static const char *read_pair(struct weir_bytes key, struct weir_bytes value,
                             struct weir_sink_shape *shape)
{
    static const char *const words[][WORDS_MAX] = {{"keep", "gauges", "exponential_histogram"},
                                                   {"kvlist", "flat", "json"},
                                                   {"cloudwatch", "dynatrace", "prometheus"},
                                                   {"keep", "dynatrace"}};
    unsigned which = 0;
    while (which < sizeof keys / sizeof *keys && !weir_bytes_eq(key, weir_bytes_str(keys[which]))) {
        which++;
    }
    if (which == sizeof keys / sizeof *keys) {
        return "expected summary, dimensions, names, attribute_keys or promote";
    }
    int word = which < 4 ? word_of(value, words[which]) : promoted_of(value);
    if (word < 0) {
        return wrong[which];
    }
    switch (which) {
    case 0: shape->summary = (enum weir_sink_shape_summary)word; break;
    case 1: shape->dimensions = (enum weir_sink_shape_dimensions)word; break;
    case 2: shape->names = (enum weir_sink_shape_names)word; break;
    case 3: shape->mends_keys = word == 1; break;
    default: shape->promoted |= 1U << word; break;
    }
    return NULL;
}

enum weir_status weir_sink_shape_parse(const char *text, struct weir_sink_shape *ret,
                                       const char **ret_what)
{
    struct weir_sink_shape shape = {.summary = WEIR_SINK_SHAPE_KEEP};
    const char *what = NULL;
    while (what == NULL && *text != '\0') {
        size_t size = strcspn(text, ",");
        const char *equals = memchr(text, '=', size);
        size_t key_size = equals == NULL ? 0 : (size_t)(equals - text);
        what = equals == NULL ? "expected key=value,key=value"
                              : read_pair(weir_bytes_of(text, key_size),
                                          weir_bytes_of(equals + 1, size - key_size - 1), &shape);
        text += size + (text[size] == ',' ? 1 : 0);
    }
    if (what == NULL && shape.mends_keys && shape.dimensions != WEIR_SINK_SHAPE_FLAT) {
        what = "attribute_keys=dynatrace goes with dimensions=flat";
    }
    if (what != NULL) {
        *ret_what = what;
        return WEIR_EINVAL;
    }
    *ret = shape;
    return WEIR_OK;
}

/* -- parts ------------------------------------------------------------------------------------- */

unsigned weir_sink_shape_parts(const struct weir_sink_shape *shape,
                               const struct weir_traffic_point *point)
{
    const unsigned whole = 1U << WEIR_SINK_PART_WHOLE;
    WEIR_ASSERT(point->quantiles >= 2);
    unsigned percentiles = point->quantiles - 2;
    WEIR_ASSERT(percentiles <= WEIR_SINK_PART_PLACES - WEIR_SINK_PART_PERCENTILE);
    unsigned more = ((1U << percentiles) - 1) << WEIR_SINK_PART_PERCENTILE;
    switch (shape->summary) {
    case WEIR_SINK_SHAPE_KEEP: return whole;
    case WEIR_SINK_SHAPE_EXPONENTIAL: return whole | more;
    case WEIR_SINK_SHAPE_GAUGES:
        return more | 1U << WEIR_SINK_PART_MIN | 1U << WEIR_SINK_PART_MAX |
               1U << WEIR_SINK_PART_SUM | 1U << WEIR_SINK_PART_COUNT;
    }
    WEIR_UNREACHABLE();
}

/* -- names and keys ---------------------------------------------------------------------------- */

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Appends `text` with _ for all that is neither letter nor digit nor one of `others` (the world's
 * names are ASCII), in lower case if it is to be. */
static void put_mended(struct weir_buf *out, struct weir_bytes text, const char *others, bool lower)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool stays = is_letter(c) || (c >= '0' && c <= '9') || (c != 0 && strchr(others, c));
        c = stays ? c : '_';
        weir_buf_put_byte(out, lower && c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c);
    }
}

/* The end of a part's name, as it is before its characters are mended. */
static struct weir_bytes suffix_of(const struct weir_traffic_point *point, unsigned place,
                                   char room[32])
{
    static const char *const ends[] = {"", ".min", ".max", ".sum", ".count"};
    if (place < WEIR_SINK_PART_PERCENTILE) {
        return weir_bytes_str(ends[place]);
    }
    double quantile = point->quantile[place - WEIR_SINK_PART_PERCENTILE + 1];
    int size = snprintf(room, 32, ".p%.10g", quantile * 100);
    WEIR_ASSERT(size > 0 && size < 32);
    return weir_bytes_of(room, (size_t)size);
}

static bool is_before(struct weir_bytes a, struct weir_bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order < 0 || (order == 0 && a.size < b.size);
}

/* .By.<key>.<key>, sorted. */
static void put_keys(struct weir_buf *out, const struct weir_traffic_point *point)
{
    bool done[WEIR_TRAFFIC_DIMENSIONS_MAX] = {false};
    weir_buf_put(out, WEIR_BYTES(".By"));
    for (uint32_t put = 0; put < point->dimensions; put++) {
        uint32_t least = WEIR_TRAFFIC_DIMENSIONS_MAX;
        for (uint32_t i = 0; i < point->dimensions; i++) {
            bool is_less = least == WEIR_TRAFFIC_DIMENSIONS_MAX ||
                           is_before(point->keys[i], point->keys[least]);
            least = !done[i] && is_less ? i : least;
        }
        done[least] = true;
        weir_buf_put_byte(out, '.');
        put_mended(out, point->keys[least], "_-", false);
    }
}

static void put_dynatrace(struct weir_buf *out, const struct weir_traffic_point *point)
{
    static const struct weir_bytes aws = WEIR_BYTES_INIT("AWS/");
    bool is_aws = weir_bytes_starts_with(point->name, aws);
    weir_buf_put(out, is_aws ? WEIR_BYTES("cloud.aws.") : WEIR_BYTES("cloud.custom."));
    put_mended(out, is_aws ? weir_bytes_from(point->name, aws.size) : point->name, "_-", true);
    weir_buf_put_byte(out, '.');
    put_mended(out, point->metric, "_-.", false);
    put_keys(out, point);
}

void weir_sink_shape_name(const struct weir_sink_shape *shape,
                          const struct weir_traffic_point *point, unsigned place,
                          struct weir_buf *out)
{
    char room[32];
    struct weir_bytes suffix = suffix_of(point, place, room);
    if (shape->names == WEIR_SINK_SHAPE_DYNATRACE) {
        put_dynatrace(out, point);
        weir_buf_put(out, suffix);
        return;
    }
    const char *others = shape->names == WEIR_SINK_SHAPE_PROMETHEUS ? "_:" : NULL;
    const struct weir_bytes pieces[] = {WEIR_BYTES("amazonaws.com/"), point->name, WEIR_BYTES("/"),
                                        point->metric, suffix};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (others == NULL) {
            weir_buf_put(out, pieces[i]);
        } else {
            put_mended(out, pieces[i], others, false);
        }
    }
}

struct weir_bytes weir_sink_shape_key(const struct weir_sink_shape *shape, struct weir_bytes key,
                                      struct weir_buf *out)
{
    size_t start = out->size;
    if (!shape->mends_keys) {
        weir_buf_put(out, key);
    } else {
        bool begins_well = key.size > 0 && (is_letter(key.data[0]) || key.data[0] == '_');
        weir_buf_put(out, begins_well ? WEIR_BYTES("") : WEIR_BYTES("_"));
        put_mended(out, key, "_.-", true);
    }
    return out->failed ? weir_bytes_of(NULL, 0)
                       : weir_bytes_of(out->data + start, out->size - start);
}

struct weir_bytes weir_sink_shape_promoted(const struct weir_traffic_point *point, unsigned bit,
                                           struct weir_bytes *ret_value)
{
    const struct weir_bytes values[] = {WEIR_BYTES("aws"), point->account, point->region};
    WEIR_ASSERT(bit < WEIR_SINK_SHAPE_PROMOTED_MAX);
    *ret_value = values[bit];
    return promotable[bit];
}
