/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/pulse.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/*
 * A slot is a thread's from its first beat to its end.
 *
 *   count:  0            free
 *           1            being taken: its name is written
 *           even, >= 2   a beat; odd, >= 3: the same, and resting
 *
 * The numbers go on where the slot's last owner stopped, so that a new owner is never mistaken for
 * an old one that did not move.
 */
enum { NAME_SIZE = 16, NAME_WORDS = 2, LINE = 64 };

struct slot {
    _Alignas(LINE) _Atomic uint64_t count;
    uint64_t next;                     /* the owner's; kept for the next one */
    _Atomic uint64_t name[NAME_WORDS]; /* relaxed words: a watcher may look while a slot changes
                                          hands, and then names the wrong one once */
};

static struct slot slots[WEIR_PULSE_THREADS_MAX];
static _Thread_local struct slot *own;
static _Thread_local bool is_unwatched; /* there was no slot */

static void write_name(struct slot *slot)
{
    char name[NAME_SIZE] = "";
    uint64_t words[NAME_WORDS];
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    memcpy(words, name, sizeof words);
    for (size_t i = 0; i < NAME_WORDS; i++) {
        /* relaxed: ordered by the first beat */
        atomic_store_explicit(&slot->name[i], words[i], memory_order_relaxed);
    }
}

static void read_name(const struct slot *slot, char *ret_name)
{
    uint64_t words[NAME_WORDS];
    for (size_t i = 0; i < NAME_WORDS; i++) {
        /* relaxed: ordered by the beat that was seen */
        words[i] = atomic_load_explicit(&slot->name[i], memory_order_relaxed);
    }
    memcpy(ret_name, words, sizeof words);
    ret_name[NAME_SIZE - 1] = 0;
}

static void take(void)
{
    for (size_t i = 0; i < WEIR_PULSE_THREADS_MAX; i++) {
        uint64_t nobody = 0;
        /* acquire: pairs with the release in weir_pulse_end, for `next` */
        if (atomic_compare_exchange_strong_explicit(&slots[i].count, &nobody, 1,
                                                    memory_order_acquire, memory_order_relaxed)) {
            own = &slots[i];
            own->next = own->next < 2 ? 2 : own->next;
            write_name(own);
            return;
        }
    }
    is_unwatched = true;
}

void weir_pulse_beat(void)
{
    if (own == NULL && !is_unwatched) {
        take();
    }
    if (own != NULL) {
        own->next += 2;
        /* release: pairs with the acquire in weir_pulse_look, for the name */
        atomic_store_explicit(&own->count, own->next, memory_order_release);
    }
}

void weir_pulse_rest(void)
{
    if (own != NULL) {
        /* release: as in weir_pulse_beat */
        atomic_store_explicit(&own->count, own->next | 1, memory_order_release);
    }
}

void weir_pulse_move(void)
{
    /* relaxed: only this thread writes it */
    if (own != NULL && (atomic_load_explicit(&own->count, memory_order_relaxed) & 1) == 0) {
        weir_pulse_beat();
    }
}

void weir_pulse_end(void)
{
    if (own != NULL) {
        struct slot *slot = own;
        own = NULL;
        /* release: pairs with the acquire in take */
        atomic_store_explicit(&slot->count, 0, memory_order_release);
    }
}

int64_t weir_pulse_look(struct weir_pulse_watch *watch, int64_t now_ns, char *ret_name)
{
    int64_t longest_ns = 0;
    for (size_t i = 0; i < WEIR_PULSE_THREADS_MAX; i++) {
        /* acquire: pairs with the release in weir_pulse_beat */
        uint64_t count = atomic_load_explicit(&slots[i].count, memory_order_acquire);
        bool moves = count < 2 || (count & 1) != 0 || count != watch->seen[i].count;
        if (moves) {
            watch->seen[i].count = count;
            watch->seen[i].since_ns = now_ns;
        } else if (now_ns - watch->seen[i].since_ns > longest_ns) {
            longest_ns = now_ns - watch->seen[i].since_ns;
            read_name(&slots[i], ret_name);
        }
    }
    return longest_ns;
}

void weir_pulse_forgive(struct weir_pulse_watch *watch, int64_t now_ns)
{
    for (size_t i = 0; i < WEIR_PULSE_THREADS_MAX; i++) {
        watch->seen[i].since_ns = now_ns;
    }
}
