/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that hold no further keys: texts and lists of them, numbers with units, choices,
 * headers.
 *
 *   node ──► text (expanded, checked) ──► parsed by the row's kind ──► within min..max
 *                                                                  ──► memcpy to the field
 *
 *   I1  a field is written only with a value that was good
 *   I2  what is quoted in a message is no secret: rows with WEIR_SCHEMA_SECRET and headers are
 *       never quoted
 *
 * Fields are written with memcpy, since the tables know them by offset and size and not by type;
 * the kinds in config_internal.h say which type each has.
 *
 * Main thread.
 */
#include "config_yaml.h"
#include "weir/clock.h"
#include "weir/panic.h"
#include <inttypes.h>

enum { WORDS_SIZE = 400 };

/* Words on their way into a message. */
struct words {
    char text[WORDS_SIZE];
    struct weir_buf buf;
};

static void words_init(struct words *words)
{
    words->buf = weir_buf_fixed(words->text, sizeof words->text - 1);
}

static void words_tell(struct words *words, struct weir_config_reader *reader,
                       const yaml_node_t *node)
{
    words->text[words->buf.size] = 0;
    weir_config_reader_error(reader, node, words->text);
}

static void put_quoted(struct words *words, const char *text)
{
    weir_buf_put_json_string(&words->buf, weir_bytes_str(text), 60);
}

const char *weir_schema_takes(const struct weir_schema *row)
{
    switch (row->kind) {
    case WEIR_SCHEMA_TEXT: return "a text";
    case WEIR_SCHEMA_TEXTS: return "a list of texts";
    case WEIR_SCHEMA_ATTRIBUTES: return "a mapping of names to lists of patterns";
    case WEIR_SCHEMA_RESOURCE:
    case WEIR_SCHEMA_HEADERS: return "a mapping of names to values";
    case WEIR_SCHEMA_SIZE: return "a size such as 3MiB";
    case WEIR_SCHEMA_DURATION: return "a duration such as 60s";
    case WEIR_SCHEMA_COUNT: return "a whole number";
    case WEIR_SCHEMA_CODES: return "a list of HTTP statuses";
    case WEIR_SCHEMA_TIME: return "a time such as 2026-12-31T00:00:00Z";
    case WEIR_SCHEMA_CHOICE: return "one of a few words";
    case WEIR_SCHEMA_MAPPING: return "a mapping of keys";
    case WEIR_SCHEMA_LIST:
        return (row->flags & WEIR_SCHEMA_NONE) != 0 ? "a list of mappings, or the word none"
                                                    : "a list of mappings";
    case WEIR_SCHEMA_LATER: return "nothing in this version";
    default: return "";
    }
}

/* A scalar's text, or NULL with the mistake told. */
static const char *leaf_text(struct weir_config_reader *reader, const yaml_node_t *node,
                             const struct weir_schema *row)
{
    const char *takes = weir_schema_takes(row);
    if (!weir_config_reader_is(reader, node, YAML_SCALAR_NODE, takes)) {
        return NULL;
    }
    return weir_config_reader_text(reader, node);
}

/* A text that fits the row, or NULL. */
static const char *valid_text(struct weir_config_reader *reader, const yaml_node_t *node,
                              const struct weir_schema *row)
{
    const char *text = leaf_text(reader, node, row);
    if (text == NULL) {
        return NULL;
    }
    struct words words;
    words_init(&words);
    if (text[0] == 0 && (row->flags & WEIR_SCHEMA_EMPTY) != 0) {
        return NULL;
    }
    if (text[0] == 0 && (row->flags & WEIR_SCHEMA_BLANK) == 0) {
        weir_config_reader_error(reader, node, "is empty (write a value, or leave the key out)");
        return NULL;
    }
    if (row->valid != NULL && !row->valid(text, &words.buf)) {
        words_tell(&words, reader, node);
        return NULL;
    }
    return text;
}

/* The nodes of a list; a single scalar is a list of one. False with the mistake told. */
static bool list_of(struct weir_config_reader *reader, const yaml_node_t *node,
                    const struct weir_schema *row, size_t *ret_count)
{
    if (node->type == YAML_SCALAR_NODE) {
        *ret_count = 1;
        return true;
    }
    if (!weir_config_reader_is(reader, node, YAML_SEQUENCE_NODE, weir_schema_takes(row))) {
        return false;
    }
    *ret_count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
    return true;
}

static yaml_node_t *list_item(struct weir_config_reader *reader, const yaml_node_t *node,
                              size_t index)
{
    WEIR_ASSERT(node->type == YAML_SEQUENCE_NODE);
    yaml_node_t *item =
        yaml_document_get_node(reader->document, node->data.sequence.items.start[index]);
    WEIR_ASSERT(item != NULL);
    return item;
}

static void read_texts(struct weir_config_reader *reader, const yaml_node_t *node,
                       const struct weir_schema *row, void *field)
{
    size_t count;
    if (!list_of(reader, node, row, &count)) {
        return;
    }
    if (count < (size_t)row->min || count > (size_t)row->max) {
        struct words words;
        words_init(&words);
        weir_buf_printf(&words.buf, "has %zu entries, not %" PRId64 " to %" PRId64 "%s", count,
                        row->min, row->max, count > 0 ? "" : " (write one, or leave the key out)");
        words_tell(&words, reader, node);
        return;
    }
    const char **texts = weir_config_alloc(reader->config, (count + 1) * sizeof *texts);
    bool good = texts != NULL;
    for (size_t i = 0; texts != NULL && i < count; i++) {
        const yaml_node_t *item =
            node->type == YAML_SCALAR_NODE ? node : list_item(reader, node, i);
        texts[i] = valid_text(reader, item, row);
        good = good && texts[i] != NULL;
    }
    if (good) {
        memcpy(field, &texts, sizeof texts);
    }
}

/* One "Name: value"; NULL with the mistake told. */
static const char *read_header(struct weir_config_reader *reader, const yaml_node_pair_t *pair)
{
    yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
    WEIR_ASSERT(key != NULL);
    WEIR_ASSERT(value != NULL);
    if (!weir_config_reader_is(reader, key, YAML_SCALAR_NODE, "a header's name") ||
        !weir_config_reader_is(reader, value, YAML_SCALAR_NODE, "a header's value")) {
        return NULL;
    }
    struct weir_bytes name = weir_bytes_of(key->data.scalar.value, key->data.scalar.length);
    const char *name_text =
        memchr(name.data, 0, name.size) == NULL ? weir_config_text(reader->config, name) : "";
    const char *value_text = weir_config_reader_text(reader, value);
    if (name_text == NULL || value_text == NULL) {
        return NULL;
    }
    struct words words;
    words_init(&words);
    if (!weir_config_valid_header(name_text, value_text, &words.buf)) {
        words_tell(&words, reader, key);
        return NULL;
    }
    size_t name_size = strlen(name_text);
    size_t value_size = strlen(value_text);
    char *header = weir_config_alloc(reader->config, name_size + value_size + 3);
    if (header != NULL) {
        memcpy(header, name_text, name_size);
        memcpy(header + name_size, ": ", 2);
        memcpy(header + name_size + 2, value_text, value_size);
    }
    return header;
}

static bool same_header(const char *a, const char *b)
{
    struct weir_bytes a_name = weir_bytes_of(a, strcspn(a, ":"));
    return weir_bytes_eq_nocase(a_name, weir_bytes_of(b, strcspn(b, ":")));
}

static void read_headers(struct weir_config_reader *reader, const yaml_node_t *node,
                         const struct weir_schema *row, void *field)
{
    if (!weir_config_reader_is(reader, node, YAML_MAPPING_NODE, weir_schema_takes(row))) {
        return;
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pairs);
    if (count > (size_t)row->max) {
        weir_config_reader_error(reader, node, "has too many headers (at most 64)");
        return;
    }
    const char **headers = weir_config_alloc(reader->config, (count + 1) * sizeof *headers);
    size_t good = 0;
    for (size_t i = 0; headers != NULL && i < count; i++) {
        const char *header = read_header(reader, &pairs[i]);
        for (size_t j = 0; header != NULL && j < good; j++) {
            if (same_header(headers[j], header)) {
                weir_config_reader_error(reader,
                                         yaml_document_get_node(reader->document, pairs[i].key),
                                         "this header is there twice");
                header = NULL;
            }
        }
        if (header != NULL) {
            headers[good++] = header;
        }
    }
    if (headers != NULL) {
        memcpy(field, &headers, sizeof headers);
    }
}

/* A key's text, NULL with the mistake told; `path` is extended by it until the caller cuts it. */
static const char *attribute_name(struct weir_config_reader *reader, const yaml_node_t *key)
{
    if (!weir_config_reader_is(reader, key, YAML_SCALAR_NODE, "an attribute's name")) {
        return NULL;
    }
    struct words words;
    words_init(&words);
    struct weir_bytes text = weir_bytes_of(key->data.scalar.value, key->data.scalar.length);
    const char *name = text.size > 0 && memchr(text.data, 0, text.size) == NULL
                           ? weir_config_text(reader->config, text)
                           : "";
    if (name != NULL && !weir_config_valid_attribute(name, &words.buf)) {
        words_tell(&words, reader, key);
        return NULL;
    }
    return name;
}

/* One attribute with its patterns into *ret, whose `values` stay NULL where something was wrong. */
static void read_attribute(struct weir_config_reader *reader, const yaml_node_pair_t *pair,
                           const struct weir_route_attribute *before,
                           struct weir_route_attribute *ret)
{
    static const struct weir_schema patterns = {.name = "",
                                                .kind = WEIR_SCHEMA_TEXTS,
                                                .flags = WEIR_SCHEMA_BLANK,
                                                .min = 1,
                                                .max = WEIR_CONFIG_ITEMS_MAX};
    yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
    WEIR_ASSERT(key != NULL);
    WEIR_ASSERT(value != NULL);
    ret->name = attribute_name(reader, key);
    if (ret->name == NULL) {
        return;
    }
    size_t path = weir_config_reader_push(reader, ret->name, 0);
    bool is_twice = false;
    for (; before < ret; before++) {
        is_twice = is_twice || (before->name != NULL && strcmp(before->name, ret->name) == 0);
    }
    if (is_twice) {
        weir_config_reader_error(reader, key, "this attribute is there twice");
    } else if (weir_config_reader_is_null(value)) {
        weir_config_reader_error(reader, value,
                                 "is empty (write patterns; \"\" in quotes for a stream that does "
                                 "not have the attribute)");
    } else {
        read_texts(reader, value, &patterns, &ret->values);
    }
    weir_config_reader_pop(reader, path);
}

static void read_attributes(struct weir_config_reader *reader, const yaml_node_t *node,
                            const struct weir_schema *row, void *field)
{
    if (!weir_config_reader_is(reader, node, YAML_MAPPING_NODE, weir_schema_takes(row))) {
        return;
    }
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pairs);
    if (count < (size_t)row->min || count > (size_t)row->max) {
        struct words words;
        words_init(&words);
        weir_buf_printf(&words.buf, "has %zu attributes, not %" PRId64 " to %" PRId64 "%s", count,
                        row->min, row->max, count > 0 ? "" : " (write one, or leave the key out)");
        words_tell(&words, reader, node);
        return;
    }
    struct weir_route_attribute *attributes =
        weir_config_alloc(reader->config, (count + 1) * sizeof *attributes);
    bool good = attributes != NULL;
    for (size_t i = 0; attributes != NULL && i < count; i++) {
        read_attribute(reader, &pairs[i], attributes, &attributes[i]);
        good = good && attributes[i].values != NULL;
    }
    if (good) {
        memcpy(field, &attributes, sizeof attributes);
    }
}

static void read_choice(struct weir_config_reader *reader, const yaml_node_t *node,
                        const struct weir_schema *row, void *field)
{
    const char *text = leaf_text(reader, node, row);
    if (text == NULL) {
        return;
    }
    for (unsigned i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            memcpy(field, &i, sizeof i);
            return;
        }
    }
    struct words words;
    words_init(&words);
    weir_buf_put(&words.buf, WEIR_BYTES("not one of "));
    for (size_t i = 0; row->choices[i] != NULL; i++) {
        weir_buf_printf(&words.buf, "%s%s", i == 0 ? "" : ", ", row->choices[i]);
    }
    weir_buf_put(&words.buf, WEIR_BYTES(": "));
    put_quoted(&words, text);
    const char *near = weir_config_reader_nearest(weir_bytes_str(text), row->choices);
    if (near != NULL) {
        weir_buf_printf(&words.buf, " (did you mean %s?)", near);
    }
    words_tell(&words, reader, node);
}

/* A number as the table bounds it; kinds differ in how it is written. */
static const char *parse_number(enum weir_schema_kind kind, struct weir_bytes text, int64_t *ret)
{
    uint64_t count = 0;
    size_t size = 0;
    const char *bad;
    switch ((int)kind) {
    case WEIR_SCHEMA_DURATION: return weir_config_parse_duration(text, ret);
    case WEIR_SCHEMA_TIME: return weir_config_parse_time(text, ret);
    case WEIR_SCHEMA_SIZE:
        bad = weir_config_parse_size(text, &size);
        count = size;
        break;
    default: bad = weir_config_parse_count(text, &count); break;
    }
    if (bad == NULL && count > INT64_MAX) {
        return "too large";
    }
    if (bad == NULL) {
        *ret = (int64_t)count;
    }
    return bad;
}

static void put_number(struct weir_buf *out, enum weir_schema_kind kind, int64_t number)
{
    if (kind == WEIR_SCHEMA_DURATION) {
        weir_config_put_duration(out, number);
    } else if (kind == WEIR_SCHEMA_SIZE) {
        weir_config_put_size(out, (size_t)number);
    } else {
        weir_buf_printf(out, "%" PRId64, number);
    }
}

/* A number of the row's kind and bounds: true, or false with the mistake told. */
static bool read_number(struct weir_config_reader *reader, const yaml_node_t *node,
                        const struct weir_schema *row, int64_t *ret)
{
    const char *text = leaf_text(reader, node, row);
    if (text == NULL) {
        return false;
    }
    struct words words;
    words_init(&words);
    const char *bad = parse_number(row->kind, weir_bytes_str(text), ret);
    if (bad != NULL) {
        const char *takes = row->kind == WEIR_SCHEMA_CODES ? "400 to 599" : weir_schema_takes(row);
        weir_buf_printf(&words.buf, "%s: ", bad);
        put_quoted(&words, text);
        weir_buf_printf(&words.buf, " (write %s)", takes);
        words_tell(&words, reader, node);
        return false;
    }
    if (row->kind != WEIR_SCHEMA_TIME && (*ret < row->min || *ret > row->max)) {
        weir_buf_printf(&words.buf, "%s is not within ", text);
        put_number(&words.buf, row->kind, row->min);
        weir_buf_put(&words.buf, WEIR_BYTES(" to "));
        put_number(&words.buf, row->kind, row->max);
        words_tell(&words, reader, node);
        return false;
    }
    return true;
}

static void read_codes(struct weir_config_reader *reader, const yaml_node_t *node,
                       const struct weir_schema *row, void *field)
{
    enum { CODES_MAX = 64, GRPC_MAX = 16, HTTP_MIN = 400 };
    size_t count;
    if (!list_of(reader, node, row, &count)) {
        return;
    }
    if (count > CODES_MAX) {
        weir_config_reader_error(reader, node, "has too many statuses (at most 64)");
        return;
    }
    int *codes = weir_config_alloc(reader->config, (count + 1) * sizeof *codes);
    bool good = codes != NULL;
    for (size_t i = 0; codes != NULL && i < count; i++) {
        const yaml_node_t *item =
            node->type == YAML_SCALAR_NODE ? node : list_item(reader, node, i);
        int64_t code = 0;
        good = read_number(reader, item, row, &code) && good;
        if (code > GRPC_MAX && code < HTTP_MIN) {
            weir_config_reader_error(reader, item,
                                     "is neither a status (400 to 599) nor gRPC's (1 to 16)");
            good = false;
        }
        codes[i] = (int)code;
    }
    if (good) {
        memcpy(field, &codes, sizeof codes);
    }
}

void weir_config_reader_leaf(struct weir_config_reader *reader, const yaml_node_t *node,
                             const struct weir_schema *row, void *field)
{
    int64_t number;
    const char *text;
    switch ((int)row->kind) {
    case WEIR_SCHEMA_TEXT:
        text = valid_text(reader, node, row);
        if (text != NULL) {
            memcpy(field, &text, sizeof text);
        }
        break;
    case WEIR_SCHEMA_TEXTS: read_texts(reader, node, row, field); break;
    case WEIR_SCHEMA_ATTRIBUTES: read_attributes(reader, node, row, field); break;
    case WEIR_SCHEMA_RESOURCE: weir_config_reader_resource(reader, node, row, field); break;
    case WEIR_SCHEMA_HEADERS: read_headers(reader, node, row, field); break;
    case WEIR_SCHEMA_CHOICE: read_choice(reader, node, row, field); break;
    case WEIR_SCHEMA_CODES: read_codes(reader, node, row, field); break;
    case WEIR_SCHEMA_SIZE:
        if (read_number(reader, node, row, &number)) {
            memcpy(field, &(size_t){(size_t)number}, sizeof(size_t));
        }
        break;
    case WEIR_SCHEMA_COUNT:
        if (read_number(reader, node, row, &number)) {
            memcpy(field, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        }
        break;
    case WEIR_SCHEMA_DURATION:
    case WEIR_SCHEMA_TIME:
        if (read_number(reader, node, row, &number)) {
            memcpy(field, &number, sizeof number);
        }
        break;
    default: WEIR_UNREACHABLE();
    }
}
