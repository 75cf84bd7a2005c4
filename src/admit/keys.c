/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access keys, compared as digests.
 *
 * An entry keeps HMAC-SHA-256(process key, access key) and nothing of the key itself, so neither a
 * core file nor a stray log line can hold it. Keys come in any length up to 4096 bytes; their
 * digests are all 32 bytes, so the comparison (CRYPTO_memcmp over every entry, the result gathered
 * without a branch) takes the same time whatever was presented. What may differ in time is hashing
 * itself, which depends on the length of what the sender sent.
 *
 *   macs    [ ctx | NULL | ctx | ... ]     contexts that know the process key, between two uses
 *
 * OpenSSL's one-shot HMAC looks its algorithm up and makes its contexts anew each time: 3.5
 * microseconds for a key of 32 bytes, where a context that is there takes 0.8. So contexts are
 * kept: a check takes one out of its slot by an exchange and puts it back, and makes one where all
 * are in use or none is there yet.
 *
 *   I1  entries are immutable after weir_keys_new; any thread that holds the keys may check without
 *       a lock
 *   I2  no two entries have the same name; two may have the same key (the first that is valid now
 *       wins)
 *   I3  a context is in one slot or with one check; which one makes no difference to the digest
 *
 * Time and account are judged after the key, on the matching entries only: they are no secret.
 */
#include "weir/keys.h"

#include "keys_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include "weir/rand.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>

#define DIGEST_SIZE  32
#define MACS_IDLE    8
#define ACCOUNTS_MAX 1000

struct key_entry {
    char *name;
    uint8_t digest[DIGEST_SIZE];
    int64_t not_before_ns;
    int64_t not_after_ns;
    char **accounts; /* NULL-terminated, or NULL for any */
};

struct weir_keys {
    _Atomic uint32_t holds;
    uint8_t process_key[DIGEST_SIZE];
    _Atomic(EVP_MAC_CTX *) macs[MACS_IDLE];
    uint32_t count;
    struct key_entry entries[WEIR_KEYS_MAX];
};

static EVP_MAC_CTX *mac_new(const struct weir_keys *keys)
{
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_utf8_string("digest", name, sizeof name - 1),
                                 OSSL_PARAM_END};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac == NULL ? NULL : EVP_MAC_CTX_new(hmac); /* looks into it unasked */
    EVP_MAC_free(hmac); /* the context has its own reference */
    if (mac != NULL && EVP_MAC_init(mac, keys->process_key, DIGEST_SIZE, params) != 1) {
        EVP_MAC_CTX_free(mac);
        return NULL;
    }
    return mac;
}

static EVP_MAC_CTX *mac_take(struct weir_keys *keys)
{
    for (size_t i = 0; i < MACS_IDLE; i++) {
        /* acquire: pairs with the release in mac_give */
        EVP_MAC_CTX *mac = atomic_exchange_explicit(&keys->macs[i], NULL, memory_order_acquire);
        if (mac != NULL) {
            return mac;
        }
    }
    return mac_new(keys);
}

static void mac_give(struct weir_keys *keys, EVP_MAC_CTX *mac)
{
    for (size_t i = 0; i < MACS_IDLE; i++) {
        EVP_MAC_CTX *none = NULL;
        /* release: pairs with the acquire in mac_take; a failed swap learns nothing */
        if (atomic_compare_exchange_strong_explicit(&keys->macs[i], &none, mac,
                                                    memory_order_release, memory_order_relaxed)) {
            return;
        }
    }
    EVP_MAC_CTX_free(mac);
}

/* `keys` is const to who judges with them, not to the contexts, which any thread may use. */
static bool digest_of(const struct weir_keys *const_keys, struct weir_bytes key, uint8_t *digest)
{
    struct weir_keys *keys = (struct weir_keys *)(uintptr_t)const_keys;
    EVP_MAC_CTX *mac = mac_take(keys);
    if (mac == NULL) {
        return false;
    }
    size_t size = 0;
    bool good = EVP_MAC_init(mac, NULL, 0, NULL) == 1 && /* again, with the key it has */
                EVP_MAC_update(mac, key.data, key.size) == 1 &&
                EVP_MAC_final(mac, digest, &size, DIGEST_SIZE) == 1 && size == DIGEST_SIZE;
    mac_give(keys, mac);
    return good;
}

static void accounts_free(char **accounts)
{
    for (size_t i = 0; accounts != NULL && accounts[i] != NULL; i++) {
        weir_mem_free(accounts[i]);
    }
    weir_mem_free(accounts);
}

static char **accounts_copy(const char *const *accounts)
{
    size_t count = 0;
    while (count < ACCOUNTS_MAX && accounts[count] != NULL) {
        count++;
    }
    char **copy = weir_mem_zalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = weir_mem_text(accounts[i], strlen(accounts[i]));
        if (copy[i] == NULL) {
            accounts_free(copy);
            return NULL;
        }
    }
    return copy;
}

static bool name_is_taken(const struct weir_keys *keys, const char *name)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (strcmp(keys->entries[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum weir_status entry_add(struct weir_keys *keys, const struct weir_key_spec *spec)
{
    if (spec->name == NULL || spec->key.size == 0 || spec->key.size > WEIR_KEY_SIZE_MAX ||
        name_is_taken(keys, spec->name)) {
        return WEIR_EINVAL;
    }
    struct key_entry *entry = &keys->entries[keys->count++];
    entry->not_before_ns = spec->not_before_ns;
    entry->not_after_ns = spec->not_after_ns;
    entry->name = weir_mem_text(spec->name, strlen(spec->name));
    if (spec->accounts != NULL) {
        entry->accounts = accounts_copy(spec->accounts);
    }
    bool complete = entry->name != NULL && (spec->accounts == NULL || entry->accounts != NULL);
    return complete && digest_of(keys, spec->key, entry->digest) ? WEIR_OK : WEIR_ENOMEM;
}

enum weir_status weir_keys_new(const struct weir_key_spec *specs, size_t count,
                               struct weir_keys **ret)
{
    if (count > WEIR_KEYS_MAX) {
        return WEIR_EINVAL;
    }
    struct weir_keys *keys = weir_mem_zalloc(1, sizeof(*keys));
    if (keys == NULL) {
        return WEIR_ENOMEM;
    }
    atomic_init(&keys->holds, 1);
    weir_rand_system(keys->process_key, sizeof(keys->process_key));
    for (size_t i = 0; i < count; i++) {
        enum weir_status status = entry_add(keys, &specs[i]);
        if (status != WEIR_OK) {
            weir_keys_free(keys);
            return status;
        }
    }
    *ret = keys;
    return WEIR_OK;
}

void weir_keys_free(struct weir_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    for (uint32_t i = 0; i < keys->count; i++) {
        weir_mem_free(keys->entries[i].name);
        accounts_free(keys->entries[i].accounts);
    }
    for (size_t i = 0; i < MACS_IDLE; i++) {
        /* relaxed: whoever frees has acquired all that holders did */
        EVP_MAC_CTX_free(atomic_load_explicit(&keys->macs[i], memory_order_relaxed));
    }
    OPENSSL_cleanse(keys, sizeof(*keys));
    weir_mem_free(keys);
}

void weir_keys_ref(struct weir_keys *keys)
{
    /* relaxed: the caller has seen the keys already, and a hold that keeps them */
    uint32_t before = atomic_fetch_add_explicit(&keys->holds, 1, memory_order_relaxed);
    WEIR_ASSERT(before > 0);
    WEIR_ASSERT(before < UINT32_MAX);
}

void weir_keys_unref(struct weir_keys *keys)
{
    /* acq_rel: partner is every other unref; whoever frees has seen all that holders did */
    uint32_t before = atomic_fetch_sub_explicit(&keys->holds, 1, memory_order_acq_rel);
    WEIR_ASSERT(before > 0);
    if (before == 1) {
        weir_keys_free(keys);
    }
}

/* What an entry whose key matched says about time and account. */
static enum weir_key_verdict entry_judge(const struct key_entry *entry, struct weir_bytes account,
                                         int64_t now_ns)
{
    if (entry->not_before_ns != 0 && now_ns < entry->not_before_ns) {
        return WEIR_KEY_NOT_YET;
    }
    if (entry->not_after_ns != 0 && now_ns >= entry->not_after_ns) {
        return WEIR_KEY_EXPIRED;
    }
    if (entry->accounts == NULL) {
        return WEIR_KEY_OK;
    }
    for (size_t i = 0; entry->accounts[i] != NULL; i++) {
        if (weir_bytes_eq(weir_bytes_str(entry->accounts[i]), account)) {
            return WEIR_KEY_OK;
        }
    }
    return WEIR_KEY_ACCOUNT;
}

enum weir_key_verdict weir_keys_check(const struct weir_keys *keys, struct weir_bytes presented,
                                      struct weir_bytes account, int64_t now_ns,
                                      uint32_t *ret_index)
{
    if (presented.size == 0) {
        return WEIR_KEY_ABSENT;
    }
    uint8_t digest[DIGEST_SIZE];
    if (presented.size > WEIR_KEY_SIZE_MAX || !digest_of(keys, presented, digest)) {
        return WEIR_KEY_UNKNOWN;
    }
    uint64_t matches = 0; /* bit i: entry i has this key; all entries are always looked at */
    _Static_assert(WEIR_KEYS_MAX <= 64, "one bit an entry");
    for (uint32_t i = 0; i < keys->count; i++) {
        uint64_t differs = (uint64_t)CRYPTO_memcmp(digest, keys->entries[i].digest, DIGEST_SIZE);
        matches |= (uint64_t)(differs == 0) << i;
    }
    enum weir_key_verdict verdict = WEIR_KEY_UNKNOWN;
    for (; matches != 0; matches &= matches - 1) {
        uint32_t index = (uint32_t)__builtin_ctzll(matches);
        verdict = entry_judge(&keys->entries[index], account, now_ns);
        *ret_index = index;
        if (verdict == WEIR_KEY_OK) {
            break;
        }
    }
    return verdict;
}

const char *weir_keys_name(const struct weir_keys *keys, uint32_t index)
{
    WEIR_ASSERT(index < keys->count);
    return keys->entries[index].name;
}

const char *weir_key_verdict_text(enum weir_key_verdict verdict)
{
    switch (verdict) {
    case WEIR_KEY_OK: return "ok";
    case WEIR_KEY_ABSENT: return "key_absent";
    case WEIR_KEY_UNKNOWN: return "key_unknown";
    case WEIR_KEY_NOT_YET: return "key_not_yet";
    case WEIR_KEY_EXPIRED: return "key_expired";
    case WEIR_KEY_ACCOUNT: return "key_account";
    }
    WEIR_UNREACHABLE();
}
