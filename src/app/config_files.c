/* SPDX-License-Identifier: Apache-2.0 */
#include "config_internal.h"

struct files {
    void (*visit)(void *argument, const char *path);
    void *argument;
};

static void walk(const struct files *files, const struct weir_schema *table, const char *mapping)
{
    for (const struct weir_schema *row = table; row->name != NULL; row++) {
        const char *field = mapping + row->offset;
        if (row->kind == WEIR_SCHEMA_MAPPING) {
            walk(files, row->keys, field);
        } else if (row->kind == WEIR_SCHEMA_LIST) {
            struct weir_config_list list;
            memcpy(&list, field, sizeof list);
            for (uint32_t i = 0; i < list.count; i++) {
                walk(files, row->keys, (const char *)list.items + i * row->element_size);
            }
        } else if (row->kind == WEIR_SCHEMA_TEXT && row->valid == weir_config_valid_file) {
            const char *path;
            memcpy(&path, field, sizeof path);
            if (path != NULL) {
                files->visit(files->argument, path);
            }
        }
    }
}

void weir_config_files(const struct weir_config *config,
                       void (*visit)(void *argument, const char *path), void *argument)
{
    const struct weir_config_destination *all = config->destinations.items;
    walk(&(struct files){visit, argument}, weir_schema_root, (const char *)config);
    for (uint32_t i = 0; i < config->destinations.count; i++) {
        const char *const *path = all[i].token_files; /* others lie beside them */
        for (; path != NULL && *path != NULL; path++) {
            visit(argument, *path);
        }
    }
}
