/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From libyaml's document to structs, by the tables of config_schema.c.
 *
 *   mapping node ──► for each pair: its row in the table ──► node of each row    (unknown, twice:
 *                                                                                told)
 *                ──► for each row, in the table's order: read the node by its kind
 *                                                        ──► target + offset
 *
 * Everything that is wrong is told and reading goes on with the next value, so that one run tells
 * all mistakes; a value that is wrong leaves its default in place. The report's owner sees from its
 * count that there were errors.
 *
 *   I1  recursion is as deep as the tables are nested (4), whatever the document does: also an
 *       alias that contains itself
 *   I2  what aliases multiply is bounded by the configuration's memory (weir_config_alloc)
 *   I3  a scalar's text is expanded (config_env.c) once, then checked: no NUL, no control character
 *   I4  a secret is in no message
 *
 * A plain empty scalar, ~ and null mean "not written", so that a mapping whose keys are all
 * commented out is its defaults. Not understood on purpose: merge keys (<<), tags, several
 * documents. libyaml reads YAML 1.1 but gives scalars no type, so "no" and "0x10" are texts here,
 * and the row says what they must be.
 *
 * Main thread.
 */
#include "config_yaml.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdlib.h>

static struct weir_config_place place_of(const yaml_mark_t *mark)
{
    return (struct weir_config_place){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

static struct weir_bytes scalar_of(const yaml_node_t *node)
{
    return weir_bytes_of(node->data.scalar.value, node->data.scalar.length);
}

size_t weir_config_reader_push(struct weir_config_reader *reader, const char *name, size_t index)
{
    size_t before = reader->path.size;
    struct weir_buf *path = &reader->path;
    path->failed = false;
    if (name == NULL) {
        weir_buf_printf(path, "[%zu]", index);
    } else {
        weir_buf_printf(path, "%s%.60s", before == 0 ? "" : ".", name);
    }
    weir_buf_put_byte(path, 0);
    path->size -= path->size > before && !path->failed ? 1 : 0;
    return before;
}

void weir_config_reader_pop(struct weir_config_reader *reader, size_t size)
{
    reader->path.failed = false;
    reader->path.size = size;
    reader->path.data[size] = 0;
}

void weir_config_reader_error(struct weir_config_reader *reader, const yaml_node_t *node,
                              const char *what)
{
    const char *path = reader->path.size == 0 ? NULL : (const char *)reader->path.data;
    weir_config_error(reader->report, place_of(&node->start_mark), path, "%s", what);
}

static const char *node_word(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SCALAR_NODE: return "a single value";
    case YAML_SEQUENCE_NODE: return "a list";
    case YAML_MAPPING_NODE: return "a mapping";
    case YAML_NO_NODE:
    default: return "nothing";
    }
}

bool weir_config_reader_is(struct weir_config_reader *reader, const yaml_node_t *node,
                           yaml_node_type_t type, const char *takes)
{
    const char *tag = (const char *)node->tag;
    if (tag != NULL && strncmp(tag, "tag:yaml.org,2002:", 18) != 0) {
        weir_config_reader_error(reader, node, "a tag (leave out what begins with !)");
        return false;
    }
    if (node->type == type) {
        return true;
    }
    char text[160];
    struct weir_buf what = weir_buf_fixed(text, sizeof text - 1);
    weir_buf_printf(&what, "is %s, but takes %s", node_word(node), takes);
    text[what.size] = 0;
    weir_config_reader_error(reader, node, text);
    return false;
}

bool weir_config_reader_is_null(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    struct weir_bytes text = scalar_of(node);
    return text.size == 0 || weir_bytes_eq(text, WEIR_BYTES("~")) ||
           weir_bytes_eq(text, WEIR_BYTES("null"));
}

/* $NAME and nothing else, as a shell would expand it; a password hardly looks so. */
static bool is_shell_variable(struct weir_bytes text)
{
    for (size_t i = 1; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool fits = (byte >= 'A' && byte <= 'Z') || byte == '_' || (byte >= '0' && byte <= '9');
        if (!fits) {
            return false;
        }
    }
    return text.size > 1 && text.data[0] == '$';
}

const char *weir_config_reader_text(struct weir_config_reader *reader, const yaml_node_t *node)
{
    char words[200];
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    struct weir_buf text = weir_buf_grow_init(WEIR_CONFIG_TEXT_MAX);
    const char *copy = NULL;
    if (weir_config_expand(scalar_of(node), &text, &why) != WEIR_OK) {
        words[why.size] = 0;
        weir_config_reader_error(reader, node, words);
        goto done;
    }
    if (weir_config_misplaced(scalar_of(node), weir_buf_view(&reader->path))) {
        weir_config_reader_error(reader, node,
                                 "only ${env:NAME} is known (write $$ for a plain $)");
        goto done;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            weir_config_reader_error(
                reader, node, "holds a line break or control character (write it on one line)");
            goto done;
        }
    }
    if (is_shell_variable(scalar_of(node))) {
        weir_config_warn(reader->report, place_of(&node->start_mark),
                         (const char *)reader->path.data,
                         "is taken as these letters (write ${env:NAME} for a variable's value, $$ "
                         "for a plain $)");
    }
    copy = weir_config_text(reader->config, weir_buf_view(&text));
done:
    if (text.data != NULL) {
        explicit_bzero(text.data, text.size); /* it may be a secret */
    }
    weir_buf_done(&text);
    return copy;
}

/* How many letters must be put in, taken out or changed to make `b` of `a`; both at
 * most 31 bytes. */
static size_t distance(struct weir_bytes a, const char *b)
{
    enum { MAX = 32 };
    size_t row[MAX];
    size_t b_size = strlen(b);
    if (a.size >= MAX || b_size >= MAX) {
        return MAX;
    }
    for (size_t j = 0; j <= b_size; j++) {
        row[j] = j;
    }
    for (size_t i = 0; i < a.size; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            size_t change = corner + (a.data[i] == (uint8_t)b[j] ? 0 : 1);
            corner = row[j + 1];
            size_t shift = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            row[j + 1] = change < shift ? change : shift;
        }
    }
    return row[b_size];
}

const char *weir_config_reader_nearest(struct weir_bytes text, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = text.size <= 3 ? 2 : 3; /* at most one, at most two letters off */
    for (; *names != NULL; names++) {
        size_t now = distance(text, *names);
        if (now < best_distance) {
            best_distance = now;
            best = *names;
        }
    }
    return best;
}

/* A key as it may stand in a path: what is not a plain letter becomes a question mark. */
static void key_text(const yaml_node_t *key, char *ret, size_t size)
{
    struct weir_bytes text = scalar_of(key);
    size_t length = text.size < size - 1 ? text.size : size - 1;
    for (size_t i = 0; i < length; i++) {
        ret[i] = text.data[i] > 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : '?';
    }
    ret[length] = 0;
}

static void unknown_key(struct weir_config_reader *reader, const yaml_node_t *key,
                        const struct weir_schema *table)
{
    enum { LISTED_MAX = 20 };
    const char *names[WEIR_SCHEMA_KEYS_MAX + 1];
    size_t count = 0;
    char text[400];
    char name[40];
    struct weir_buf what = weir_buf_fixed(text, sizeof text - 1);
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        WEIR_ASSERT(count < WEIR_SCHEMA_KEYS_MAX);
        names[count++] = row->name;
    }
    names[count] = NULL;
    weir_buf_put(&what, WEIR_BYTES("unknown key"));
    const char *near = weir_config_reader_nearest(scalar_of(key), names);
    if (near != NULL) {
        weir_buf_printf(&what, " (did you mean %s?)", near);
    } else if (count > LISTED_MAX) {
        weir_buf_put(&what, WEIR_BYTES(" (weir check --keys lists all there are)"));
    } else {
        weir_buf_put(&what, WEIR_BYTES(" (there are "));
        for (size_t i = 0; i < count; i++) {
            weir_buf_printf(&what, "%s%s", i == 0 ? "" : ", ", names[i]);
        }
        weir_buf_put(&what, WEIR_BYTES(")"));
    }
    text[what.size] = 0;
    key_text(key, name, sizeof name);
    size_t before = weir_config_reader_push(reader, name, 0);
    weir_config_reader_error(reader, key, text);
    weir_config_reader_pop(reader, before);
}

/* Finds each row's value node; tells what is unknown and what is there twice. */
static void match_rows(struct weir_config_reader *reader, const yaml_node_t *node,
                       const struct weir_schema *table, yaml_node_t **ret_values)
{
    uint32_t seen[WEIR_SCHEMA_KEYS_MAX] = {0};
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        yaml_node_t *value = yaml_document_get_node(reader->document, pair->value);
        WEIR_ASSERT(key != NULL);
        WEIR_ASSERT(value != NULL);
        if (key->type != YAML_SCALAR_NODE) {
            weir_config_reader_error(reader, key, "a key must be a word");
            continue;
        }
        size_t row = 0;
        while (table[row].name != NULL &&
               !weir_bytes_eq(weir_bytes_str(table[row].name), scalar_of(key))) {
            row++;
        }
        if (table[row].name == NULL) {
            unknown_key(reader, key, table);
        } else if (seen[row] != 0) {
            size_t before = weir_config_reader_push(reader, table[row].name, 0);
            char text[64];
            (void)snprintf(text, sizeof text, "is there twice (first in line %u)", seen[row]);
            weir_config_reader_error(reader, key, text);
            weir_config_reader_pop(reader, before);
        } else {
            seen[row] = (uint32_t)key->start_mark.line + 1;
            ret_values[row] = weir_config_reader_is_null(value) ? NULL : value;
        }
    }
}

/* A key that belongs to another type of destination. What is only idle, config_spool.c tells. */
static void check_applies(struct weir_config_reader *reader, const struct weir_schema *row,
                          const yaml_node_t *value, const void *target)
{
    if (row->applies == NULL || (row->flags & WEIR_SCHEMA_IDLE) != 0 || row->applies(target)) {
        return;
    }
    size_t before = weir_config_reader_push(reader, row->name, 0);
    weir_config_reader_error(reader, value,
                             "is of no use to a destination of this type (leave it out)");
    weir_config_reader_pop(reader, before);
}

static void read_mapping(struct weir_config_reader *reader, const yaml_node_t *node,
                         const struct weir_schema *table, void *target)
{
    if (!weir_config_reader_is(reader, node, YAML_MAPPING_NODE, "a mapping of keys")) {
        return;
    }
    yaml_node_t *values[WEIR_SCHEMA_KEYS_MAX] = {NULL};
    match_rows(reader, node, table, values);
    struct weir_config_place *places =
        weir_config_alloc(reader->config, WEIR_SCHEMA_KEYS_MAX * sizeof *places);
    if (places == NULL) {
        return;
    }
    for (size_t row = 0; table[row].name != NULL; row++) {
        if (values[row] != NULL) {
            size_t before = weir_config_reader_push(reader, table[row].name, 0);
            places[row] = place_of(&values[row]->start_mark);
            weir_config_reader_value(reader, values[row], &table[row], target);
            weir_config_reader_pop(reader, before);
            if (table[row].then != NULL) {
                table[row].then(reader->config, target);
            }
        }
    }
    struct weir_config_mapping *at = target; /* I2 of config_schema.c */
    at->place = place_of(&node->start_mark);
    at->keys = places;
    for (size_t row = 0; table[row].name != NULL; row++) {
        if (values[row] != NULL) {
            check_applies(reader, &table[row], values[row], target);
        }
    }
}

/* A list of structs, or the word none. */
static void read_list(struct weir_config_reader *reader, const yaml_node_t *node,
                      const struct weir_schema *row, struct weir_config_list *list)
{
    if ((row->flags & WEIR_SCHEMA_NONE) != 0 && node->type == YAML_SCALAR_NODE &&
        weir_bytes_eq(scalar_of(node), WEIR_BYTES("none"))) {
        *list = (struct weir_config_list){.none = true};
        return;
    }
    if (!weir_config_reader_is(reader, node, YAML_SEQUENCE_NODE, weir_schema_takes(row))) {
        return;
    }
    const yaml_node_item_t *first = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - first);
    if (count < (size_t)row->min || count > (size_t)row->max) {
        char text[96];
        (void)snprintf(text, sizeof text, "has %zu entries, not %lld to %lld%s", count,
                       (long long)row->min, (long long)row->max,
                       count > 0 ? "" : " (write one, or the word none)");
        weir_config_reader_error(reader, node, text);
        return;
    }
    char *items = weir_config_alloc(reader->config, count * row->element_size);
    for (size_t i = 0; items != NULL && i < count; i++) {
        yaml_node_t *item = yaml_document_get_node(reader->document, first[i]);
        void *element = items + i * row->element_size;
        size_t before = weir_config_reader_push(reader, NULL, i);
        WEIR_ASSERT(item != NULL);
        if (row->defaults != NULL) {
            row->defaults(reader->config, element);
        }
        read_mapping(reader, item, row->keys, element);
        weir_config_reader_pop(reader, before);
    }
    *list = (struct weir_config_list){.items = items, .count = items == NULL ? 0 : (uint32_t)count};
}

void weir_config_reader_value(struct weir_config_reader *reader, const yaml_node_t *node,
                              const struct weir_schema *row, void *target)
{
    void *field = (char *)target + row->offset;
    switch (row->kind) {
    case WEIR_SCHEMA_MAPPING: read_mapping(reader, node, row->keys, field); break;
    case WEIR_SCHEMA_LIST: read_list(reader, node, row, field); break;
    case WEIR_SCHEMA_LATER: weir_config_reader_error(reader, node, row->help); break;
    case WEIR_SCHEMA_TEXT:
    case WEIR_SCHEMA_TEXTS:
    case WEIR_SCHEMA_ATTRIBUTES:
    case WEIR_SCHEMA_RESOURCE:
    case WEIR_SCHEMA_HEADERS:
    case WEIR_SCHEMA_SIZE:
    case WEIR_SCHEMA_DURATION:
    case WEIR_SCHEMA_COUNT:
    case WEIR_SCHEMA_CODES:
    case WEIR_SCHEMA_TIME:
    case WEIR_SCHEMA_CHOICE:
    default: weir_config_reader_leaf(reader, node, row, field); break;
    }
}

/* What libyaml's words do not say of the two mistakes that are made most. */
static const char *yaml_hint(struct weir_bytes text, struct weir_config_place place)
{
    struct weir_bytes line = text;
    for (uint32_t i = 1; i < place.line; i++) { /* libyaml counts other line breaks as well */
        const uint8_t *end = line.size == 0 ? NULL : memchr(line.data, '\n', line.size);
        if (end == NULL) {
            return "";
        }
        line = weir_bytes_from(line, (size_t)(end - line.data) + 1);
    }
    const uint8_t *end = line.size == 0 ? NULL : memchr(line.data, '\n', line.size);
    line.size = end == NULL ? line.size : (size_t)(end - line.data);
    if (place.column <= line.size && line.data[place.column - 1] == '\t') {
        return " (indent with blanks, not with tabs)";
    }
    if (line.size > 0 && memmem(line.data, line.size, "${", 2) != NULL) {
        return " (inside {...} and [...] write \"${env:NAME}\" in quotes)";
    }
    return "";
}

/* libyaml's own words for text that is no YAML, at the place it gives. */
static void yaml_error(struct weir_config_report *report, const yaml_parser_t *parser,
                       struct weir_bytes text)
{
    struct weir_config_place place = place_of(&parser->problem_mark);
    const char *problem = parser->problem == NULL ? "out of memory" : parser->problem;
    if (parser->context != NULL) {
        weir_config_error(report, place, NULL, "not YAML: %s (%s that began in line %zu)%s",
                          problem, parser->context, parser->context_mark.line + 1,
                          yaml_hint(text, place));
    } else {
        weir_config_error(report, place, NULL, "not YAML: %s%s", problem, yaml_hint(text, place));
    }
}

static void read_document(struct weir_config_reader *reader, yaml_parser_t *parser,
                          struct weir_bytes text)
{
    yaml_node_t *root = yaml_document_get_root_node(reader->document);
    if (root == NULL || weir_config_reader_is_null(root)) {
        weir_config_error(reader->report, (struct weir_config_place){1, 1}, NULL,
                          "there is no configuration in it (write at least ingest: "
                          "{access_keys: ...}; or start without a file)");
        return;
    }
    read_mapping(reader, root, weir_schema_root, reader->config);
    yaml_document_t further;
    if (yaml_parser_load(parser, &further) == 0) {
        yaml_error(reader->report, parser, text);
        return;
    }
    yaml_node_t *second = yaml_document_get_root_node(&further);
    if (second != NULL) {
        weir_config_reader_error(reader, second, "a second document (one file is one document)");
    }
    yaml_document_delete(&further);
}

/* Whether brackets are nested as no configuration nests them: libyaml's time grows with the square
 * of the depth, to minutes for a megabyte. Those in texts and comments count too: there are few. */
static bool is_too_deep(struct weir_bytes text)
{
    enum { DEPTH_MAX = 1000 };
    size_t depth = 0;
    for (size_t i = 0; i < text.size && depth <= DEPTH_MAX; i++) {
        bool closes = text.data[i] == ']' || text.data[i] == '}';
        depth += text.data[i] == '[' || text.data[i] == '{' ? 1 : 0;
        depth -= closes && depth > 0 ? 1 : 0;
    }
    return depth > DEPTH_MAX;
}

void weir_config_yaml(struct weir_config *config, struct weir_config_report *report,
                      struct weir_bytes text)
{
    yaml_parser_t parser;
    yaml_document_t document;
    uint8_t path[512] = {0};
    if (is_too_deep(text)) {
        weir_config_error(report, (struct weir_config_place){1, 1}, NULL,
                          "brackets are nested over 1000 deep, which no configuration needs");
        return;
    }
    if (yaml_parser_initialize(&parser) == 0) {
        config->memory_out = true;
        return;
    }
    yaml_parser_set_input_string(&parser, text.data, text.size);
    if (yaml_parser_load(&parser, &document) == 0) {
        yaml_error(report, &parser, text);
        yaml_parser_delete(&parser);
        return;
    }
    struct weir_config_reader reader = {
        .document = &document,
        .config = config,
        .report = report,
        .path = weir_buf_fixed(path, sizeof path - 1),
    };
    read_document(&reader, &parser, text);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
}
