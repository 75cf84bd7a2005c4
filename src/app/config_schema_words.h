/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_CONFIG_SCHEMA_WORDS_H
#define WEIR_APP_CONFIG_SCHEMA_WORDS_H

#include "weir/clock.h"

/* What the tables of keys are written in: units, a table's last row, where a value goes. */
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)
#define MS  WEIR_NS_PER_MS
#define S   WEIR_NS_PER_S
#define DAY (86400 * WEIR_NS_PER_S)

#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define AT(struct_, member_) .offset = offsetof(struct weir_config_##struct_, member_)

#endif
