/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes, one with each version of TLS, and what they show of the certificate.
 *
 *   TLS 1.2, the suite Firehose was seen with ─┬─ good ─────────────────┐
 *                                              └─► any suite of 1.2 ────┤
 *   TLS 1.3 ────────────────────────────────────────────────────────────┴─► the first certificate
 *                                                                           that was shown: judged
 *
 * Firehose was seen with TLS 1.2 and ECDHE-RSA-AES128-GCM-SHA256, so that is tried before all else:
 * of an RSA and an ECDSA certificate side by side it is the RSA one that Firehose gets.
 *
 * No handshake is refused here for its certificate: the verification notes all that it finds wrong
 * and goes on, so that each fault has its own line (probe_certificate.c).
 *
 *   I1  nothing is sent through these connections but the handshake
 *   I2  a handshake ends within WEIR_PROBE_CONNECT_MS, whatever the other side does
 *   I3  a socket belongs to its handshake and is closed with it
 *
 * One thread. Not done: revocation (Firehose is not known to look), TLS 1.0 and 1.1.
 */
#include "probe_certificate.h"
#include "weir/clock.h"
#include "weir/file.h"
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>

#define SEEN_SUITE "ECDHE-RSA-AES128-GCM-SHA256"

struct handshake {
    SSL *ssl;
    int fd;
    bool is_done;
    bool is_connected;
    char why[256];
};

static void handshake_end(struct handshake *handshake)
{
    SSL_free(handshake->ssl);
    weir_file_close(handshake->fd);
    *handshake = (struct handshake){.fd = -1};
}

/* What OpenSSL has to say of a failure, in words. */
static void explain(struct handshake *handshake, int result)
{
    unsigned long code = ERR_peek_error();
    const char *words = code == 0 ? NULL : ERR_reason_error_string(code);
    int kind = SSL_get_error(handshake->ssl, result);
    if (words == NULL) {
        words = kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE
                    ? "no answer to the handshake within 10 s"
                    : "the connection was closed during the handshake";
    }
    (void)snprintf(handshake->why, sizeof handshake->why, "%s", words);
    ERR_clear_error();
}

static void handshake_run(struct handshake *handshake)
{
    int64_t deadline_ns = weir_clock_mono_ns() + WEIR_PROBE_CONNECT_MS * WEIR_NS_PER_MS;
    for (;;) {
        ERR_clear_error();
        int result = SSL_connect(handshake->ssl);
        int kind = result == 1 ? SSL_ERROR_NONE : SSL_get_error(handshake->ssl, result);
        bool wants = kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE;
        short events = kind == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
        if (result == 1) {
            handshake->is_done = true;
            return;
        }
        if (!wants || !weir_probe_wait(handshake->fd, events, deadline_ns)) {
            explain(handshake, result);
            return;
        }
    }
}

static bool set_up(struct handshake *handshake, const struct weir_probe_target *target, int version,
                   const char *suites)
{
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL *ssl = handshake->ssl;
    bool is_good = SSL_set_min_proto_version(ssl, version) == 1 &&
                   SSL_set_max_proto_version(ssl, version) == 1 &&
                   (suites == NULL || SSL_set_cipher_list(ssl, suites) == 1) &&
                   SSL_set_alpn_protos(ssl, alpn, sizeof alpn - 1) == 0 &&
                   SSL_set_fd(ssl, handshake->fd) == 1;
    if (is_good && !target->is_address) {
        char host[sizeof target->host]; /* OpenSSL wants it mutable, and copies it */
        memcpy(host, target->host, sizeof host);
        is_good = SSL_set_tlsext_host_name(ssl, host) == 1;
    }
    return is_good;
}

/* One handshake; ended by the caller. Version 0 is 1.2 with the suite that Firehose was seen
 * with. */
static void handshake_begin(struct handshake *handshake, const struct weir_probe_target *target,
                            SSL_CTX *context, struct weir_probe_trust *trust, int version)
{
    struct weir_buf why = weir_buf_fixed(handshake->why, sizeof handshake->why - 1);
    bool is_seen_suite = version == 0;
    int real = is_seen_suite ? TLS1_2_VERSION : version;
    memset(handshake->why, 0, sizeof handshake->why);
    *trust = (struct weir_probe_trust){0};
    handshake->fd = weir_probe_connect(target, WEIR_PROBE_CONNECT_MS, &why);
    handshake->is_connected = handshake->fd >= 0;
    handshake->ssl = handshake->is_connected ? SSL_new(context) : NULL;
    if (handshake->ssl == NULL) {
        return;
    }
    if (!set_up(handshake, target, real, is_seen_suite ? SEEN_SUITE : NULL) ||
        SSL_set_app_data(handshake->ssl, trust) != 1) {
        (void)snprintf(handshake->why, sizeof handshake->why,
                       "this machine's OpenSSL does not allow this version");
        return;
    }
    handshake_run(handshake);
}

/* The authorities; false when there are none. */
static bool load_authorities(struct weir_probe *probe, SSL_CTX *context)
{
    const char *ca_file = probe->options->ca_file;
    bool is_good = ca_file == NULL ? SSL_CTX_set_default_verify_paths(context) == 1
                                   : SSL_CTX_load_verify_locations(context, ca_file, NULL) == 1;
    ERR_clear_error();
    if (!is_good) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "no authorities to verify it by: %s cannot be read here (say --ca-file)",
                       ca_file == NULL ? "the system's" : ca_file);
    }
    return is_good;
}

static SSL_CTX *new_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context != NULL) {
        SSL_CTX_set_security_level(context, 1); /* what is weak is to be named, not refused */
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, weir_probe_trust_note);
        X509_VERIFY_PARAM_set_auth_level(SSL_CTX_get0_param(context), 2);
    }
    return context;
}

/* TLS 1.2 into `handshake`, done or not. */
static void try_12(struct weir_probe *probe, SSL_CTX *context, struct handshake *handshake,
                   struct weir_probe_trust *trust)
{
    handshake_begin(handshake, &probe->target, context, trust, 0);
    if (handshake->is_done) {
        weir_probe_say(probe, WEIR_PROBE_OK, "TLS 1.2", SEEN_SUITE);
        return;
    }
    handshake_end(handshake);
    handshake_begin(handshake, &probe->target, context, trust, TLS1_2_VERSION);
    if (handshake->is_done) {
        weir_probe_say(probe, WEIR_PROBE_WARN, "TLS 1.2",
                       "%s, but not " SEEN_SUITE ", which Firehose was seen to use: serve an RSA "
                       "certificate too, and allow that suite",
                       SSL_get_cipher_name(handshake->ssl));
        return;
    }
    weir_probe_say(probe, WEIR_PROBE_FAIL, "TLS 1.2",
                   "%s: Firehose was seen to use TLS 1.2, and would fail with SSLHandshakeFailure. "
                   "Allow TLS 1.2",
                   handshake->why[0] == 0 ? "no handshake" : handshake->why);
}

static void try_13(struct weir_probe *probe, SSL_CTX *context, struct handshake *handshake,
                   struct weir_probe_trust *trust)
{
    handshake_begin(handshake, &probe->target, context, trust, TLS1_3_VERSION);
    if (handshake->is_done) {
        weir_probe_say(probe, WEIR_PROBE_OK, "TLS 1.3", "%s", SSL_get_cipher_name(handshake->ssl));
    } else {
        weir_probe_say(probe, WEIR_PROBE_WARN, "TLS 1.3",
                       "%s: Firehose does without it today; better allow it",
                       handshake->why[0] == 0 ? "no handshake" : handshake->why);
    }
}

bool weir_probe_tls(struct weir_probe *probe)
{
    struct handshake first = {.fd = -1};
    struct handshake second = {.fd = -1};
    struct weir_probe_trust first_trust = {0};
    struct weir_probe_trust second_trust = {0};
    SSL_CTX *context = new_context();
    bool is_good = false;
    if (context != NULL && load_authorities(probe, context)) {
        try_12(probe, context, &first, &first_trust);
        try_13(probe, context, &second, &second_trust);
        if (first.is_done) {
            is_good = weir_probe_certificate(probe, first.ssl, &first_trust);
        } else if (second.is_done) {
            (void)weir_probe_certificate(probe, second.ssl, &second_trust);
        }
    }
    handshake_end(&first);
    handshake_end(&second);
    SSL_CTX_free(context);
    return is_good;
}
