/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_KEYS_H
#define WEIR_KEYS_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The access keys that Firehose may present (X-Amz-Firehose-Access-Key): several at once, each with
 * a name, a time and a set of accounts, so that a key can be rotated without a refused request.
 * Keys themselves are not kept: only their HMAC-SHA-256 under a key of this process. A presented
 * key is hashed once and compared with every entry in constant time, without an early exit, so the
 * time says nothing about which key was nearly right.
 */
#define WEIR_KEYS_MAX     64
#define WEIR_KEY_SIZE_MAX 4096

struct weir_key_spec {
    const char *name;            /* unique; shown in logs and metrics */
    struct weir_bytes key;       /* 1..WEIR_KEY_SIZE_MAX bytes; not referenced after the call */
    int64_t not_before_ns;       /* wall clock; 0: always */
    int64_t not_after_ns;        /* wall clock, exclusive; 0: for ever */
    const char *const *accounts; /* NULL-terminated list of 12-digit accounts, or NULL for any */
};

enum weir_key_verdict {
    WEIR_KEY_OK,
    WEIR_KEY_ABSENT,
    WEIR_KEY_UNKNOWN,
    WEIR_KEY_NOT_YET,
    WEIR_KEY_EXPIRED,
    WEIR_KEY_ACCOUNT
};

struct weir_keys;

/* A set of keys; 0 specs let nobody in. WEIR_EINVAL: an empty or over-long key, a name twice, too
 * many. WEIR_ENOMEM. */
WEIR_MUST_USE enum weir_status weir_keys_new(const struct weir_key_spec *specs, size_t count,
                                             struct weir_keys **ret);

/* Wipes and frees. NULL is nothing. */
void weir_keys_free(struct weir_keys *keys);

/* Judges a presented key (empty: absent) for a request of `account` (empty: the request names
 * none; then only keys for any account fit) at wall clock `now_ns`. *ret_index is the entry on
 * every verdict but ABSENT and UNKNOWN. Any thread. */
enum weir_key_verdict weir_keys_check(const struct weir_keys *keys, struct weir_bytes presented,
                                      struct weir_bytes account, int64_t now_ns,
                                      uint32_t *ret_index);

/* The name of an entry. */
const char *weir_keys_name(const struct weir_keys *keys, uint32_t index);

/* "key_absent", "key_unknown", ...: the label of weir_requests_total{reason}. */
const char *weir_key_verdict_text(enum weir_key_verdict verdict);

#endif
