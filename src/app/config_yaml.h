/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_CONFIG_YAML_H
#define WEIR_APP_CONFIG_YAML_H

#include "config_internal.h"
#include <stdio.h>
#include <yaml.h>

/* The two halves of the reader: config_yaml.c walks mappings and lists, config_leaf.c reads what
 * stands in them. */
struct weir_config_reader {
    yaml_document_t *document;
    struct weir_config *config;
    struct weir_config_report *report;
    struct weir_buf path; /* of the value being read; terminated */
};

/* Adds ".name", or "[index]" where that is NULL, to the path; returns what to cut it back to. */
size_t weir_config_reader_push(struct weir_config_reader *reader, const char *name, size_t index);
void weir_config_reader_pop(struct weir_config_reader *reader, size_t size);

/* Nothing, as YAML has three ways to write it. */
bool weir_config_reader_is_null(const yaml_node_t *node);

/* Tells a mistake at a node, under the reader's path. */
void weir_config_reader_error(struct weir_config_reader *reader, const yaml_node_t *node,
                              const char *what);

/* Whether the node is of this type and has no tag of its own; tells if not. */
bool weir_config_reader_is(struct weir_config_reader *reader, const yaml_node_t *node,
                           yaml_node_type_t type, const char *takes);

/* A scalar's text, expanded, in the configuration's memory; NULL when something was
 * wrong and told. */
const char *weir_config_reader_text(struct weir_config_reader *reader, const yaml_node_t *node);

/* The name that was probably meant, or NULL. */
const char *weir_config_reader_nearest(struct weir_bytes text, const char *const *names);

/* Reads the value of a row into the struct `target`; of a row that has no rows below it into
 * `field`. */
void weir_config_reader_value(struct weir_config_reader *reader, const yaml_node_t *node,
                              const struct weir_schema *row, void *target);
void weir_config_reader_leaf(struct weir_config_reader *reader, const yaml_node_t *node,
                             const struct weir_schema *row, void *field);

/* ... of a row of the kind RESOURCE; config_resource.c. */
void weir_config_reader_resource(struct weir_config_reader *reader, const yaml_node_t *node,
                                 const struct weir_schema *row, void *field);

#endif
