/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate as Firehose needs it, a line for each property.
 *
 *   chain   an authority that is trusted here has signed it, through the intermediates that the
 *           server has sent along (Firehose fetches none), and it is not signed by itself
 *   name    the URL's host is among its names
 *   dates   it has begun, and has more than 14 days left (renewal had better be automatic)
 *   key     RSA of 2048 bits or more with a signature that holds; ECDSA is a WARN, since nobody has
 *           shown that Firehose takes it
 *
 * The callback is called once for each fault, and lets it pass; of each kind the first counts, for
 * those that follow mostly follow from it (no issuer, then no verified leaf).
 *
 *   I1  what stands in a certificate was written by a stranger: it is shown printable and cut
 *
 * One thread; nothing is kept.
 */
#include "probe_certificate.h"
#include <openssl/evp.h>
#include <openssl/objects.h>

enum { DAYS_WARN = 14, RSA_BITS_MIN = 2048, EC_BITS_MIN = 256, NAMES_SHOWN = 5, NAME_SHOWN = 60 };
enum { NAME_SIZE = NAME_SHOWN * 4 + 8 };

static void note(int *error, int *at, int new_error, int depth)
{
    if (*error == 0) {
        *error = new_error;
        *at = depth;
    }
}

int weir_probe_trust_note(int is_good, X509_STORE_CTX *context)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct weir_probe_trust *trust = SSL_get_app_data(ssl);
    int error = X509_STORE_CTX_get_error(context);
    int depth = X509_STORE_CTX_get_error_depth(context);
    if (is_good == 1) {
        return 1;
    }
    switch (error) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED: note(&trust->dates, &trust->dates_depth, error, depth); break;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        note(&trust->strength, &trust->strength_depth, error, depth);
        break;
    default: note(&trust->chain, &trust->chain_depth, error, depth);
    }
    return 1;
}

/* The common name, else the organisation, else "?". */
static void name_of(const X509_NAME *name, char *out)
{
    struct weir_buf buf = weir_buf_fixed(out, NAME_SIZE - 1);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    at = at >= 0 ? at : X509_NAME_get_index_by_NID(name, NID_organizationName, -1);
    const X509_NAME_ENTRY *entry = at < 0 ? NULL : X509_NAME_get_entry(name, at);
    const ASN1_STRING *text = entry == NULL ? NULL : X509_NAME_ENTRY_get_data(entry);
    if (text == NULL) {
        weir_buf_put_byte(&buf, '?');
    } else {
        weir_probe_show(
            &buf, weir_bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
            NAME_SHOWN);
    }
    out[buf.size] = 0;
}

/* ---- chain ---- */

static void tell_untrusted(struct weir_probe *probe, const X509 *last, int sent,
                           const struct weir_probe_trust *trust)
{
    char subject[NAME_SIZE];
    char issuer[NAME_SIZE];
    name_of(X509_get_subject_name(last), subject);
    name_of(X509_get_issuer_name(last), issuer);
    switch (trust->chain) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "\"%s\" is self-signed, which Firehose refuses (SSLHandshakeFailure). Get "
                       "a certificate from a public authority",
                       subject);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "it ends in the authority \"%s\", which is not trusted here: Firehose "
                       "trusts public authorities only. Get a certificate from one (to look "
                       "with your own: --ca-file)",
                       subject);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "incomplete: the server sends %d certificate%s, the last signed by \"%s\", "
                       "which is neither sent nor trusted here; Firehose would refuse it "
                       "(SSLHandshakeFailure). Serve the full chain, the intermediate "
                       "certificates too (often a file named fullchain.pem), from a public "
                       "authority",
                       sent, sent == 1 ? "" : "s", issuer);
        break;
    default:
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "%s (certificate %d of the chain): Firehose would refuse it "
                       "(SSLHandshakeFailure). Serve a full chain of a public authority",
                       X509_verify_cert_error_string(trust->chain), trust->chain_depth + 1);
    }
}

static bool check_chain(struct weir_probe *probe, SSL *ssl, const struct weir_probe_trust *trust)
{
    char root[NAME_SIZE];
    const STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
    const STACK_OF(X509) *verified = SSL_get0_verified_chain(ssl);
    int count = sk_X509_num(sent);
    if (trust->chain != 0) {
        tell_untrusted(probe, sk_X509_value(sent, count - 1), count, trust);
        return false;
    }
    const X509 *top = sk_X509_value(verified, sk_X509_num(verified) - 1);
    name_of(X509_get_subject_name(top == NULL ? sk_X509_value(sent, count - 1) : top), root);
    weir_probe_say(probe, WEIR_PROBE_OK, "certificate chain",
                   "complete: %d certificate%s sent, up to \"%s\", trusted %s", count,
                   count == 1 ? "" : "s", root,
                   probe->options->ca_file == NULL ? "by this system" : "by --ca-file");
    return true;
}

/* ---- name ---- */

static void list_names(X509 *certificate, struct weir_buf *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
    int shown = 0;
    for (int i = 0; i < count && shown < NAMES_SHOWN; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            const ASN1_IA5STRING *text = name->d.dNSName;
            weir_buf_printf(out, "%s", shown++ == 0 ? "" : ", ");
            weir_probe_show(
                out, weir_bytes_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
                NAME_SHOWN);
        }
    }
    if (shown == 0) {
        weir_buf_printf(out, "no DNS name");
    } else if (shown < count) {
        weir_buf_printf(out, " and more");
    }
    GENERAL_NAMES_free(names);
}

static bool check_name(struct weir_probe *probe, X509 *certificate)
{
    const char *host = probe->target.host;
    char words[NAMES_SHOWN * NAME_SIZE] = "";
    struct weir_buf list = weir_buf_fixed(words, sizeof words - 1);
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    int match = probe->target.is_address ? X509_check_ip_asc(certificate, host, 0)
                                         : X509_check_host(certificate, host, 0, flags, NULL);
    list_names(certificate, &list);
    if (match == 1) {
        weir_probe_say(probe, WEIR_PROBE_OK, "certificate name", "%s is among %.300s", host, words);
        return true;
    }
    weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate name",
                   "it is for %.300s, not for %s: Firehose would refuse it (SSLHandshakeFailure). "
                   "Serve a certificate with that name",
                   words, host);
    return false;
}

/* ---- dates ---- */

static bool check_dates(struct weir_probe *probe, const X509 *certificate,
                        const struct weir_probe_trust *trust)
{
    int days = 0;
    int seconds = 0;
    bool is_known = ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1;
    bool is_over = !is_known || days < 0 || seconds < 0;
    bool is_future = X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0;
    if (is_over || is_future) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate dates",
                       "%s: Firehose refuses it (SSLHandshakeFailure). %s",
                       is_future ? "it is not valid yet" : "it has expired",
                       is_future ? "Look at this machine's clock, or wait"
                                 : "Renew it, and see that the renewed one is loaded");
        return false;
    }
    if (trust->dates != 0) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate dates",
                       "%s, of certificate %d of the chain: Firehose refuses it. Renew the chain",
                       X509_verify_cert_error_string(trust->dates), trust->dates_depth + 1);
        return false;
    }
    if (days < DAYS_WARN) {
        weir_probe_say(probe, WEIR_PROBE_WARN, "certificate dates",
                       "it expires in %d day%s: does its renewal work?", days,
                       days == 1 ? "" : "s");
    } else {
        weir_probe_say(probe, WEIR_PROBE_OK, "certificate dates", "valid for %d more days", days);
    }
    return true;
}

/* ---- key ---- */

static bool check_key(struct weir_probe *probe, const X509 *certificate,
                      const struct weir_probe_trust *trust)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    int bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);
    bool is_rsa = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
    const char *kind = is_rsa ? "RSA" : "not RSA (ECDSA or the like)";
    int signature = X509_get_signature_nid(certificate);
    const char *signed_by = OBJ_nid2ln(signature);
    bool is_old = signature == NID_sha1WithRSAEncryption || signature == NID_md5WithRSAEncryption ||
                  signature == NID_ecdsa_with_SHA1;
    if (is_old || trust->strength != 0 || bits < (is_rsa ? RSA_BITS_MIN : EC_BITS_MIN)) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate key",
                       "%s, %d bits, %s: too weak%s. Use RSA of 2048 bits or more, signed with "
                       "SHA-256",
                       kind, bits, signed_by == NULL ? "?" : signed_by,
                       trust->strength_depth > 0 ? " further up in its chain" : "");
        return false;
    }
    weir_probe_say(probe, is_rsa ? WEIR_PROBE_OK : WEIR_PROBE_WARN, "certificate key",
                   "%s, %d bits, %s%s", kind, bits, signed_by == NULL ? "?" : signed_by,
                   is_rsa ? ""
                          : ": nobody has shown that Firehose takes it; serve an RSA one as well");
    return true;
}

bool weir_probe_certificate(struct weir_probe *probe, SSL *ssl,
                            const struct weir_probe_trust *trust)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL) {
        weir_probe_say(probe, WEIR_PROBE_FAIL, "certificate chain",
                       "the server shows no certificate. Give it one of a public authority");
        return false;
    }
    bool is_trusted = check_chain(probe, ssl, trust);
    bool is_named = check_name(probe, certificate);
    bool is_current = check_dates(probe, certificate, trust);
    bool is_strong = check_key(probe, certificate, trust);
    return is_trusted && is_named && is_current && is_strong;
}
