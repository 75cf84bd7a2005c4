/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no single key can know: what must be there, what contradicts, what does not fit into memory;
 * and the values that are derived: default destinations, URLs, keys from files.
 *
 *   memory_limit less the program's 16 MiB and a thirty-second
 *                 ┬─ 1/2    intake   >= 2.5 x body_limit    (staging + inflated + half again for
 *                 │                                         rebuilt points)
 *                 ├─ 3/10   queued   >= 1.5 x body_limit    follows from the line above
 *                 ├─ 3/25   export   >= 3 x buffer.size for each destination
 *                 │                                         (encoded, compressed, the next)
 *                 ├─ 1/25   backlog  a record too large for it takes intake
 *                 ├─ 1/50   books    >= dedupe.entries x 48, mostly
 *                 └─ 1/50   idle
 *
 * A limit that was written and does not fit is an error. One that is a default is lowered with a
 * warning, so that Weir starts with its defaults on a machine of any size.
 *
 *   I1  after the checks of a good configuration every destination has its URL or path, every key
 *       its bytes
 *   I2  a door without a lock is only where `access_keys: none` is written, or on loopback where
 *       there is no file
 *
 * Main thread.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/keys.h"
#include "weir/mem.h"
#include "weir/sandbox.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 128, SIZE_TEXT = 32 };

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
    bool offline;
};

/* A size as a text in the caller's memory. */
static const char *size_text(size_t size, char *memory)
{
    struct weir_buf out = weir_buf_fixed(memory, SIZE_TEXT - 1);
    weir_config_put_size(&out, size);
    memory[out.size] = 0;
    return memory;
}

/* The smallest memory_limit, in whole MiB, whose intake holds one such body: weir_config_shares
 * the other way round. */
static size_t memory_for_body(size_t body_bytes)
{
    const size_t mib = (size_t)1 << 20;
    size_t least = (body_bytes * 5 + WEIR_CONFIG_PROGRAM_BYTES) / 31 * 32;
    return (least + mib - 1) / mib * mib;
}

/* The place of a key, or of its mapping where the key was not written. */
static struct weir_config_place near_place(const struct weir_config_mapping *at,
                                           const struct weir_schema *table, const char *name)
{
    struct weir_config_place place = weir_schema_place(at, table, name);
    return place.line > 0 ? place : at->place;
}

static void check_body_limit(struct check *check)
{
    struct weir_config *config = check->config;
    struct weir_config_ingest *ingest = &config->ingest;
    size_t fits = weir_config_shares(config).intake / 5 * 2 / (64u << 10) * (64u << 10);
    if (ingest->body_limit <= fits) {
        return;
    }
    char is[SIZE_TEXT];
    char limit[SIZE_TEXT];
    char most[SIZE_TEXT];
    char needed[SIZE_TEXT];
    (void)size_text(ingest->body_limit, is);
    (void)size_text(config->memory_limit, limit);
    (void)size_text(fits, most);
    (void)size_text(memory_for_body(ingest->body_limit), needed);
    struct weir_config_place place =
        weir_schema_place(&ingest->at, weir_schema_ingest, "body_limit");
    if (place.line > 0) {
        weir_config_error(check->report, place, "ingest.body_limit",
                          "a body of %s does not fit into memory_limit %s, of which half takes "
                          "bodies, each 2.5 times its size (write at most %s, or memory_limit: %s)",
                          is, limit, most, needed);
        return;
    }
    place = weir_schema_place(&config->at, weir_schema_root, "memory_limit");
    weir_config_warn(check->report, place, "memory_limit",
                     "%s holds no body of %s; ingest.body_limit is lowered to %s (for larger ones "
                     "raise memory_limit to %s)",
                     limit, is, most, needed);
    ingest->body_limit = fits;
}

/* What a connection takes: its session, libh2o's socket and smallest buffer (6.5 KiB found); with
 * TLS OpenSSL's state as well (21 KiB found, 52 KB with a record under way). They are paid for by
 * the thirty-second of memory_limit that weir_config_shares leaves out. */
#define CONNECTION_BYTES     ((size_t)8 << 10)
#define TLS_CONNECTION_BYTES ((size_t)48 << 10)

static void check_connections(struct check *check)
{
    struct weir_config *config = check->config;
    struct weir_config_ingest *ingest = &config->ingest;
    size_t each = ingest->tls.certificates.count > 0 ? TLS_CONNECTION_BYTES : CONNECTION_BYTES;
    size_t fits = config->memory_limit / 32 / each;
    if (ingest->connections_max <= fits) {
        return;
    }
    struct weir_config_place place =
        weir_schema_place(&ingest->at, weir_schema_ingest, "connections_max");
    if (place.line == 0) {
        ingest->connections_max = (uint32_t)fits;
        return;
    }
    char limit[SIZE_TEXT];
    char most[SIZE_TEXT];
    (void)size_text(config->memory_limit, limit);
    (void)size_text(ingest->connections_max * each, most);
    weir_config_warn(
        check->report, place, "ingest.connections_max",
        "so many connections can take %s, and memory_limit %s has room for %zu of them "
        "(raise memory_limit, or let the container have that much more)",
        most, limit, fits);
}

/* Why the system does not let us at a file. */
static const char *denied(const char *file)
{
    return weir_sandbox_reaches(file, false)
               ? "may not be read by this user"
               : "the sandbox does not reach it: no file of its folder was named at the start, so "
                 "this needs a restart";
}

/* A file's content as the key, without the line breaks at its end. */
static void read_key_file(struct check *check, struct weir_config_access_key *key,
                          struct weir_config_place place, const char *path)
{
    struct stat stat_;
    uint8_t *data;
    size_t size;
    if (stat(key->file, &stat_) != 0) {
        weir_config_error(check->report, place, path, "%s: %.200s",
                          errno == EACCES ? denied(key->file) : "there is no such file", key->file);
        return;
    }
    if (!S_ISREG(stat_.st_mode)) {
        weir_config_error(check->report, place, path, "is no plain file: %.200s", key->file);
        return;
    }
    enum weir_status status = weir_file_read(key->file, WEIR_KEY_SIZE_MAX + 16, &data, &size);
    if (status == WEIR_ELIMIT) {
        weir_config_error(check->report, place, path, "holds over %d bytes: %.200s",
                          WEIR_KEY_SIZE_MAX, key->file);
        return;
    }
    if (status != WEIR_OK) {
        weir_config_error(check->report, place, path, "%s: %.200s",
                          status == WEIR_EDENIED ? denied(key->file) : "cannot be read", key->file);
        return;
    }
    size_t whole = size;
    while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == '\r')) {
        size--;
    }
    if (size == 0) {
        weir_config_error(check->report, place, path, "holds no key: %.200s", key->file);
    } else {
        key->key = weir_bytes_of(weir_config_text(check->config, weir_bytes_of(data, size)), size);
    }
    if ((stat_.st_mode & (S_IRGRP | S_IROTH)) != 0) {
        weir_config_warn(check->report, place, path,
                         "others than its owner may read %.200s (chmod 600)", key->file);
    }
    explicit_bzero(data, whole);
    weir_mem_free(data);
}

/* What a key may hold as a header's value: visible ASCII, blanks inside; checked for files and
 * values alike. */
static bool is_header_value(struct weir_bytes key)
{
    for (size_t i = 0; i < key.size; i++) {
        if (key.data[i] < 0x20 || key.data[i] > 0x7e) {
            return false;
        }
    }
    return key.size > 0 && key.data[0] != ' ' && key.data[key.size - 1] != ' ';
}

/* Told, not refused: what is left over from a rotation does no harm. */
static void check_expired(struct check *check, const struct weir_config_access_key *key,
                          const char *path)
{
    if (!check->offline && key->not_after_ns != 0 && key->not_after_ns <= weir_clock_wall_ns()) {
        weir_config_warn(check->report, near_place(&key->at, weir_schema_access_key, "not_after"),
                         path, "not_after has passed: this key opens nothing (take it out)");
    }
}

static void check_key(struct check *check, uint32_t index)
{
    struct weir_config_access_key *keys = check->config->ingest.access_keys.items;
    struct weir_config_access_key *key = &keys[index];
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "ingest.access_keys[%" PRIu32 "]", index);
    if (key->at.keys == NULL) {
        return; /* not even a mapping, and told */
    }
    if (weir_schema_place(&key->at, weir_schema_access_key, "name").line == 0) {
        weir_config_error(check->report, key->at.place, path, "has no name (write name: ...)");
    }
    for (uint32_t i = 0; i < index; i++) {
        if (key->name != NULL && keys[i].name != NULL && strcmp(keys[i].name, key->name) == 0) {
            weir_config_error(
                check->report, near_place(&key->at, weir_schema_access_key, "name"), path,
                "has the name of ingest.access_keys[%" PRIu32 "] (names are unique)", i);
        }
    }
    if (key->not_after_ns != 0 && key->not_before_ns >= key->not_after_ns) {
        weir_config_error(check->report, near_place(&key->at, weir_schema_access_key, "not_after"),
                          path, "not_after is not later than not_before");
    }
    check_expired(check, key, path);
    struct weir_config_place value_at =
        weir_schema_place(&key->at, weir_schema_access_key, "value");
    struct weir_config_place file_at = weir_schema_place(&key->at, weir_schema_access_key, "file");
    if ((value_at.line > 0) == (file_at.line > 0)) {
        weir_config_error(check->report, key->at.place, path, "has %s (write value: or file:)",
                          value_at.line > 0 ? "both a value and a file" : "no key in it");
        return;
    }
    if (key->file != NULL && !check->offline) {
        (void)snprintf(path, sizeof path, "ingest.access_keys[%" PRIu32 "].file", index);
        read_key_file(check, key, file_at, path);
    } else if (key->value != NULL) {
        (void)snprintf(path, sizeof path, "ingest.access_keys[%" PRIu32 "].value", index);
        key->key = weir_bytes_str(key->value);
    }
    if (key->key.size > WEIR_KEY_SIZE_MAX) {
        weir_config_error(check->report, value_at.line > 0 ? value_at : file_at, path,
                          "is longer than %d bytes, the most that Firehose sends",
                          WEIR_KEY_SIZE_MAX);
    } else if (key->key.size > 0 && !is_header_value(key->key)) {
        weir_config_error(
            check->report, value_at.line > 0 ? value_at : file_at, path,
            "is no key that Firehose can send (visible ASCII, no blank at either end)");
    }
}

static void check_keys(struct check *check)
{
    struct weir_config *config = check->config;
    struct weir_config_ingest *ingest = &config->ingest;
    bool local = true;
    for (const char *const *address = ingest->listen; *address != NULL; address++) {
        local = local && weir_config_is_loopback(*address);
    }
    struct weir_config_place place = near_place(&ingest->at, weir_schema_ingest, "access_keys");
    place = place.line > 0 ? place : config->at.place;
    if (config->source == NULL) {
        ingest->access_keys.none = true;
    } else if (ingest->access_keys.none && !local) {
        weir_config_warn(check->report, place, "ingest.access_keys",
                         "none, although ingest.listen takes requests from other machines: whoever "
                         "can connect can send");
    } else if (!ingest->access_keys.none &&
               weir_schema_place(&ingest->at, weir_schema_ingest, "access_keys").line == 0) {
        weir_config_error(check->report, place, "ingest.access_keys",
                          "is missing (write - {name: ..., file: ...}; or access_keys: none for a "
                          "door without a lock)");
    }
    for (uint32_t i = 0; i < ingest->access_keys.count; i++) {
        check_key(check, i);
    }
}

/* Says it where one of the two was written: by default only one of them can be. */
static void report_shared(struct check *check, const char *address)
{
    const struct weir_config *config = check->config;
    if (config->admin.at.place.line > 0) {
        weir_config_error(check->report, config->admin.at.place, "admin.listen",
                          "%s is ingest.listen's address too", address);
        return;
    }
    struct weir_config_place place =
        weir_schema_place(&config->ingest.at, weir_schema_ingest, "listen");
    weir_config_error(check->report, place, "ingest.listen",
                      "%s is admin.listen's address too, by default (write another one for either)",
                      address);
}

/* One address for two purposes. */
static void check_listen(struct check *check)
{
    const char *const *ours = check->config->ingest.listen;
    for (size_t i = 0; ours[i] != NULL; i++) {
        bool any_port = strlen(ours[i]) > 2 && strcmp(ours[i] + strlen(ours[i]) - 2, ":0") == 0;
        for (size_t j = 0; check->config->admin.listen[j] != NULL && !any_port; j++) {
            if (strcmp(ours[i], check->config->admin.listen[j]) == 0) {
                report_shared(check, ours[i]);
            }
        }
    }
}

void weir_config_check(struct weir_config *config, struct weir_config_report *report, bool offline)
{
    struct check check = {config, report, offline};
    check_keys(&check);
    check_listen(&check);
    check_body_limit(&check);
    check_connections(&check);
    weir_config_check_destinations(config, report, offline);
    weir_config_check_spool(config, report, offline);
    weir_config_check_tls(config, report, offline);
}
