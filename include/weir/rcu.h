/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RCU_H
#define WEIR_RCU_H

/*
 * The one wrapper of liburcu (memory-barrier flavour): read sections cost no lock and no store that
 * others wait for; a writer publishes a new version and frees the old one after every reader has
 * left.
 *
 * A thread that reads registers itself, once, before it does. Nothing got under RCU outlives the
 * read section except by reference count.
 */

/* Registers and unregisters the calling thread. Nesting is counted. */
void weir_rcu_thread_start(void);
void weir_rcu_thread_stop(void);

/* A read section; sections nest. A registered thread; never blocks. */
void weir_rcu_read_lock(void);
void weir_rcu_read_unlock(void);

/* Waits until every read section that is open now has ended. Not inside one. May
 * take milliseconds. */
void weir_rcu_synchronize(void);

/* Publishes `fresh` at `*place` for readers, and reads it in a read section. */
void weir_rcu_publish(void **place, void *fresh);
void *weir_rcu_load(void *const *place);

#endif
