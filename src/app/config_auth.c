/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of how a destination is authorised: bearer token, OAuth2, client certificate; and what
 * is derived: struct weir_oauth_options.
 *
 *   auth.bearer_file ─┐
 *   oauth2            ├─ at most one of them, since each makes the header Authorization
 *   headers           ┘
 *
 * Files with secrets are only looked at, and what is missing is a warning: they are read when they
 * are needed, and whoever makes them may come later. A client certificate is needed from the first
 * connection, and is an error.
 *
 * Main thread.
 */
#include "config_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_SIZE = 128 };

struct check {
    struct weir_config *config;
    struct weir_config_report *report;
    struct weir_config_destination *destination;
    uint32_t index;
    bool offline;
};

static void tell(const struct check *check, bool is_error, const char *key, const char *text)
{
    char path[PATH_SIZE];
    struct weir_config_place place = check->destination->at.place;
    size_t top = strcspn(key, ".");
    for (const struct weir_schema *row = weir_schema_destination; row->name != NULL; row++) {
        if (strlen(row->name) == top && memcmp(row->name, key, top) == 0) {
            struct weir_config_place written =
                weir_schema_place(&check->destination->at, weir_schema_destination, row->name);
            place = written.line > 0 ? written : place;
        }
    }
    (void)snprintf(path, sizeof path, "destinations[%" PRIu32 "].%s", check->index, key);
    if (is_error) {
        weir_config_error(check->report, place, path, "%s", text);
    } else {
        weir_config_warn(check->report, place, path, "%s", text);
    }
}

static void check_readable(const struct check *check, bool is_error, const char *key,
                           const char *file)
{
    char text[300];
    if (file != NULL && !check->offline && access(file, R_OK) != 0) {
        (void)snprintf(text, sizeof text, "cannot be read%s: %.200s", is_error ? "" : " yet", file);
        tell(check, is_error, key, text);
    }
}

static bool has_authorization(const struct weir_config_destination *destination)
{
    static const struct weir_bytes name = WEIR_BYTES_INIT("Authorization:");
    for (size_t i = 0; destination->headers[i] != NULL; i++) {
        struct weir_bytes header = weir_bytes_str(destination->headers[i]);
        if (header.size >= name.size &&
            weir_bytes_eq_nocase(weir_bytes_of(header.data, name.size), name)) {
            return true;
        }
    }
    return false;
}

static bool has_oauth(const struct weir_config_oauth2 *oauth2)
{
    return oauth2->token_url != NULL || oauth2->client_id != NULL ||
           oauth2->client_id_file != NULL || oauth2->client_secret != NULL ||
           oauth2->client_secret_file != NULL;
}

static void check_pair(const struct check *check, const char *key, bool has_text, bool has_file)
{
    char path[PATH_SIZE];
    char text[128];
    (void)snprintf(path, sizeof path, "oauth2.%s", key);
    if (has_text == has_file) {
        (void)snprintf(text, sizeof text, "write one of %s and %s_file", key, key);
        tell(check, true, path, text);
    }
}

/* "key: value" of a parameter, taken apart. False with the mistake told. */
static bool take_parameter(const struct check *check, const char *text,
                           struct weir_oauth_parameter *ret)
{
    static const char *const ours[] = {"grant_type", "client_id", "client_secret", "scope"};
    size_t size = strcspn(text, ":");
    ret->key = weir_config_text(check->config, weir_bytes_of(text, size));
    ret->value = text + size + 2;
    for (size_t i = 0; ret->key != NULL && i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(ret->key, ours[i]) == 0) {
            tell(check, true, "oauth2.params",
                 "grant_type, client_id, client_secret and scope are set by other keys");
            return false;
        }
    }
    return ret->key != NULL;
}

static const struct weir_oauth_parameter *parameters_of(const struct check *check,
                                                        const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    struct weir_oauth_parameter *parameters =
        weir_config_alloc(check->config, (count + 1) * sizeof *parameters);
    for (size_t i = 0; parameters != NULL && i < count; i++) {
        if (!take_parameter(check, texts[i], &parameters[i])) {
            parameters[i] = (struct weir_oauth_parameter){NULL, NULL};
            break;
        }
    }
    return parameters;
}

/* http:// to another machine: whoever is between them reads the secret. */
static void doubt_url(const struct check *check, const char *url)
{
    static const char *const near[] = {"http://127.", "http://localhost", "http://[::1]"};
    bool is_plain = strncmp(url, "http://", 7) == 0;
    for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
        is_plain = is_plain && strncmp(url, near[i], strlen(near[i])) != 0;
    }
    if (is_plain) {
        tell(check, false, "oauth2.token_url", "sends the client's secret unencrypted");
    }
}

static void derive_oauth(const struct check *check)
{
    const struct weir_config_oauth2 *oauth2 = &check->destination->oauth2;
    struct weir_oauth_options *options = weir_config_alloc(check->config, sizeof *options);
    if (options == NULL) {
        return;
    }
    *options = (struct weir_oauth_options){
        .token_url = oauth2->token_url,
        .client_id = oauth2->client_id,
        .client_id_file = oauth2->client_id_file,
        .client_secret = oauth2->client_secret,
        .client_secret_file = oauth2->client_secret_file,
        .scopes = oauth2->scopes,
        .parameters = parameters_of(check, oauth2->params),
        .style = (enum weir_oauth_style)oauth2->style,
        .ca_file = oauth2->ca_file != NULL ? oauth2->ca_file : check->destination->tls.ca_file,
        .proxy = check->destination->proxy,
        .no_proxy = check->destination->no_proxy_text,
        .min_tls = (enum weir_min_tls)check->destination->tls.min_version,
        .allow_link_local = check->destination->allow_link_local != 0,
        .timeout_ns = oauth2->timeout_ns,
        .expiry_buffer_ns = oauth2->expiry_buffer_ns,
    };
    check->destination->oauth = options;
}

static void check_oauth(const struct check *check)
{
    const struct weir_config_oauth2 *oauth2 = &check->destination->oauth2;
    if (!has_oauth(oauth2)) {
        if (oauth2->at.keys != NULL) {
            tell(check, true, "oauth2", "has no token_url (write token_url: https://...)");
        }
        return;
    }
    if (oauth2->token_url == NULL) {
        tell(check, true, "oauth2", "has no token_url (write token_url: https://...)");
        return;
    }
    check_pair(check, "client_id", oauth2->client_id != NULL, oauth2->client_id_file != NULL);
    check_pair(check, "client_secret", oauth2->client_secret != NULL,
               oauth2->client_secret_file != NULL);
    check_readable(check, false, "oauth2.client_id_file", oauth2->client_id_file);
    check_readable(check, false, "oauth2.client_secret_file", oauth2->client_secret_file);
    check_readable(check, true, "oauth2.ca_file", oauth2->ca_file);
    doubt_url(check, oauth2->token_url);
    derive_oauth(check);
}

static void check_tls(const struct check *check)
{
    const struct weir_config_tls *tls = &check->destination->tls;
    if (tls->key != NULL && tls->certificate == NULL) {
        tell(check, true, "tls.key", "is there without certificate (write certificate: FILE)");
    }
    check_readable(check, true, "tls.certificate", tls->certificate);
    check_readable(check, true, "tls.key", tls->key);
    if (tls->insecure != 0) {
        tell(check, false, "tls.insecure",
             "whoever answers at the endpoint's address is believed, and gets the credentials");
    }
}

/* The transport refuses them as well, and names that lead to them; here it is told in time. */
static void check_link_local(const struct check *check)
{
    const struct weir_config_destination *destination = check->destination;
    const char *const urls[][2] = {{"endpoint", destination->endpoint},
                                   {"metrics_endpoint", destination->metrics_endpoint},
                                   {"proxy", destination->proxy},
                                   {"oauth2.token_url", destination->oauth2.token_url}};
    for (size_t i = 0; destination->allow_link_local == 0 && i < sizeof urls / sizeof *urls; i++) {
        if (urls[i][1] != NULL && weir_config_is_link_local(urls[i][1])) {
            tell(check, true, urls[i][0],
                 "a link-local address, where clouds hand out credentials to whoever asks (write "
                 "allow_link_local: true if that is meant)");
        }
    }
}

/* libcurl takes the list as one text. */
static void join_no_proxy(const struct check *check)
{
    const char *const *hosts = check->destination->no_proxy;
    size_t size = 1;
    for (size_t i = 0; hosts != NULL && hosts[i] != NULL; i++) {
        size += strlen(hosts[i]) + 1;
    }
    char *text = size == 1 ? NULL : weir_config_alloc(check->config, size);
    if (text == NULL) {
        return;
    }
    struct weir_buf buf = weir_buf_fixed(text, size - 1);
    for (size_t i = 0; hosts[i] != NULL; i++) {
        weir_buf_put(&buf, weir_bytes_str(i == 0 ? "" : ","));
        weir_buf_put(&buf, weir_bytes_str(hosts[i]));
    }
    check->destination->no_proxy_text = text; /* its zero is there already */
}

void weir_config_check_auth(struct weir_config *config, struct weir_config_report *report,
                            uint32_t index, bool offline)
{
    struct weir_config_destination *all = config->destinations.items;
    const struct check check = {config, report, &all[index], index, offline};
    const char *bearer = check.destination->auth.bearer_file;
    int ways = (bearer != NULL) + has_oauth(&check.destination->oauth2) +
               has_authorization(check.destination);
    if (ways > 1) {
        tell(&check, true, bearer != NULL ? "auth" : "oauth2",
             "only one of auth, oauth2 and a header Authorization can be sent");
    }
    check_readable(&check, false, "auth.bearer_file", bearer);
    join_no_proxy(&check);
    check_oauth(&check);
    check_tls(&check);
    check_link_local(&check);
}
