/* SPDX-License-Identifier: Apache-2.0 */
/* See weir/keyring.h. A reader counts itself in inside its read section, where the ring's own hold
 * still stands: that is given up only when every section that could have seen the old keys is
 * over. */
#include "weir/keyring.h"

#include "keys_internal.h"
#include "weir/mem.h"
#include "weir/rcu.h"

struct weir_keyring {
    void *keys; /* struct weir_keys, or NULL; under RCU */
};

enum weir_status weir_keyring_new(struct weir_keys *keys, struct weir_keyring **ret)
{
    struct weir_keyring *ring = weir_mem_zalloc(1, sizeof *ring);
    if (ring == NULL) {
        return WEIR_ENOMEM;
    }
    ring->keys = keys;
    *ret = ring;
    return WEIR_OK;
}

static void let_go(struct weir_keys *keys)
{
    if (keys != NULL) {
        weir_keys_unref(keys);
    }
}

void weir_keyring_publish(struct weir_keyring *ring, struct weir_keys *keys)
{
    struct weir_keys *before = ring->keys; /* only the publisher writes it */
    weir_rcu_publish(&ring->keys, keys);
    weir_rcu_synchronize();
    let_go(before);
}

const struct weir_keys *weir_keyring_hold(const struct weir_keyring *ring)
{
    if (ring == NULL) {
        return NULL;
    }
    weir_rcu_read_lock();
    struct weir_keys *keys = weir_rcu_load(&ring->keys);
    if (keys != NULL) {
        weir_keys_ref(keys);
    }
    weir_rcu_read_unlock();
    return keys;
}

void weir_keyring_release(const struct weir_keys *keys)
{
    let_go(
        (struct weir_keys *)(uintptr_t)keys); /* const to who judges with them, not to the count */
}

void weir_keyring_free(struct weir_keyring *ring)
{
    if (ring == NULL) {
        return;
    }
    let_go(ring->keys);
    weir_mem_free(ring);
}
