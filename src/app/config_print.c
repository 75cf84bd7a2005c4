/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effective configuration as YAML, and the list of all keys: both by walking the tables.
 *
 *   I1  what is printed reads back to a configuration that prints the same (fuzz_config proves it)
 *   I2  a secret is printed as ***: key values, header values, a URL's query
 *   I3  texts are quoted unless they are plain in every YAML reader's eyes; $ is doubled
 *
 * What was not written and has no default (a time, a proxy) is left out, as are keys that do not
 * apply to a destination's type, and keys of later versions.
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdio.h>

static void print_mapping(struct weir_buf *out, const struct weir_schema *table,
                          const void *mapping, unsigned indent);

static void put_indent(struct weir_buf *out, unsigned indent)
{
    for (unsigned i = 0; i < indent; i++) {
        weir_buf_put(out, WEIR_BYTES("  "));
    }
}

static bool is_plain(struct weir_bytes text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/";
    static const char further[] = "0123456789.-";
    for (size_t i = 0; i < text.size; i++) {
        char byte = (char)text.data[i];
        bool letter = byte != 0 && strchr(letters, byte) != NULL;
        if (!letter && (i == 0 || byte == 0 || strchr(further, byte) == NULL)) {
            return false;
        }
    }
    return text.size > 0 && !weir_bytes_eq(text, WEIR_BYTES("null"));
}

static void put_text(struct weir_buf *out, struct weir_bytes text)
{
    if (is_plain(text)) {
        weir_buf_put(out, text);
        return;
    }
    struct weir_buf doubled = weir_buf_grow_init((size_t)2 * WEIR_CONFIG_TEXT_MAX + 2);
    for (size_t i = 0; i < text.size; i++) {
        weir_buf_put_byte(&doubled, text.data[i]);
        if (text.data[i] == '$') {
            weir_buf_put_byte(&doubled, '$');
        }
    }
    out->failed = out->failed || doubled.failed;
    weir_buf_put_json_string(out, weir_buf_view(&doubled), 0);
    weir_buf_done(&doubled);
}

/* A URL without its query, which may hold a token. */
static void put_masked(struct weir_buf *out, const char *text)
{
    const char *query = strncmp(text, "http", 4) == 0 ? strchr(text, '?') : NULL;
    if (query == NULL) {
        put_text(out, weir_bytes_str(text));
        return;
    }
    struct weir_buf masked = weir_buf_grow_init(WEIR_CONFIG_TEXT_MAX);
    weir_buf_put(&masked, weir_bytes_of(text, (size_t)(query - text)));
    weir_buf_put(&masked, WEIR_BYTES("?***"));
    put_text(out, weir_buf_view(&masked));
    weir_buf_done(&masked);
}

static void put_texts(struct weir_buf *out, const char *const *texts)
{
    weir_buf_put_byte(out, '[');
    for (size_t i = 0; texts[i] != NULL; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ", "));
        put_text(out, weir_bytes_str(texts[i]));
    }
    weir_buf_put(out, WEIR_BYTES("]\n"));
}

static void put_headers(struct weir_buf *out, const char *const *headers)
{
    weir_buf_put_byte(out, '{');
    for (size_t i = 0; headers[i] != NULL; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ", "));
        struct weir_bytes name = weir_bytes_of(headers[i], strcspn(headers[i], ":"));
        weir_buf_put_json_string(out, name, 0); /* names are not expanded, so $ stays single */
        weir_buf_put(out, WEIR_BYTES(": \"***\""));
    }
    weir_buf_put(out, WEIR_BYTES("}\n"));
}

/* Names are not expanded, so $ stays single in them. */
static void put_attributes(struct weir_buf *out, const struct weir_route_attribute *attributes)
{
    weir_buf_put_byte(out, '{');
    for (size_t i = 0; attributes[i].name != NULL; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ", "));
        weir_buf_put_json_string(out, weir_bytes_str(attributes[i].name), 0);
        weir_buf_put(out, WEIR_BYTES(": ["));
        for (size_t j = 0; attributes[i].values[j] != NULL; j++) {
            weir_buf_put(out, weir_bytes_str(j == 0 ? "" : ", "));
            put_text(out, weir_bytes_str(attributes[i].values[j]));
        }
        weir_buf_put_byte(out, ']');
    }
    weir_buf_put(out, WEIR_BYTES("}\n"));
}

static void put_resource(struct weir_buf *out, const struct weir_shape_attribute *resource)
{
    weir_buf_put_byte(out, '{');
    for (size_t i = 0; resource[i].key != NULL; i++) {
        weir_buf_put(out, weir_bytes_str(i == 0 ? "" : ", "));
        weir_buf_put_json_string(out, weir_bytes_str(resource[i].key), 0);
        weir_buf_put(out, WEIR_BYTES(": "));
        put_text(out, weir_bytes_str(resource[i].value));
    }
    weir_buf_put(out, WEIR_BYTES("}\n"));
}

static void put_codes(struct weir_buf *out, const int *codes)
{
    weir_buf_put_byte(out, '[');
    for (size_t i = 0; codes[i] != 0; i++) {
        weir_buf_printf(out, "%s%d", i == 0 ? "" : ", ", codes[i]);
    }
    weir_buf_put(out, WEIR_BYTES("]\n"));
}

static void put_list(struct weir_buf *out, const struct weir_schema *row,
                     const struct weir_config_list *list, unsigned indent)
{
    if (list->count == 0) {
        weir_buf_put(out, weir_bytes_str(list->none ? " none\n" : " []\n"));
        return;
    }
    weir_buf_put_byte(out, '\n');
    for (uint32_t i = 0; i < list->count; i++) {
        put_indent(out, indent + 1);
        weir_buf_put(out, WEIR_BYTES("-\n"));
        print_mapping(out, row->keys, (const char *)list->items + i * row->element_size,
                      indent + 2);
    }
}

/* A field of a leaf row, typed; what kind of row it is says which member is set. */
union field {
    const char *text;
    const char *const *texts;
    const struct weir_route_attribute *attributes;
    const struct weir_shape_attribute *resource;
    const int *codes;
    size_t size;
    int64_t number;
    uint32_t count;
    unsigned choice;
};

static size_t field_size(enum weir_schema_kind kind)
{
    switch ((int)kind) {
    case WEIR_SCHEMA_SIZE: return sizeof(size_t);
    case WEIR_SCHEMA_DURATION:
    case WEIR_SCHEMA_TIME: return sizeof(int64_t);
    case WEIR_SCHEMA_COUNT: return sizeof(uint32_t);
    case WEIR_SCHEMA_CHOICE: return sizeof(unsigned);
    default: return sizeof(void *);
    }
}

/* Whether there is nothing to print. */
static bool is_absent(const struct weir_schema *row, const union field *field)
{
    switch ((int)row->kind) {
    case WEIR_SCHEMA_TEXT: return field->text == NULL;
    case WEIR_SCHEMA_TEXTS:
    case WEIR_SCHEMA_HEADERS: return field->texts == NULL;
    case WEIR_SCHEMA_ATTRIBUTES: return field->attributes == NULL;
    case WEIR_SCHEMA_RESOURCE: return field->resource == NULL;
    case WEIR_SCHEMA_CODES: return field->codes == NULL;
    case WEIR_SCHEMA_TIME: return field->number == 0;
    default: return false;
    }
}

static void print_leaf(struct weir_buf *out, const struct weir_schema *row,
                       const union field *field)
{
    switch ((int)row->kind) {
    case WEIR_SCHEMA_TEXTS: put_texts(out, field->texts); return;
    case WEIR_SCHEMA_HEADERS: put_headers(out, field->texts); return;
    case WEIR_SCHEMA_ATTRIBUTES: put_attributes(out, field->attributes); return;
    case WEIR_SCHEMA_RESOURCE: put_resource(out, field->resource); return;
    case WEIR_SCHEMA_CODES: put_codes(out, field->codes); return;
    case WEIR_SCHEMA_SIZE: weir_config_put_size(out, field->size); break;
    case WEIR_SCHEMA_DURATION: weir_config_put_duration(out, field->number); break;
    case WEIR_SCHEMA_TIME: weir_config_put_time(out, field->number); break;
    case WEIR_SCHEMA_COUNT: weir_buf_printf(out, "%" PRIu32, field->count); break;
    case WEIR_SCHEMA_CHOICE: weir_buf_put(out, weir_bytes_str(row->choices[field->choice])); break;
    case WEIR_SCHEMA_TEXT:
        if ((row->flags & WEIR_SCHEMA_SECRET) != 0) {
            weir_buf_put(out, WEIR_BYTES("\"***\""));
        } else {
            put_masked(out, field->text);
        }
        break;
    default: WEIR_UNREACHABLE();
    }
    weir_buf_put_byte(out, '\n');
}

static bool has_keys(const struct weir_schema *table, const void *mapping)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        union field field = {0};
        memcpy(&field, (const char *)mapping + row->offset, field_size(row->kind));
        bool applies = row->applies == NULL || row->applies(mapping);
        if (applies && row->kind != WEIR_SCHEMA_LATER && !is_absent(row, &field)) {
            return true;
        }
    }
    return false;
}

static void print_row(struct weir_buf *out, const struct weir_schema *row, const void *field,
                      unsigned indent)
{
    union field value = {0};
    if (row->kind == WEIR_SCHEMA_MAPPING) {
        if (has_keys(row->keys, field)) {
            put_indent(out, indent);
            weir_buf_printf(out, "%s:\n", row->name);
            print_mapping(out, row->keys, field, indent + 1);
        }
        return;
    }
    if (row->kind == WEIR_SCHEMA_LIST) {
        put_indent(out, indent);
        weir_buf_printf(out, "%s:", row->name);
        put_list(out, row, field, indent);
        return;
    }
    memcpy(&value, field, field_size(row->kind));
    if (!is_absent(row, &value)) {
        put_indent(out, indent);
        weir_buf_printf(out, "%s: ", row->name);
        print_leaf(out, row, &value);
    }
}

static void print_mapping(struct weir_buf *out, const struct weir_schema *table,
                          const void *mapping, unsigned indent)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        bool applies = row->applies == NULL || row->applies(mapping);
        if (applies && row->kind != WEIR_SCHEMA_LATER) {
            print_row(out, row, (const char *)mapping + row->offset, indent);
        }
    }
}

void weir_config_print(const struct weir_config *config, struct weir_buf *out)
{
    print_mapping(out, weir_schema_root, config, 0);
}

struct weir_config_place weir_schema_place(const struct weir_config_mapping *at,
                                           const struct weir_schema *table, const char *name)
{
    for (size_t row = 0; at->keys != NULL && table[row].name != NULL; row++) {
        if (strcmp(table[row].name, name) == 0) {
            return at->keys[row];
        }
    }
    return (struct weir_config_place){0, 0};
}

struct walk {
    void (*visit)(void *argument, const struct weir_config_key *key);
    void *argument;
    char path[128];
};

static void walk_table(struct walk *walk, const struct weir_schema *table, size_t size,
                       bool is_live)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        int more =
            snprintf(walk->path + size, sizeof walk->path - size, "%s%s%s", size == 0 ? "" : ".",
                     row->name, row->kind == WEIR_SCHEMA_LIST ? "[]" : "");
        WEIR_ASSERT(more > 0);
        bool lives = is_live || (row->flags & WEIR_SCHEMA_LIVE) != 0;
        const struct weir_config_key key = {.path = walk->path,
                                            .takes = weir_schema_takes(row),
                                            .help = row->help,
                                            .is_live = lives,
                                            .is_boundary = lives && !is_live};
        walk->visit(walk->argument, &key);
        if (row->keys != NULL) {
            walk_table(walk, row->keys, size + (size_t)more, lives);
        }
        walk->path[size] = 0;
    }
}

void weir_config_keys(void (*visit)(void *argument, const struct weir_config_key *key),
                      void *argument)
{
    struct walk walk = {.visit = visit, .argument = argument};
    walk_table(&walk, weir_schema_root, 0, false);
}
