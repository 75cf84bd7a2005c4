/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOAD_HINT_H
#define WEIR_LOAD_HINT_H

#include "load/run.h"
#include "weir/transport.h"

/* What may help against a failure that trying again will hardly mend (a wrong key, a wrong URL, an
 * authority that is not trusted), or NULL for one that passes. Pure. */
const char *weir_load_hint(const struct weir_transport_reply *reply);

/* Tells the first such failure of the run, what may help, and for how long it is tried again, on
 * standard error. Any thread. */
void weir_load_hint_once(struct weir_load_run *run, const struct weir_transport_reply *reply);

#endif
