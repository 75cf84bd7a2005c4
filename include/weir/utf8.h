/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UTF8_H
#define WEIR_UTF8_H

#include "weir/bytes.h"

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates,
 * nothing above U+10FFFF). ASCII runs go eight bytes at a time. Empty is valid. Pure. */
bool weir_utf8_valid(struct weir_bytes text);

#endif
