/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/rcu.h"
#include "weir/panic.h"
#include <stdatomic.h>
#include <urcu/urcu-memb.h>

/* How often this thread has registered and not yet unregistered. */
static _Thread_local unsigned registered;

#ifdef WEIR_TSAN
/* liburcu orders readers before a writer's free by barriers of its own, which ThreadSanitizer
 * cannot see. Under it each reader's leaving releases this word, and a writer that has waited
 * acquires it: the very order that synchronize_rcu promises, and no more. */
static _Atomic unsigned grace;
#endif

void weir_rcu_thread_start(void)
{
    if (registered++ == 0) {
        urcu_memb_register_thread();
    }
}

void weir_rcu_thread_stop(void)
{
    WEIR_ASSERT(registered > 0);
    if (--registered == 0) {
        urcu_memb_unregister_thread();
    }
}

void weir_rcu_read_lock(void)
{
    WEIR_DCHECK(registered > 0);
    urcu_memb_read_lock();
}

void weir_rcu_read_unlock(void)
{
#ifdef WEIR_TSAN
    /* release: pairs with the acquire in weir_rcu_synchronize */
    atomic_fetch_add_explicit(&grace, 1, memory_order_release);
#endif
    urcu_memb_read_unlock();
}

void weir_rcu_synchronize(void)
{
    urcu_memb_synchronize_rcu();
#ifdef WEIR_TSAN
    /* acquire: pairs with the release in weir_rcu_read_unlock */
    (void)atomic_load_explicit(&grace, memory_order_acquire);
#endif
}

void weir_rcu_publish(void **place, void *fresh)
{
    /* tidy: allow atomics -- release on the caller's plain pointer; pairs with weir_rcu_load */
    __atomic_store_n(place, fresh, __ATOMIC_RELEASE);
}

/* An acquire, where rcu_dereference would trust the dependency: compilers do not keep that promise
 * in C17, and an acquire load costs nothing on x86-64 and next to nothing on arm64. */
void *weir_rcu_load(void *const *place)
{
    /* tidy: allow atomics -- acquire on the caller's plain pointer; pairs with weir_rcu_publish */
    return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}
