/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_KEYRING_H
#define WEIR_KEYRING_H

#include "weir/keys.h"

/*
 * The access keys that count now, replaced as a whole while requests are judged:
 *
 *   keyring ──► keys B  (holds: the ring's, and one for each request judged with them)
 *               keys A  (holds: requests that were judged before B came)  freed with the last
 *
 * A request holds the keys that it was judged with until it is over, since the key's name is
 * theirs; so publishing neither waits for a request nor changes what one was told. A ring may hold
 * no keys at all: a door without a lock. That is not the same as a set of no keys, which lets
 * nobody in.
 */
struct weir_keyring;

/* Makes a ring around `keys` (NULL: no lock), which are the ring's from now on. WEIR_ENOMEM: they
 * are still the caller's. */
WEIR_MUST_USE enum weir_status weir_keyring_new(struct weir_keys *keys, struct weir_keyring **ret);

/* Puts `keys` (NULL: no lock; the ring's from now on) in place of those before. Whoever holds from
 * now on holds these; those before are freed with their last hold. Waits for readers: milliseconds.
 * One thread at a time. */
void weir_keyring_publish(struct weir_keyring *ring, struct weir_keys *keys);

/* The keys that count now, for weir_keyring_release; NULL: no lock (as is a ring that is NULL). Any
 * RCU-registered thread; never waits. */
const struct weir_keys *weir_keyring_hold(const struct weir_keyring *ring);

/* Gives back what weir_keyring_hold gave. NULL is nothing. Any thread. */
void weir_keyring_release(const struct weir_keys *keys);

/* Frees the ring; keys that are still held live until they are released. Nobody holds through the
 * ring any more. NULL is nothing. */
void weir_keyring_free(struct weir_keyring *ring);

#endif
