/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/namespace.h"
#include "weir/mem.h"
#include "weir/panic.h"

#define NAME_BYTES_MAX 255 /* CloudWatch's own limit for a namespace */

struct weir_namespaces {
    struct weir_table *table;
};

enum weir_status weir_namespaces_new(struct weir_namespaces **ret)
{
    struct weir_namespaces *namespaces = weir_mem_zalloc(1, sizeof(*namespaces));
    if (namespaces == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_table_new(WEIR_NAMESPACES_MAX, &namespaces->table);
    if (status != WEIR_OK) {
        weir_mem_free(namespaces);
        return status;
    }
    *ret = namespaces;
    return WEIR_OK;
}

void weir_namespaces_free(struct weir_namespaces *namespaces)
{
    if (namespaces == NULL) {
        return;
    }
    weir_table_free(namespaces->table);
    weir_mem_free(namespaces);
}

uint32_t weir_namespaces_id(struct weir_namespaces *namespaces, struct weir_bytes name)
{
    uint32_t id = WEIR_NAMESPACE_OVERFLOW;
    if (name.size > NAME_BYTES_MAX) {
        return id;
    }
    if (weir_table_intern(namespaces->table, name, &id) != WEIR_OK) {
        return WEIR_NAMESPACE_OVERFLOW;
    }
    WEIR_ASSERT(id < WEIR_NAMESPACES_MAX);
    return id;
}

struct weir_bytes weir_namespaces_name(const struct weir_namespaces *namespaces, uint32_t id)
{
    if (id == WEIR_NAMESPACE_OVERFLOW) {
        return WEIR_BYTES("other");
    }
    return weir_table_name(namespaces->table, id);
}

uint32_t weir_namespaces_count(const struct weir_namespaces *namespaces)
{
    return weir_table_count(namespaces->table);
}
