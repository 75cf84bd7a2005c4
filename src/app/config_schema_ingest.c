/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of `ingest`: where it listens, who may come in, and how long they may take. The other
 * tables, and what a table is, stand in config_schema.c. */
#include "config_internal.h"
#include "config_schema_words.h"
#include "weir/clock.h"
#include "weir/keys.h"
#include "weir/tls.h"

static const char *const tls_versions[] = {"1.2", "1.3", NULL};

const struct weir_schema weir_schema_access_key[] = {
    {"name", WEIR_SCHEMA_TEXT, AT(access_key, name), .valid = weir_config_valid_name,
     .help = "what logs and metrics call the key; unique"},
    {"value", WEIR_SCHEMA_TEXT, WEIR_SCHEMA_SECRET, AT(access_key, value),
     .help = "the key itself; better a file"},
    {"file", WEIR_SCHEMA_TEXT, AT(access_key, file), .valid = weir_config_valid_file,
     .help = "a file that holds the key; line breaks at its end are not part of it"},
    {"not_before", WEIR_SCHEMA_TIME, AT(access_key, not_before_ns),
     .help = "the key opens nothing earlier"},
    {"not_after", WEIR_SCHEMA_TIME, AT(access_key, not_after_ns),
     .help = "the key opens nothing from then on"},
    {"accounts", WEIR_SCHEMA_TEXTS, AT(access_key, accounts), .min = 1, .max = 256,
     .valid = weir_config_valid_account,
     .help = "the only AWS accounts whose delivery streams may use the key; default: any"},
    END};

static const struct weir_schema proxy_protocol[] = {
    {"networks", WEIR_SCHEMA_TEXTS, AT(proxy_protocol, networks), .min = 1, .max = 64,
     .valid = weir_config_valid_network,
     .help = "whose connections must begin with a PROXY header, version 1 or 2; from elsewhere "
             "none is accepted; default: nobody's"},
    {"timeout", WEIR_SCHEMA_DURATION, AT(proxy_protocol, timeout_ns), .min = 100 * MS,
     .max = 60 * S, .help = "from the connection to the end of that header"},
    END};

static const struct weir_schema timeouts[] = {
    {"head", WEIR_SCHEMA_DURATION, AT(timeouts, head_ns), .min = 100 * MS, .max = 600 * S,
     .help = "from a request's first byte to the end of its head"},
    {"idle", WEIR_SCHEMA_DURATION, AT(timeouts, idle_ns), .min = 100 * MS, .max = 3600 * S,
     .help = "how long a connection may wait between requests; longer than the load balancer's"},
    {"body_grace", WEIR_SCHEMA_DURATION, AT(timeouts, body_grace_ns), .min = 100 * MS,
     .max = 600 * S, .help = "how long a body may come slower than body_rate"},
    {"write", WEIR_SCHEMA_DURATION, AT(timeouts, write_ns), .min = 100 * MS, .max = 30 * S,
     .help = "for an answer to be taken"},
    {"body", WEIR_SCHEMA_DURATION, AT(timeouts, body_ns), .min = 100 * MS, .max = 600 * S,
     .help = "for a whole body; Firehose itself gives up after 180s"},
    {"handshake", WEIR_SCHEMA_DURATION, AT(timeouts, handshake_ns), .min = 100 * MS, .max = 60 * S,
     .help = "for TLS's handshake"},
    END};

const struct weir_schema weir_schema_certificate[] = {
    {"certificate", WEIR_SCHEMA_TEXT, AT(certificate, certificate), .valid = weir_config_valid_file,
     .help = "PEM file: the server's certificate, then its issuers in order"},
    {"key", WEIR_SCHEMA_TEXT, AT(certificate, key), .valid = weir_config_valid_file,
     .help = "PEM file of its key, without a passphrase; default: the certificate's file"},
    END};

const struct weir_schema weir_schema_ingest_tls[] = {
    {"certificates", WEIR_SCHEMA_LIST, AT(ingest_tls, certificates), .min = 1,
     .max = WEIR_TLS_CERTIFICATES_MAX, .keys = weir_schema_certificate,
     .element_size = sizeof(struct weir_config_certificate),
     .help = "one for each name and kind of key (RSA, EC); the first is for who asks for no name "
             "of theirs"},
    {"min_version", WEIR_SCHEMA_CHOICE, AT(ingest_tls, min_version), .choices = tls_versions,
     .help = "the oldest version of TLS that is spoken"},
    {"session_tickets", WEIR_SCHEMA_DURATION, AT(ingest_tls, session_tickets_ns), .min = 0,
     .max = 3 * DAY,
     .help = "how long a key makes session tickets, and then still opens them; 0: no tickets"},
    END};

/* Among the keys of ingest. */
static bool speaks_tls(const void *mapping)
{
    const struct weir_config_ingest *ingest = mapping;
    return ingest->tls.certificates.count > 0;
}

const struct weir_schema weir_schema_ingest[] = {
    {"listen", WEIR_SCHEMA_TEXTS, AT(ingest, listen), .min = 1, .max = 16,
     .valid = weir_config_valid_address, .help = "addresses that take Firehose's requests"},
    {"path", WEIR_SCHEMA_TEXT, AT(ingest, path), .valid = weir_config_valid_path,
     .help = "the path of Firehose's URL, matched exactly"},
    {"tls", WEIR_SCHEMA_MAPPING, AT(ingest, tls), .flags = WEIR_SCHEMA_IDLE | WEIR_SCHEMA_LIVE,
     .applies = speaks_tls, .keys = weir_schema_ingest_tls,
     .help = "HTTPS on the listener itself; without it plain HTTP"},
    {"access_keys", WEIR_SCHEMA_LIST, WEIR_SCHEMA_NONE | WEIR_SCHEMA_LIVE, AT(ingest, access_keys),
     .min = 1, .max = WEIR_KEYS_MAX, .keys = weir_schema_access_key,
     .element_size = sizeof(struct weir_config_access_key),
     .help = "the keys that open the door, or the word none for a door without a lock"},
    {"threads", WEIR_SCHEMA_COUNT, AT(ingest, threads), .max = 64,
     .help = "event loops; 0: one a core"},
    {"connections_max", WEIR_SCHEMA_COUNT, AT(ingest, connections_max), .min = 1, .max = 1000000,
     .help = "open connections at a time; more wait unaccepted"},
    {"connections_per_source", WEIR_SCHEMA_COUNT, AT(ingest, connections_per_source),
     .max = 1000000,
     .help = "of them from one IPv4 address or IPv6 /64; more are closed; 0: no bound (behind a "
             "balancer without proxy_protocol all come from one)"},
    {"body_limit", WEIR_SCHEMA_SIZE, AT(ingest, body_limit), .min = 64 * KIB, .max = 512 * MIB,
     .help = "the largest body, as sent and inflated"},
    {"body_rate", WEIR_SCHEMA_SIZE, AT(ingest, body_rate), .min = 0, .max = GIB,
     .help = "the least that a body must come at, in bytes a second; 0: any"},
    {"proxy_protocol", WEIR_SCHEMA_MAPPING, AT(ingest, proxy_protocol), .keys = proxy_protocol,
     .help = "who may say, ahead of a connection, where it comes from"},
    {"timeouts", WEIR_SCHEMA_MAPPING, AT(ingest, timeouts), .keys = timeouts,
     .help = "how long a connection may take"},
    END};
