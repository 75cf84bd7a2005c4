/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROBE_CERTIFICATE_H
#define WEIR_PROBE_CERTIFICATE_H

#include "probe_internal.h"
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* What verification found wrong, the first of each kind: OpenSSL's number, 0 for nothing. */
struct weir_probe_trust {
    int chain;
    int chain_depth;
    int dates;
    int dates_depth;
    int strength;
    int strength_depth;
};

/* OpenSSL's verify callback: notes into the SSL's app data (a struct weir_probe_trust), and lets
 * everything pass. */
int weir_probe_trust_note(int is_good, X509_STORE_CTX *context);

/* Judges what the server has shown: chain, name, dates, key. False when Firehose would refuse
 * it. */
bool weir_probe_certificate(struct weir_probe *probe, SSL *ssl,
                            const struct weir_probe_trust *trust);

#endif
