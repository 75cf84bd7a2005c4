/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request for a token (RFC 6749, 4.4.2 and 2.3.1).
 *
 *   secrets  [ Authorization: Basic ... \0 | grant_type=client_credentials&scope=...&... ]
 *              in the style BASIC            body; in the style BODY with id and secret
 *
 *   I1  id and secret are in this one piece of memory, whose size is known before it is taken: it
 *       never grows, so no copy is left behind, and it is wiped before it is given back
 *   I2  everything between the names and the signs of the form is escaped: neither a secret nor a
 *       parameter can add to the form, and no byte of them can end a header
 *
 * In Basic id and secret are escaped like the form before they are joined with a colon and encoded,
 * as the RFC says and servers differ in (glewlwyd takes them as they are, and none in the body);
 * for those there is the style BASIC_PLAIN.
 *
 * Secrets in files end where the file's text ends: line ends and spaces after it are cut off, which
 * editors and `echo` leave there.
 */
#include "oauth_internal.h"
#include "weir/base64.h"
#include "weir/buf.h"
#include "weir/file.h"
#include "weir/mem.h"
#include "weir/panic.h"
#include <stdio.h>

enum { SECRET_MAX = 16 << 10, ESCAPED = 3 /* bytes that one byte may become */ };

#define BASIC_LEAD "Authorization: Basic "
#define GRANT      "grant_type=client_credentials"

struct secret {
    struct weir_bytes text;
    uint8_t *owned; /* to be wiped and freed, or NULL */
    size_t owned_size;
};

static void secret_done(struct secret *secret)
{
    if (secret->owned != NULL) {
        explicit_bzero(secret->owned, secret->owned_size);
        weir_mem_free(secret->owned);
    }
}

static enum weir_status say(char *trouble, const char *key, const char *path, const char *what)
{
    (void)snprintf(trouble, WEIR_OAUTH_TROUBLE_MAX, "%s%s%s: %s", key, path == NULL ? "" : " ",
                   path == NULL ? "" : path, what);
    return WEIR_EIO;
}

/* From the file, where one is given, else as given. */
static enum weir_status secret_read(const char *key, const char *given, const char *path,
                                    struct secret *ret, char *trouble)
{
    if (path == NULL) {
        *ret = (struct secret){.text = weir_bytes_str(given)};
        return ret->text.size > 0 ? WEIR_OK : say(trouble, key, NULL, "is empty");
    }
    uint8_t *data;
    size_t size;
    enum weir_status status = weir_file_read(path, SECRET_MAX, &data, &size);
    if (status != WEIR_OK) {
        (void)say(trouble, key, path, weir_status_text(status));
        return status == WEIR_ENOMEM ? status : WEIR_EIO;
    }
    struct secret secret = {weir_bytes_of(data, size), data, size};
    while (secret.text.size > 0 && secret.text.data[secret.text.size - 1] <= ' ') {
        secret.text.size--;
    }
    if (secret.text.size == 0) {
        secret_done(&secret);
        return say(trouble, key, path, "is empty");
    }
    *ret = secret;
    return WEIR_OK;
}

static bool is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

static bool all_plain(struct weir_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_plain(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* application/x-www-form-urlencoded. */
static void put_escaped(struct weir_buf *buf, struct weir_bytes text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (is_plain(byte)) {
            weir_buf_put_byte(buf, byte);
        } else if (byte == ' ') {
            weir_buf_put_byte(buf, '+');
        } else {
            weir_buf_put_byte(buf, '%');
            weir_buf_put_byte(buf, (uint8_t)digits[byte >> 4]);
            weir_buf_put_byte(buf, (uint8_t)digits[byte & 15]);
        }
    }
}

static void put_pair(struct weir_buf *buf, const char *key, struct weir_bytes value)
{
    weir_buf_put_byte(buf, '&');
    put_escaped(buf, weir_bytes_str(key));
    weir_buf_put_byte(buf, '=');
    put_escaped(buf, value);
}

static void put_scopes(struct weir_buf *buf, const char *const *scopes)
{
    for (size_t i = 0; scopes != NULL && scopes[i] != NULL; i++) {
        weir_buf_put(buf, i == 0 ? WEIR_BYTES("&scope=") : WEIR_BYTES("+"));
        put_escaped(buf, weir_bytes_str(scopes[i]));
    }
}

static void put_body(struct weir_buf *buf, const struct weir_oauth_options *options,
                     const struct secret *id, const struct secret *secret)
{
    weir_buf_put(buf, WEIR_BYTES(GRANT));
    put_scopes(buf, options->scopes);
    for (const struct weir_oauth_parameter *each = options->parameters;
         each != NULL && each->key != NULL; each++) {
        put_pair(buf, each->key, weir_bytes_str(each->value));
    }
    if (id != NULL) {
        put_pair(buf, "client_id", id->text);
        put_pair(buf, "client_secret", secret->text);
    }
}

/* At most this many bytes, however much of it has to be escaped. */
static size_t body_bound(const struct weir_oauth_options *options, size_t secrets_size)
{
    size_t size = sizeof(GRANT "&client_id=&client_secret=&scope=") + ESCAPED * secrets_size;
    for (size_t i = 0; options->scopes != NULL && options->scopes[i] != NULL; i++) {
        size += 1 + ESCAPED * strlen(options->scopes[i]);
    }
    for (const struct weir_oauth_parameter *each = options->parameters;
         each != NULL && each->key != NULL; each++) {
        size += 2 + ESCAPED * (strlen(each->key) + strlen(each->value));
    }
    return size;
}

static void put_half(struct weir_buf *buf, struct weir_bytes text, bool is_escaped)
{
    if (is_escaped) {
        put_escaped(buf, text);
    } else {
        weir_buf_put(buf, text);
    }
}

/* The Basic header with its terminator. The pair is put together where the body will be. */
static void put_basic(struct weir_buf *buf, const struct secret *id, const struct secret *secret,
                      bool is_escaped)
{
    size_t encoded_max =
        weir_base64_encoded_size(ESCAPED * (id->text.size + secret->text.size) + 1);
    struct weir_buf pair = *buf;
    weir_buf_put(buf, WEIR_BYTES(BASIC_LEAD));
    pair.size = buf->size + encoded_max;
    size_t start = pair.size;
    put_half(&pair, id->text, is_escaped);
    weir_buf_put_byte(&pair, ':');
    put_half(&pair, secret->text, is_escaped);
    WEIR_ASSERT(!pair.failed);
    struct weir_bytes plain = weir_bytes_of(pair.data + start, pair.size - start);
    uint8_t *out = weir_buf_reserve(buf, weir_base64_encoded_size(plain.size));
    WEIR_ASSERT(out != NULL);
    weir_base64_encode(plain, out);
    buf->size += weir_base64_encoded_size(plain.size);
    weir_buf_put_byte(buf, '\0');
}

static enum weir_status write_call(const struct weir_oauth_options *options,
                                   enum weir_oauth_style style, const struct secret *id,
                                   const struct secret *secret, struct weir_oauth_call *ret)
{
    size_t secrets_size = id->text.size + secret->text.size;
    size_t pair_max = ESCAPED * secrets_size + 1;
    size_t capacity = sizeof(BASIC_LEAD) + weir_base64_encoded_size(pair_max) + 1 + pair_max +
                      body_bound(options, secrets_size);
    bool is_basic = style != WEIR_OAUTH_BODY;
    char *memory = weir_mem_alloc(capacity);
    if (memory == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_buf buf = weir_buf_fixed(memory, capacity);
    if (is_basic) {
        put_basic(&buf, id, secret, style == WEIR_OAUTH_BASIC);
    }
    size_t head_size = buf.size;
    put_body(&buf, options, is_basic ? NULL : id, secret);
    WEIR_ASSERT(!buf.failed);
    *ret = (struct weir_oauth_call){
        .headers = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
                    is_basic ? memory : NULL, NULL},
        .secrets = memory,
        .capacity = capacity,
        .body = weir_bytes_from(weir_buf_view(&buf), head_size),
        .is_plain = all_plain(id->text) && all_plain(secret->text),
    };
    return WEIR_OK;
}

enum weir_status weir_oauth_call_make(const struct weir_oauth_options *options,
                                      enum weir_oauth_style style, struct weir_oauth_call *ret,
                                      char *trouble)
{
    WEIR_ASSERT(style != WEIR_OAUTH_AUTO);
    struct secret id;
    struct secret secret;
    WEIR_TRY(secret_read("client_id", options->client_id, options->client_id_file, &id, trouble));
    enum weir_status status = secret_read("client_secret", options->client_secret,
                                          options->client_secret_file, &secret, trouble);
    if (status == WEIR_OK) {
        status = write_call(options, style, &id, &secret, ret);
        secret_done(&secret);
        if (status != WEIR_OK) {
            (void)say(trouble, "request", NULL, weir_status_text(status));
        }
    }
    secret_done(&id);
    return status;
}

void weir_oauth_call_wipe(struct weir_oauth_call *call)
{
    if (call->secrets != NULL) {
        explicit_bzero(call->secrets, call->capacity);
        weir_mem_free(call->secrets);
    }
    *call = (struct weir_oauth_call){.secrets = NULL};
}
