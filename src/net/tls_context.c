/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of certificates as one SSL_CTX, and which of them a connection gets.
 *
 *   SNI "b.example.com" ──► every certificate for that name, one a kind of key (RSA, EC, ...):
 *                           OpenSSL takes the one whose signature the client knows
 *   SNI of nobody, none ──► the first certificate, and those of other kinds for its name
 *
 * The answer for nobody's name is a certificate rather than an alert, since a health check or a
 * probe by address must get through; whoever verifies names finds out anyhow.
 *
 * Invariants
 *   I1  an SSL_CTX is not changed once it is published; its set, and its share of the tickets'
 *       keys, are freed with it, which is with the last of its connections
 *   I2  1.2 and 1.3 only, AEAD only, ECDHE only; no renegotiation, no compression, no early data
 *   I3  HTTP/1.1 is all that is ever agreed on by ALPN: a client that offers only others goes
 *       without, so that libh2o's HTTP/2 is never reached
 *   I4  nothing here names an implementation: algorithms come from whatever providers openssl.cnf
 *       loads, and what a provider lacks (X25519 and ChaCha20 with FIPS) is left out
 *
 * The security level is that of the system's openssl.cnf (2 on Debian), which is what refuses a
 * key of 1024 bits. Two records of input and output are freed while a connection is idle
 * (SSL_MODE_RELEASE_BUFFERS).
 *
 * Made on one thread; the callbacks run on the loops'.
 */
#include "tls_internal.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

#define CIPHERS_1_2                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

#define KINDS_MAX    8
#define TICKET_S_MAX (7 * 86400)

static int context_index = -1;

void weir_tls_set_free(struct weir_tls_set *set)
{
    if (set == NULL) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        weir_tls_certificate_done(&set->certificates[i]);
    }
    weir_mem_free(set);
}

/* tidy: allow parameters -- OpenSSL's */
static void free_with_context(void *parent, void *set, CRYPTO_EX_DATA *data, int index, long number,
                              void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    weir_tls_set_free(set);
}

static void make_index(void)
{
    /* with openssl.cnf: that is where providers are chosen */
    (void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_context);
}

const struct weir_tls_set *weir_tls_context_set(const SSL_CTX *context)
{
    return SSL_CTX_get_ex_data(context, context_index);
}

static bool is_for(const struct weir_tls_certificate *certificate, const char *name)
{
    return X509_check_host(certificate->leaf, name, strlen(name), 0, NULL) == 1;
}

/* The first certificate of each kind for `name`; how many. */
static uint32_t choose(const struct weir_tls_set *set, const char *name,
                       const struct weir_tls_certificate **ret)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count && count < KINDS_MAX; i++) {
        const struct weir_tls_certificate *certificate = &set->certificates[i];
        bool wanted = is_for(certificate, name);
        for (uint32_t j = 0; j < count && wanted; j++) {
            wanted = EVP_PKEY_get_id(ret[j]->key) != EVP_PKEY_get_id(certificate->key);
        }
        if (wanted) {
            ret[count++] = certificate;
        }
    }
    return count;
}

/* Those for whoever asks for no name of ours. */
static uint32_t choose_first(const struct weir_tls_set *set,
                             const struct weir_tls_certificate **ret)
{
    uint32_t count = choose(set, set->certificates[0].name, ret);
    if (count == 0 || ret[0] != &set->certificates[0]) {
        ret[0] =
            &set->certificates[0]; /* a name that stands for no host, or not the first for it */
        count = 1;
    }
    return count;
}

/* OpenSSL's question in each handshake that is not resumed; 0: the handshake fails. */
static int on_certificate(SSL *ssl, void *argument)
{
    (void)argument;
    const struct weir_tls_set *set = weir_tls_context_set(SSL_get_SSL_CTX(ssl));
    const struct weir_tls_certificate *chosen[KINDS_MAX];
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    uint32_t count = name == NULL ? 0 : choose(set, name, chosen);
    if (count == 0) {
        return 1; /* the context's own */
    }
    SSL_certs_clear(ssl);
    for (uint32_t i = 0; i < count; i++) {
        if (SSL_use_cert_and_key(ssl, chosen[i]->leaf, chosen[i]->key, chosen[i]->chain, 1) != 1) {
            return 0;
        }
    }
    return 1;
}

/* tidy: allow parameters -- OpenSSL's */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *offered, unsigned int offered_size, void *argument)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)argument;
    if (SSL_select_next_proto(&chosen, out_size, ours, sizeof ours - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_groups(SSL_CTX *context)
{
    char every[] = "X25519:P-256:P-384"; /* not const: the macro casts it away */
    char approved[] = "P-256:P-384";
    bool all = SSL_CTX_set1_groups_list(context, every) == 1;
    ERR_clear_error();
    return all || SSL_CTX_set1_groups_list(context, approved) == 1; /* I4 */
}

static bool set_ciphers(SSL_CTX *context)
{
    /* what no provider has is left out by OpenSSL, as long as something remains */
    return SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 &&
           (SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1 ||
            SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384") ==
                1);
}

static bool set_tickets(SSL_CTX *context, const struct weir_tls_options *options,
                        struct weir_tickets *tickets)
{
    static const unsigned char id[] = "weir ingest";
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (options->ticket_ns <= 0) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(context, 0) == 1;
    }
    int64_t seconds = 2 * options->ticket_ns / INT64_C(1000000000);
    SSL_CTX_set_timeout(context, seconds < TICKET_S_MAX ? (long)seconds + 1 : TICKET_S_MAX);
    weir_tickets_serve(tickets, context);
    return SSL_CTX_set_session_id_context(context, id, sizeof id - 1) == 1;
}

static bool set_policy(SSL_CTX *context, const struct weir_tls_options *options)
{
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_cert_cb(context, on_certificate, NULL);
    int lowest = options->version_min == WEIR_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    return SSL_CTX_set_max_early_data(context, 0) == 1 &&
           SSL_CTX_set_min_proto_version(context, lowest) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 && set_ciphers(context) &&
           set_groups(context);
}

/* Each certificate is tried, so that what OpenSSL refuses is found now and not in a handshake. */
static enum weir_status use_certificates(SSL_CTX *context, const struct weir_tls_set *set,
                                         struct weir_buf *why)
{
    const struct weir_tls_certificate *first[KINDS_MAX];
    uint32_t first_count = choose_first(set, first);
    for (uint32_t i = 0; i < set->count + first_count; i++) {
        /* the default ones last, so that they are what stays */
        const struct weir_tls_certificate *certificate =
            i < set->count ? &set->certificates[i] : first[i - set->count];
        if (SSL_CTX_use_cert_and_key(context, certificate->leaf, certificate->key,
                                     certificate->chain, 1) != 1) {
            weir_buf_printf(why, "cannot be used (");
            weir_tls_put_reason(why);
            weir_buf_printf(why, "): %.200s", certificate->look.file);
            return WEIR_EINVAL;
        }
    }
    return WEIR_OK;
}

enum weir_status weir_tls_context_new(struct weir_tls_set *set,
                                      const struct weir_tls_options *options,
                                      struct weir_tickets *tickets, struct weir_buf *why,
                                      SSL_CTX **ret)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    WEIR_ASSERT(pthread_once(&once, make_index) == 0);
    WEIR_ASSERT(set->count > 0);
    SSL_CTX *context = context_index < 0 ? NULL : SSL_CTX_new(TLS_server_method());
    if (context == NULL || !set_policy(context, options) ||
        !set_tickets(context, options, tickets)) {
        weir_buf_printf(why, "OpenSSL cannot be set up for TLS: ");
        weir_tls_put_reason(why);
        SSL_CTX_free(context);
        return WEIR_EINVAL;
    }
    enum weir_status status = use_certificates(context, set, why);
    if (status != WEIR_OK) {
        SSL_CTX_free(context);
        return status;
    }
    ERR_clear_error();
    weir_handshake_observe(context);
    WEIR_ASSERT(SSL_CTX_set_ex_data(context, context_index, set) == 1);
    *ret = context;
    return WEIR_OK;
}
