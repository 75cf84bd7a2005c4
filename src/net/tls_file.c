/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate, its issuers and its key, from PEM files.
 *
 *   certificate  [ the server's ][ its issuer ][ the issuer's issuer ] ...
 *   key          [ private key ]            (may stand in the certificate's file, anywhere)
 *
 *   I1  what is loaded fits: the key is the certificate's, each certificate was issued by the next
 *   I2  the key file's bytes are wiped from our memory, whatever happens
 *   I3  nobody is ever asked for a passphrase: OpenSSL would ask at the terminal
 *
 * Files are bounded (FILE_BYTES_MAX) and plain: a pipe could hold up whoever loads. Symbolic links
 * are followed, since that is how certbot and Kubernetes switch from one certificate to the next.
 * Whether a certificate has expired is told, not judged; whether clients trust its issuer cannot be
 * known here (`weir probe` asks from outside).
 *
 * Any thread.
 */
#include "tls_internal.h"
#include "weir/clock.h"
#include "weir/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES_MAX  ((size_t)1 << 20)
#define CHAIN_CERTS_MAX 16

struct file {
    const char *name;
    uint8_t *data;
    size_t size;
    mode_t mode;
};

static enum weir_status wrong(struct weir_buf *why, const char *file, const char *what)
{
    weir_buf_printf(why, "%s: %.200s", what, file);
    return WEIR_EINVAL;
}

/* The same with what OpenSSL says. */
static enum weir_status wrong_by_openssl(struct weir_buf *why, const char *file, const char *what)
{
    weir_buf_printf(why, "%s (", what);
    weir_tls_put_reason(why);
    weir_buf_printf(why, "): %.200s", file);
    return WEIR_EINVAL;
}

void weir_tls_put_reason(struct weir_buf *why)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    weir_buf_printf(why, "%s", reason == NULL ? "no reason given" : reason);
    ERR_clear_error();
}

static void file_done(struct file *file)
{
    if (file->data != NULL) {
        explicit_bzero(file->data, file->size);
        weir_mem_free(file->data);
    }
    *file = (struct file){.data = NULL};
}

/* Reads `size` bytes; fewer where the file has become shorter. */
static size_t read_whole(int fd, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, data + done, size - done);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return done;
}

static enum weir_status read_open(int fd, struct weir_buf *why, struct file *file)
{
    struct stat stat_;
    if (fstat(fd, &stat_) != 0 || !S_ISREG(stat_.st_mode)) {
        return wrong(why, file->name, "is no plain file");
    }
    if (stat_.st_size <= 0 || (uint64_t)stat_.st_size > FILE_BYTES_MAX) {
        return wrong(why, file->name, stat_.st_size <= 0 ? "is empty" : "is over 1 MiB");
    }
    file->size = (size_t)stat_.st_size;
    file->mode = stat_.st_mode;
    file->data = weir_mem_zalloc(1, file->size);
    if (file->data == NULL) {
        return WEIR_ENOMEM;
    }
    if (read_whole(fd, file->data, file->size) != file->size) {
        return wrong(why, file->name, "cannot be read");
    }
    return WEIR_OK;
}

static enum weir_status file_read(const char *name, struct weir_buf *why, struct file *ret)
{
    *ret = (struct file){.name = name};
    /* not blocking: else a pipe without a writer is waited for */
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1) {
        bool denied = errno == EACCES || errno == EPERM;
        return wrong(why, name,
                     denied
                         ? "may not be read by this user, or not from within the sandbox (then a "
                           "restart takes it)"
                     : errno == ENOENT ? "there is no such file"
                                       : "cannot be opened");
    }
    enum weir_status status = read_open(fd, why, ret);
    (void)close(fd);
    return status;
}

/* In place of a question at the terminal (I3). */
static int no_passphrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static enum weir_status load_key(const struct file *file, struct weir_buf *why,
                                 struct weir_tls_certificate *certificate)
{
    bool asked = false;
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->size);
    if (bio == NULL) {
        return WEIR_ENOMEM;
    }
    ERR_clear_error();
    certificate->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    BIO_free(bio);
    if (certificate->key != NULL) {
        ERR_clear_error();
        return WEIR_OK;
    }
    if (asked) {
        ERR_clear_error();
        return wrong(why, file->name,
                     "holds a private key that a passphrase protects, which is not supported "
                     "(write it without: openssl pkey -in FILE -out NEW, mode 0600)");
    }
    return wrong_by_openssl(why, file->name, "holds no private key that can be used");
}

static enum weir_status load_chain(const struct file *file, BIO *bio, struct weir_buf *why,
                                   struct weir_tls_certificate *certificate)
{
    const X509 *below = certificate->leaf;
    for (int count = 0; count < CHAIN_CERTS_MAX; count++) {
        X509 *issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (issuer == NULL) {
            bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            if (!ended) {
                return wrong_by_openssl(why, file->name, "holds a certificate that is damaged");
            }
            ERR_clear_error();
            return WEIR_OK;
        }
        if (sk_X509_push(certificate->chain, issuer) == 0) {
            X509_free(issuer);
            return WEIR_ENOMEM;
        }
        if (X509_NAME_cmp(X509_get_issuer_name(below), X509_get_subject_name(issuer)) != 0) {
            weir_buf_printf(why,
                            "certificate %d is not the issuer of the one before it (write the "
                            "server's own first, then each one's issuer): %.200s",
                            count + 2, file->name);
            return WEIR_EINVAL;
        }
        below = issuer;
    }
    return wrong(why, file->name, "holds over 17 certificates");
}

static enum weir_status load_certificates(const struct file *file, struct weir_buf *why,
                                          struct weir_tls_certificate *certificate)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->size);
    certificate->chain = sk_X509_new_null();
    if (bio == NULL || certificate->chain == NULL) {
        BIO_free(bio);
        return WEIR_ENOMEM;
    }
    ERR_clear_error();
    certificate->leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    enum weir_status status =
        certificate->leaf == NULL
            ? wrong_by_openssl(why, file->name, "holds no certificate that can be used")
            : load_chain(file, bio, why, certificate);
    BIO_free(bio);
    return status;
}

/* Nanoseconds since 1970; a time beyond what fits, or that is none, is far away. */
static int64_t wall_ns(const ASN1_TIME *time)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1) {
        return 0;
    }
    int64_t seconds = timegm(&parts);
    int64_t ns;
    if (__builtin_mul_overflow(seconds, WEIR_NS_PER_S, &ns)) {
        return seconds < 0 ? INT64_MIN : INT64_MAX;
    }
    return ns;
}

/* Appends a name behind a comma; three dots where it does not fit. */
static void put_name(char *names, size_t capacity, const char *name, size_t size)
{
    static const char dots[] = ", ...";
    size_t used = strlen(names);
    size_t comma = used > 0 ? 2 : 0;
    if (used >= 3 && memcmp(names + used - 3, "...", 3) == 0) {
        return;
    }
    if (used + comma + size + sizeof dots > capacity) {
        memcpy(names + used, dots, sizeof dots);
        return;
    }
    memcpy(names + used, ", ", comma);
    memcpy(names + used + comma, name, size);
    names[used + comma + size] = 0;
}

static void put_first(struct weir_tls_certificate *certificate, const char *name, size_t size)
{
    if (certificate->name[0] == 0 && size < sizeof certificate->name) {
        memcpy(certificate->name, name, size);
        certificate->name[size] = 0;
    }
}

/* A name is text from a file of the operator's, and goes into logs: those of odd bytes are left
 * out. */
static bool is_printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return false;
        }
    }
    return size > 0;
}

static void read_names(struct weir_tls_certificate *certificate)
{
    struct weir_tls_look *look = &certificate->look;
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != GEN_DNS) {
            continue;
        }
        const char *text = (const char *)ASN1_STRING_get0_data(name->d.dNSName);
        size_t size = (size_t)ASN1_STRING_length(name->d.dNSName);
        if (is_printable(text, size) && size < sizeof certificate->name) {
            put_first(certificate, text, size);
            put_name(look->names, sizeof look->names, text, size);
        }
    }
    GENERAL_NAMES_free(all);
    if (look->names[0] == 0) {
        char common[200] = "";
        int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate->leaf),
                                             NID_commonName, common, (int)sizeof common);
        bool told = size > 0 && is_printable(common, (size_t)size);
        const char *text = told ? common : "(no name)";
        put_name(look->names, sizeof look->names, text, strlen(text));
    }
    ERR_clear_error();
}

static void look_at(struct weir_tls_certificate *certificate, const struct weir_tls_pair *pair,
                    const struct file *key)
{
    struct weir_tls_look *look = &certificate->look;
    size_t size = strlen(pair->certificate);
    size_t from = size < sizeof look->file ? 0 : size - sizeof look->file + 1;
    memcpy(look->file, pair->certificate + from, size - from + 1);
    look->kind = EVP_PKEY_get0_type_name(certificate->key);
    look->kind = look->kind == NULL ? "unknown" : look->kind;
    look->begins_ns = wall_ns(X509_get0_notBefore(certificate->leaf));
    look->expires_ns = wall_ns(X509_get0_notAfter(certificate->leaf));
    look->key_exposed = (key->mode & (S_IRGRP | S_IROTH)) != 0;
    read_names(certificate);
}

enum weir_status weir_tls_certificate_load(const struct weir_tls_pair *pair, struct weir_buf *why,
                                           struct weir_tls_certificate *ret)
{
    struct file public = {.data = NULL};
    struct file private = {.data = NULL};
    enum weir_status status = file_read(pair->certificate, why, &public);
    if (status == WEIR_OK) {
        status = load_certificates(&public, why, ret);
    }
    if (status == WEIR_OK) {
        const char *key = pair->key == NULL ? pair->certificate : pair->key;
        status = file_read(key, why, &private);
    }
    if (status == WEIR_OK) {
        status = load_key(&private, why, ret);
    }
    if (status == WEIR_OK && X509_check_private_key(ret->leaf, ret->key) != 1) {
        ERR_clear_error();
        weir_buf_printf(why, "the key in %.200s is not that of the certificate in %.200s",
                        private.name, public.name);
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK) {
        look_at(ret, pair, &private);
    }
    if (status == WEIR_ENOMEM) {
        weir_buf_printf(why, "out of memory");
    }
    file_done(&public);
    file_done(&private);
    return status;
}

void weir_tls_certificate_done(struct weir_tls_certificate *certificate)
{
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    memset(certificate, 0, sizeof *certificate);
}
