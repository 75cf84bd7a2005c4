/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intern table: see weir/table.h for what it promises.
 *
 *   entries [ *0 | *1 | *2 | ... | NULL ]     by number, filled in order
 *              │    │    └─► struct entry: hash node, number, name
 *   cds_lfht ──┴────┴──►                      by name, buckets fixed at the start
 *
 *   I1  entries[i] is set, and never changes again, for every i < count
 *   I2  an entry is in the hash table only after its number is below count
 *   I3  no two entries have the same name; nothing is ever removed before weir_table_free
 *
 * Finding takes a read section and no lock. Adding takes the mutex, looks again, and then adds: new
 * names are rare (a namespace, a series) and their number is bounded, so nothing is gained by
 * adding without a lock, while numbers without gaps would become hard. Two threads with the same
 * new name meet at the mutex.
 *
 * The hash table is liburcu's, which orders a node's contents before its appearance by barriers of
 * its own. Each entry carries a flag besides, stored with release before the entry is added and
 * loaded with acquire before its contents are looked at: the same order in C17's own words, which
 * also ThreadSanitizer can follow.
 *
 * The table does not resize (no worker thread, no memory later on): the buckets are half the
 * capacity at most. Full is WEIR_EFULL. Deliberately no removal.
 */
#include "weir/table.h"
#include "weir/hash.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rcu.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <urcu/urcu-memb.h>

#include <urcu/rculfhash.h>

enum { CAPACITY_MAX = 65536, NAME_SIZE_MAX = 1024 };

struct entry {
    struct cds_lfht_node node;
    _Atomic bool is_ready;
    uint32_t index;
    size_t size;
    uint8_t name[];
};

struct weir_table {
    struct cds_lfht *hash;
    pthread_mutex_t adding;
    uint32_t capacity;
    _Atomic uint32_t count;
    _Atomic(struct entry *) entries[];
};

static unsigned long bucket_count(uint32_t capacity)
{
    unsigned long buckets = 1;
    while (buckets * 2 <= capacity) {
        buckets *= 2;
    }
    return buckets;
}

enum weir_status weir_table_new(uint32_t capacity, struct weir_table **ret)
{
    if (capacity == 0 || capacity > CAPACITY_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_table *table =
        weir_mem_zalloc(1, sizeof *table + (size_t)capacity * sizeof(_Atomic(struct entry *)));
    if (table == NULL) {
        return WEIR_ENOMEM;
    }
    unsigned long buckets = bucket_count(capacity);
    table->hash = cds_lfht_new_flavor(buckets, 1, buckets, 0, &urcu_memb_flavor, NULL);
    if (table->hash == NULL) {
        weir_mem_free(table);
        return WEIR_ENOMEM;
    }
    int initialised = pthread_mutex_init(&table->adding, NULL);
    WEIR_ASSERT(initialised == 0);
    table->capacity = capacity;
    *ret = table;
    return WEIR_OK;
}

static struct entry *entry_at(const struct weir_table *table, uint32_t index)
{
    /* acquire: pairs with the release in add_entry */
    return atomic_load_explicit(&table->entries[index], memory_order_acquire);
}

void weir_table_free(struct weir_table *table)
{
    if (table == NULL) {
        return;
    }
    uint32_t count = weir_table_count(table);
    weir_rcu_read_lock();
    for (uint32_t i = 0; i < count; i++) {
        int removed = cds_lfht_del(table->hash, &entry_at(table, i)->node);
        WEIR_ASSERT(removed == 0);
    }
    weir_rcu_read_unlock();
    weir_rcu_synchronize();
    for (uint32_t i = 0; i < count; i++) {
        weir_mem_free(entry_at(table, i));
    }
    int destroyed = cds_lfht_destroy(table->hash, NULL);
    WEIR_ASSERT(destroyed == 0);
    pthread_mutex_destroy(&table->adding);
    weir_mem_free(table);
}

static int is_named(struct cds_lfht_node *node, const void *key)
{
    struct entry *entry = (struct entry *)(void *)((char *)node - offsetof(struct entry, node));
    /* acquire: pairs with the release in add_entry */
    if (!atomic_load_explicit(&entry->is_ready, memory_order_acquire)) {
        return 0;
    }
    const struct weir_bytes *name = key;
    return weir_bytes_eq(weir_bytes_of(entry->name, entry->size), *name);
}

static enum weir_status find(const struct weir_table *table, uint64_t hash, struct weir_bytes name,
                             uint32_t *ret_index)
{
    struct cds_lfht_iter found;
    weir_rcu_read_lock();
    cds_lfht_lookup(table->hash, (unsigned long)hash, is_named, &name, &found);
    const struct cds_lfht_node *node = cds_lfht_iter_get_node(&found);
    if (node != NULL) {
        const char *start = (const char *)node - offsetof(struct entry, node);
        *ret_index = ((const struct entry *)(const void *)start)->index;
    }
    weir_rcu_read_unlock();
    return node == NULL ? WEIR_ENOTFOUND : WEIR_OK;
}

enum weir_status weir_table_find(const struct weir_table *table, struct weir_bytes name,
                                 uint32_t *ret_index)
{
    return find(table, weir_hash_quick(name), name, ret_index);
}

/* Under the mutex, with a name that is not there yet. */
static enum weir_status add_entry(struct weir_table *table, uint64_t hash, struct weir_bytes name,
                                  uint32_t *ret_index)
{
    /* relaxed: only the holder of the mutex writes it */
    uint32_t index = atomic_load_explicit(&table->count, memory_order_relaxed);
    if (index == table->capacity) {
        return WEIR_EFULL;
    }
    struct entry *entry = weir_mem_zalloc(1, sizeof *entry + name.size);
    if (entry == NULL) {
        return WEIR_ENOMEM;
    }
    entry->index = index;
    entry->size = name.size;
    if (name.size > 0) {
        memcpy(entry->name, name.data, name.size);
    }
    cds_lfht_node_init(&entry->node);
    /* release, all three: pair with the acquires in entry_at, weir_table_count and is_named */
    atomic_store_explicit(&table->entries[index], entry, memory_order_release);
    atomic_store_explicit(&table->count, index + 1, memory_order_release);
    atomic_store_explicit(&entry->is_ready, true, memory_order_release);
    weir_rcu_read_lock();
    cds_lfht_add(table->hash, (unsigned long)hash, &entry->node);
    weir_rcu_read_unlock();
    *ret_index = index;
    return WEIR_OK;
}

enum weir_status weir_table_intern(struct weir_table *table, struct weir_bytes name,
                                   uint32_t *ret_index)
{
    if (name.size > NAME_SIZE_MAX) {
        return WEIR_ELIMIT;
    }
    uint64_t hash = weir_hash_quick(name);
    if (find(table, hash, name, ret_index) == WEIR_OK) {
        return WEIR_OK;
    }
    int locked = pthread_mutex_lock(&table->adding);
    WEIR_ASSERT(locked == 0);
    enum weir_status status = find(table, hash, name, ret_index);
    if (status == WEIR_ENOTFOUND) {
        status = add_entry(table, hash, name, ret_index);
    }
    pthread_mutex_unlock(&table->adding);
    return status;
}

struct weir_bytes weir_table_name(const struct weir_table *table, uint32_t index)
{
    WEIR_ASSERT(index < weir_table_count(table));
    const struct entry *entry = entry_at(table, index);
    return weir_bytes_of(entry->name, entry->size);
}

uint32_t weir_table_count(const struct weir_table *table)
{
    /* acquire: pairs with the release in add_entry */
    return atomic_load_explicit(&table->count, memory_order_acquire);
}
