/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of resource attributes: read from a mapping, from the environment, and laid over each
 * other.
 *
 *   preset's ──► OTEL_RESOURCE_ATTRIBUTES ──► OTEL_SERVICE_NAME ──► the destination's own
 *                                     each wins over what stands to its left, key by key
 *
 *   I1  a list has each key once, and ends with a NULL key
 *   I2  lists are never changed, only made anew: destinations share the environment's
 *
 * OTEL_RESOURCE_ATTRIBUTES (OpenTelemetry specification, "Resource SDK") is a list key=value, with
 * commas, percent-encoded as W3C baggage, without properties. When any of it is wrong all of it is
 * left out, with a warning, as the specification says. An empty variable counts as not set.
 *
 * An attribute whose value is empty is not set (config_shape.c): so a file takes back what the
 * environment or a preset says.
 *
 * The main thread, before any other is started.
 */
#include "config_yaml.h"
#include "weir/panic.h"
#include "weir/utf8.h"
#include <inttypes.h>
#include <stdlib.h>

static const char service_name[] = "service.name";

static size_t list_size(const struct weir_shape_attribute *list)
{
    size_t size = 0;
    while (list != NULL && list[size].key != NULL) {
        size++;
    }
    return size;
}

/* The attribute of this key, or where a new one goes. */
static size_t list_find(const struct weir_shape_attribute *list, size_t size, const char *key)
{
    size_t at = 0;
    while (at < size && strcmp(list[at].key, key) != 0) {
        at++;
    }
    return at;
}

const struct weir_shape_attribute *weir_config_overlay(struct weir_config *config,
                                                       const struct weir_shape_attribute *under,
                                                       const struct weir_shape_attribute *over)
{
    size_t size = list_size(under);
    size_t over_size = list_size(over);
    if (over_size == 0 || size == 0) {
        return over_size == 0 ? under : over;
    }
    struct weir_shape_attribute *list =
        weir_config_alloc(config, (size + over_size + 1) * sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    memcpy(list, under, size * sizeof *list);
    for (size_t i = 0; i < over_size; i++) {
        size_t at = list_find(list, size, over[i].key);
        list[at] = over[i];
        size += at == size ? 1 : 0;
    }
    return list;
}

/* -- the environment ------------------------------------------------------------------------- */

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

bool weir_config_put_decoded(struct weir_buf *out, struct weir_bytes text)
{
    bool is_whole = true;
    while (text.size > 0 && is_blank(text.data[0])) {
        text = weir_bytes_from(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    for (size_t i = 0; i < text.size; i++) {
        int high = text.data[i] == '%' && text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
        if (low >= 0) {
            weir_buf_put_byte(out, (uint8_t)(high * 16 + low));
            i += 2;
        } else {
            is_whole = is_whole && text.data[i] != '%';
            weir_buf_put_byte(out, text.data[i]);
        }
    }
    return is_whole;
}

/* What a file's texts are too. */
static bool is_clean(struct weir_bytes text)
{
    bool good = weir_utf8_valid(text);
    for (size_t i = 0; i < text.size; i++) {
        good = good && text.data[i] >= 0x20 && text.data[i] != 0x7f;
    }
    return good;
}

/* One key or value, decoded; NULL where it is none, or memory is out. */
static const char *decoded(struct weir_config *config, struct weir_bytes text)
{
    struct weir_buf out = weir_buf_grow_init(WEIR_CONFIG_TEXT_MAX);
    bool good = weir_config_put_decoded(&out, text) && !out.failed && is_clean(weir_buf_view(&out));
    const char *copy = good ? weir_config_text(config, weir_buf_view(&out)) : NULL;
    weir_buf_done(&out);
    return copy;
}

/* "key=value" into *ret: NULL, or what is wrong. */
static const char *take_pair(struct weir_config *config, struct weir_bytes pair,
                             struct weir_shape_attribute *ret)
{
    const uint8_t *equals = pair.size == 0 ? NULL : memchr(pair.data, '=', pair.size);
    if (equals == NULL) {
        return "a pair without =";
    }
    size_t key_size = (size_t)(equals - pair.data);
    ret->key = decoded(config, weir_bytes_of(pair.data, key_size));
    ret->value = decoded(config, weir_bytes_from(pair, key_size + 1));
    char memory[80];
    struct weir_buf unused = weir_buf_fixed(memory, sizeof memory);
    if (ret->key == NULL || !weir_config_valid_attribute(ret->key, &unused)) {
        return "a pair without a key, or with a broken one";
    }
    return ret->value == NULL ? "a value with a broken % or control characters" : NULL;
}

/* All pairs into `list`, which has room for one more than LIST_MAX: NULL, or what is wrong. */
static const char *take_pairs(struct weir_config *config, const char *text,
                              struct weir_shape_attribute *list)
{
    size_t size = 0;
    for (const char *at = text; *at != 0;) {
        size_t length = strcspn(at, ",");
        struct weir_shape_attribute one;
        if (strspn(at, " \t") < length) { /* else nothing between two commas */
            const char *bad = take_pair(config, weir_bytes_of(at, length), &one);
            if (bad != NULL) {
                return bad;
            }
            size_t place = list_find(list, size, one.key);
            if (place == WEIR_SHAPE_LIST_MAX) {
                return "more than 256 attributes";
            }
            list[place] = one;
            size += place == size ? 1 : 0;
        }
        at += length + (at[length] == ',');
    }
    return NULL;
}

static const struct weir_config_place nowhere;

static void take_attributes(struct weir_config *config, struct weir_config_report *report)
{
    static const char variable[] = "OTEL_RESOURCE_ATTRIBUTES";
    const char *text = getenv(variable);
    if (text == NULL || text[0] == 0) {
        return;
    }
    struct weir_shape_attribute *list =
        weir_config_alloc(config, (WEIR_SHAPE_LIST_MAX + 1) * sizeof *list);
    const char *bad = list == NULL ? "out of memory" : take_pairs(config, text, list);
    if (bad == NULL) {
        config->resource = list;
        return;
    }
    weir_config_warn(report, nowhere, variable,
                     "%s; all of it is left out (write key=value,key=value, %%2C for a comma)",
                     bad);
}

void weir_config_otel_resource(struct weir_config *config, struct weir_config_report *report)
{
    take_attributes(config, report);
    const char *name = getenv("OTEL_SERVICE_NAME");
    if (name == NULL || name[0] == 0) {
        return;
    }
    if (!is_clean(weir_bytes_str(name))) {
        weir_config_warn(report, nowhere, "OTEL_SERVICE_NAME",
                         "is left out: not UTF-8, or with a control character");
        return;
    }
    struct weir_shape_attribute *service = weir_config_alloc(config, 2 * sizeof *service);
    const char *copy = weir_config_text(config, weir_bytes_str(name));
    if (service != NULL && copy != NULL) {
        *service = (struct weir_shape_attribute){service_name, copy};
        config->resource = weir_config_overlay(config, config->resource, service);
    }
}

/* -- a mapping of the file ------------------------------------------------------------------- */

/* One attribute into *ret; false with the mistake told. */
static bool read_one(struct weir_config_reader *reader, const yaml_node_pair_t *pair,
                     struct weir_shape_attribute *ret)
{
    char words[300];
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
    WEIR_ASSERT(key != NULL);
    WEIR_ASSERT(value != NULL);
    if (!weir_config_reader_is(reader, key, YAML_SCALAR_NODE, "an attribute's name")) {
        return false;
    }
    struct weir_bytes text = weir_bytes_of(key->data.scalar.value, key->data.scalar.length);
    bool is_text = text.size > 0 && memchr(text.data, 0, text.size) == NULL;
    ret->key = is_text ? weir_config_text(reader->config, text) : "";
    if (ret->key == NULL) {
        return false;
    }
    if (!weir_config_valid_attribute(ret->key, &why)) {
        words[why.size] = 0;
        weir_config_reader_error(reader, key, words);
        return false;
    }
    size_t path = weir_config_reader_push(reader, ret->key, 0);
    ret->value = NULL;
    if (weir_config_reader_is_null(value)) {
        weir_config_reader_error(reader, value,
                                 "is empty (write a value; \"\" in quotes not to set it)");
    } else if (weir_config_reader_is(reader, value, YAML_SCALAR_NODE, "a text")) {
        ret->value = weir_config_reader_text(reader, value);
    }
    weir_config_reader_pop(reader, path);
    return ret->value != NULL;
}

void weir_config_reader_resource(struct weir_config_reader *reader, const yaml_node_t *node,
                                 const struct weir_schema *row, void *field)
{
    if (!weir_config_reader_is(reader, node, YAML_MAPPING_NODE, weir_schema_takes(row))) {
        return;
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pairs);
    if (count > (size_t)row->max) {
        char words[80];
        (void)snprintf(words, sizeof words, "has %zu attributes, not at most %" PRId64, count,
                       row->max);
        weir_config_reader_error(reader, node, words);
        return;
    }
    struct weir_shape_attribute *list =
        weir_config_alloc(reader->config, (count + 1) * sizeof *list);
    size_t good = 0;
    for (size_t i = 0; list != NULL && i < count; i++) {
        struct weir_shape_attribute one;
        if (!read_one(reader, &pairs[i], &one)) {
            continue;
        }
        if (list_find(list, good, one.key) < good) {
            weir_config_reader_error(reader, yaml_document_get_node(reader->document, pairs[i].key),
                                     "this attribute is there twice");
            continue;
        }
        list[good++] = one;
    }
    const struct weir_shape_attribute *before;
    memcpy(&before, field, sizeof before);
    const struct weir_shape_attribute *all = weir_config_overlay(reader->config, before, list);
    memcpy(field, &all, sizeof all);
}
