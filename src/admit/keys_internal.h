/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ADMIT_KEYS_INTERNAL_H
#define WEIR_ADMIT_KEYS_INTERNAL_H

#include "weir/keys.h"

/* Counts one holder more, or one less; whoever made the keys is the first. With the last they are
 * freed. The caller of _ref knows that there is a holder. Any thread. */
void weir_keys_ref(struct weir_keys *keys);
void weir_keys_unref(struct weir_keys *keys);

#endif
