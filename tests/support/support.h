/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SUPPORT_H
#define WEIR_TEST_SUPPORT_H

/*
 * What many tests need. Everything here fails the running test rather than return an error.
 */
#include "weir/bytes.h"
#include "weir/rand.h"

/* Bytes that the test owns; free with support_free. `data` is terminated by a zero that is not
 * counted. */
struct support_blob {
    uint8_t *data;
    size_t size;
};

/* From hexadecimal text; white space is skipped ("0a ff\n10"). */
struct support_blob support_hex(const char *text);

/* A whole file of the source tree, `path` relative to the repository's root. */
struct support_blob support_source(const char *path);

/* A whole test vector, `path` relative to $WEIR_VECTORS (by default ../shared/vectors beside the
 * repository). Skips the running test where the vectors are not there. */
struct support_blob support_vector(const char *path);

void support_free(struct support_blob *blob);

/* Fails with both sides in hexadecimal around the first difference. */
void support_assert_bytes(struct weir_bytes actual, struct weir_bytes expected);

/* A generator seeded by $WEIR_SEED or else `seed`; the seed is printed, so that a failure can be
 * replayed. */
struct weir_rand support_rand(uint64_t seed);

/* Removes a directory with all that is in it; symbolic links are not followed. 0, or -1 (errno). */
int support_remove_tree(const char *path);

/* Runs `body(argument)` in a child process: true if it died of SIGABRT (an assertion of ours). Its
 * standard error is thrown away. */
bool support_aborts(void (*body)(void *argument), void *argument);

static inline struct weir_bytes support_view(const struct support_blob *blob)
{
    return weir_bytes_of(blob->data, blob->size);
}

#endif
