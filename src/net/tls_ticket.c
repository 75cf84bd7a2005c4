/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of session tickets: what lets a client resume a session without a state of ours.
 *
 *            | period        | period        | period        |
 *   key 1    | makes, opens  | opens         | wiped
 *   key 2                    | makes, opens  | opens         | wiped
 *
 *   I1  a key makes tickets for one period and opens them for one more; then it is wiped, and
 *       whoever takes this machine's memory later can read no session of before
 *   I2  keys are random, in memory only, the same for all loops and across reloads
 *   I3  the lock is held for a copy, or for making a key once in a period
 *
 * A ticket is sealed with AES-256-CBC and HMAC-SHA-256, as RFC 5077 (4) recommends and OpenSSL
 * does it around us. An old or unknown ticket is no failure: the handshake is a whole one then.
 * Several instances behind one balancer have different keys: a resumption that meets another one
 * becomes a whole handshake.
 *
 * Any thread: OpenSSL calls on the loops'.
 */
#include "tls_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#define NAME_BYTES   16 /* fixed by OpenSSL */
#define SECRET_BYTES 32

struct ticket_key {
    bool made;
    uint8_t name[NAME_BYTES];
    uint8_t cipher[SECRET_BYTES];
    uint8_t mac[SECRET_BYTES];
};

struct weir_tickets {
    pthread_mutex_t lock; /* over everything below */
    uint32_t users;
    int64_t period_ns;
    int64_t turned_ns; /* when `now` was made */
    struct ticket_key now;
    struct ticket_key before;
};

static int context_index = -1;

/* The context's share of the keys goes with it. tidy: allow parameters -- OpenSSL's */
static void unref_with_context(void *parent, void *tickets, CRYPTO_EX_DATA *data, int index,
                               long number, void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    weir_tickets_unref(tickets);
}

static void make_index(void)
{
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, unref_with_context);
}

enum weir_status weir_tickets_new(struct weir_tickets **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    WEIR_ASSERT(pthread_once(&once, make_index) == 0);
    struct weir_tickets *tickets = weir_mem_zalloc(1, sizeof *tickets);
    if (tickets == NULL || context_index < 0) {
        weir_mem_free(tickets);
        return WEIR_ENOMEM;
    }
    WEIR_ASSERT(pthread_mutex_init(&tickets->lock, NULL) == 0);
    tickets->users = 1;
    *ret = tickets;
    return WEIR_OK;
}

static void lock(struct weir_tickets *tickets)
{
    WEIR_ASSERT(pthread_mutex_lock(&tickets->lock) == 0);
}

static void unlock(struct weir_tickets *tickets)
{
    WEIR_ASSERT(pthread_mutex_unlock(&tickets->lock) == 0);
}

struct weir_tickets *weir_tickets_ref(struct weir_tickets *tickets)
{
    lock(tickets);
    tickets->users++;
    unlock(tickets);
    return tickets;
}

void weir_tickets_unref(struct weir_tickets *tickets)
{
    if (tickets == NULL) {
        return;
    }
    lock(tickets);
    bool last = --tickets->users == 0;
    unlock(tickets);
    if (last) {
        WEIR_ASSERT(pthread_mutex_destroy(&tickets->lock) == 0);
        explicit_bzero(tickets, sizeof *tickets);
        weir_mem_free(tickets);
    }
}

void weir_tickets_period(struct weir_tickets *tickets, int64_t period_ns)
{
    lock(tickets);
    tickets->period_ns = period_ns;
    unlock(tickets);
}

static bool make_key(struct ticket_key *key)
{
    key->made = RAND_bytes(key->name, sizeof key->name) == 1 &&
                RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
                RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
    return key->made;
}

/* Lets time pass (I1). Under the lock. */
static void turn(struct weir_tickets *tickets)
{
    int64_t age_ns = weir_clock_mono_ns() - tickets->turned_ns;
    if (tickets->now.made && age_ns < tickets->period_ns) {
        return;
    }
    tickets->before = tickets->now;
    if (age_ns >= 2 * tickets->period_ns) {
        explicit_bzero(&tickets->before, sizeof tickets->before);
    }
    explicit_bzero(&tickets->now, sizeof tickets->now);
    if (make_key(&tickets->now)) {
        tickets->turned_ns = weir_clock_mono_ns();
    }
}

/* The key to make tickets with (`name` NULL), or the one of that name; false: there is none. */
static bool find(struct weir_tickets *tickets, const uint8_t *name, struct ticket_key *ret,
                 bool *ret_old)
{
    lock(tickets);
    turn(tickets);
    const struct ticket_key *found = NULL;
    if (name == NULL || memcmp(name, tickets->now.name, NAME_BYTES) == 0) {
        found = &tickets->now;
    } else if (memcmp(name, tickets->before.name, NAME_BYTES) == 0) {
        found = &tickets->before;
    }
    bool has = found != NULL && found->made;
    if (has) {
        *ret = *found;
        *ret_old = found == &tickets->before;
    }
    unlock(tickets);
    return has;
}

static bool set_up(const struct ticket_key *key, uint8_t *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int making)
{
    uint8_t secret[SECRET_BYTES];
    char digest[] = "SHA256";
    memcpy(secret, key->mac, sizeof secret);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    bool good = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, making) == 1 &&
                EVP_MAC_CTX_set_params(mac, parameters) == 1;
    explicit_bzero(secret, sizeof secret);
    return good;
}

/* OpenSSL's question; 0: without a ticket, 1: with this key, 2: with it, and make a newer one,
 * -1: the handshake fails. tidy: allow parameters -- OpenSSL's */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int making)
{
    struct weir_tickets *tickets = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
    struct ticket_key key;
    bool old = false;
    if (!find(tickets, making == 1 ? NULL : name, &key, &old)) {
        return 0;
    }
    bool good = true;
    if (making == 1) {
        memcpy(name, key.name, NAME_BYTES);
        good = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1;
    }
    good = good && set_up(&key, iv, cipher, mac, making);
    explicit_bzero(&key, sizeof key);
    if (!good) {
        return -1;
    }
    return old ? 2 : 1;
}

void weir_tickets_serve(struct weir_tickets *tickets, SSL_CTX *context)
{
    WEIR_ASSERT(SSL_CTX_set_ex_data(context, context_index, weir_tickets_ref(tickets)) == 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
