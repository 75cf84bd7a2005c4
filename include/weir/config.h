/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include "weir/buf.h"
#include "weir/buffer_hints.h"
#include "weir/exporter.h"
#include "weir/log.h"
#include "weir/retry_window.h"
#include "weir/route.h"
#include "weir/spool.h"
#include "weir/tenant.h"

/*
 * The configuration: one YAML document, or none, to a struct in which every value is there and has
 * been checked.
 *
 *   text ─libyaml─► document ─reader, by tables─► struct weir_config ─checks across keys─► good,
 *                                                                                  or messages
 *
 * A message is one line with its place, the key's path, what is wrong and what to do:
 *
 *   weir.yaml:12:11: destinations[0].endpoint: not a URL: "otlp:4318" (write http://otlp:4318)
 *
 * All mistakes are told, not only the first, up to WEIR_CONFIG_MESSAGES_MAX. What a key is called,
 * what it takes and what it means stands once, in the tables of src/app/config_schema.c; reading,
 * printing, documentation and its test all go by them. Secrets (key and header values) are in no
 * message and no print.
 */
#define WEIR_CONFIG_MESSAGES_MAX 20
#define WEIR_CONFIG_FILE_MAX     ((size_t)1 << 20)

struct weir_config_place {
    uint32_t line; /* from 1; 0: not written */
    uint32_t column;
};

/* Where a mapping and each key of its table were written; the first member of
 * every struct below. */
struct weir_config_mapping {
    struct weir_config_place place;
    const struct weir_config_place *keys; /* NULL when the mapping was not written */
};

struct weir_config_list {
    void *items; /* of the element's struct */
    uint32_t count;
    bool none; /* the word `none` was written in place of a list */
};

struct weir_config_access_key {
    struct weir_config_mapping at;
    const char *name;
    const char *value; /* as written */
    const char *file;
    struct weir_bytes key; /* derived: the value, or the file's content */
    int64_t not_before_ns; /* wall clock; 0: not written */
    int64_t not_after_ns;
    const char *const *accounts; /* NULL: any */
};

struct weir_config_proxy_protocol {
    struct weir_config_mapping at;
    const char *const *networks; /* NULL: off */
    int64_t timeout_ns;
};

struct weir_config_timeouts {
    struct weir_config_mapping at;
    int64_t head_ns;
    int64_t idle_ns;
    int64_t body_grace_ns;
    int64_t write_ns;
    int64_t body_ns;
    int64_t handshake_ns;
};

struct weir_config_certificate {
    struct weir_config_mapping at;
    const char *certificate;
    const char *key; /* NULL: in the certificate's file */
};

/* What the listener speaks with. */
struct weir_config_ingest_tls {
    struct weir_config_mapping at;
    struct weir_config_list certificates; /* struct weir_config_certificate; none: plain HTTP */
    unsigned min_version;                 /* enum weir_tls_version */
    int64_t session_tickets_ns;           /* 0: none */
};

struct weir_config_ingest {
    struct weir_config_mapping at;
    const char *const *listen;
    const char *path;
    struct weir_config_ingest_tls tls;
    struct weir_config_list access_keys; /* struct weir_config_access_key */
    uint32_t threads;                    /* 0: one a core */
    uint32_t connections_max;
    uint32_t connections_per_source; /* 0: no bound */
    size_t body_limit;
    size_t body_rate; /* bytes a second */
    struct weir_config_proxy_protocol proxy_protocol;
    struct weir_config_timeouts timeouts;
};

struct weir_config_spool {
    struct weir_config_mapping at;
    const char *directory;
    size_t limit;
    unsigned durability; /* enum weir_durability */
    size_t segment_size; /* 0: derived from the limit */
    uint32_t format;     /* version of the files to write */
    size_t backlog_rate; /* bytes a second; 0: no bound */
    int64_t delivered_timeout_ns;
};

struct weir_config_dedupe {
    struct weir_config_mapping at;
    int64_t window_ns; /* 0: off */
    uint32_t entries;
};

struct weir_config_dead_letter {
    struct weir_config_mapping at;
    const char *directory; /* derived where not written; NULL: there is none */
    size_t limit;
    unsigned when_full; /* 0: reject, 1: evict */
};

struct weir_config_buffer {
    struct weir_config_mapping at;
    size_t size;
    int64_t interval_ns;
    uint32_t max_points;
};

struct weir_config_retry {
    struct weir_config_mapping at;
    int64_t window_ns;
    int64_t initial_ns;
    int64_t max_ns;
    unsigned on_outage; /* 0: hold, 1: dead_letter */
    const int *also_on; /* 0-terminated */
};

struct weir_config_patterns {
    struct weir_config_mapping at;
    const char *const *include; /* NULL, where that was no default: all */
    const char *const *exclude; /* NULL: none */
};

struct weir_config_tls {
    struct weir_config_mapping at;
    const char *ca_file;
    const char *certificate; /* the client's */
    const char *key;         /* NULL: in the certificate's file */
    unsigned insecure;       /* 0: false, 1: true */
    const char *verify;      /* of templates: the attribute that may say not to verify; or NULL */
    unsigned min_version;    /* enum weir_min_tls */
};

struct weir_config_auth {
    struct weir_config_mapping at;
    const char *bearer_file;
};

struct weir_config_oauth2 {
    struct weir_config_mapping at;
    const char *token_url; /* NULL: no OAuth2 */
    const char *client_id;
    const char *client_id_file;
    const char *client_secret;
    const char *client_secret_file;
    const char *const *scopes;
    const char *const *params; /* "name: value" */
    unsigned style;            /* enum weir_oauth_style */
    const char *ca_file;
    int64_t timeout_ns;
    int64_t expiry_buffer_ns;
};

/* Named sets of defaults: what a backend takes. */
enum weir_config_preset {
    WEIR_PRESET_NONE,
    WEIR_PRESET_DYNATRACE,
    WEIR_PRESET_SCOUT,
    WEIR_PRESET_PROMETHEUS,
    WEIR_PRESET_MIMIR,
    WEIR_PRESET_VICTORIAMETRICS,
    WEIR_PRESET_COLLECTOR,
    WEIR_PRESET_GRAFANA_CLOUD,
    WEIR_PRESET_DATADOG,
    WEIR_PRESET_NEWRELIC,
    WEIR_PRESET_ELASTIC
};

/* What the gauges of a Summary's statistics are called: the metric's name and this. */
struct weir_config_gauges {
    struct weir_config_mapping at;
    const char *min;
    const char *max;
    const char *sum;
    const char *count;
    const char *percentile;
};

struct weir_config_scope {
    struct weir_config_mapping at;
    const char *name; /* NULL, or of no letter: the scope as it came */
    const char *version;
};

/* What makes a destination a template of tenants; hosts is NULL where it is none. */
struct weir_config_tenants {
    struct weir_config_mapping at;
    const char *const *hosts;
    const char *const *unverified; /* NULL: none */
    uint32_t max;
    int64_t idle_ns;
};

struct weir_config_destination {
    struct weir_config_mapping at;
    const char *name;
    unsigned preset;   /* enum weir_config_preset; its defaults are in place already */
    unsigned type;     /* enum weir_destination_type */
    unsigned protocol; /* enum weir_protocol */
    const char *endpoint;
    const char *metrics_endpoint;
    const char *path;
    unsigned compression; /* enum weir_compression */
    uint32_t compression_level;
    const char *const *headers; /* "Name: value" */
    int64_t timeout_ns;
    struct weir_config_patterns namespaces;
    struct weir_config_patterns accounts;
    struct weir_config_patterns regions;
    struct weir_config_patterns streams;
    const struct weir_route_attribute *attributes; /* NULL, or ended by one without a name */
    struct weir_config_patterns metrics;
    unsigned summary; /* enum weir_shape_summary */
    struct weir_config_gauges gauges;
    unsigned dimensions; /* enum weir_shape_dimensions */
    const char *const *promote;
    const struct weir_shape_attribute *resource; /* NULL, or ended by one without a key; what the
                                                    environment and the preset say is among them */
    struct weir_config_scope scope;
    unsigned names;          /* enum weir_shape_names */
    unsigned attribute_keys; /* enum weir_shape_keys */
    int64_t max_point_age_ns;
    uint32_t attributes_max;
    uint32_t attribute_key_max;
    uint32_t attribute_value_max;
    const struct weir_shape_options *shape; /* derived; NULL: points leave as they came */
    struct weir_config_buffer buffer;
    struct weir_config_retry retry;
    struct weir_config_tls tls;
    struct weir_config_auth auth;
    struct weir_config_oauth2 oauth2;
    const char *proxy; /* NULL: none */
    const char *const *no_proxy;
    unsigned allow_link_local;              /* 0: false, 1: true */
    const char *no_proxy_text;              /* derived: with commas; NULL: none */
    const struct weir_oauth_options *oauth; /* derived; NULL: none */
    size_t spool_share;                     /* 0: no bound */
    const char *url;                        /* derived: where requests go */
    struct weir_config_tenants tenants;
    const struct weir_tenant_options *tenant; /* derived; NULL: it is no template */
    const char *const *token_files; /* derived: what its headers read, for a key called KEY; ended
                                       by NULL, or NULL */
};

struct weir_config_drain {
    struct weir_config_mapping at;
    int64_t grace_ns;
    int64_t deadline_ns;
};

struct weir_config_admin {
    struct weir_config_mapping at;
    const char *const *listen;
};

enum weir_config_sandbox {
    WEIR_CONFIG_SANDBOX_AUTO,
    WEIR_CONFIG_SANDBOX_OFF,
    WEIR_CONFIG_SANDBOX_REQUIRED
};

struct weir_config_log {
    struct weir_config_mapping at;
    unsigned level;  /* enum weir_log_level */
    unsigned format; /* enum weir_log_format */
};

struct weir_config {
    struct weir_config_mapping at;
    const char *source; /* the file's name, or NULL where there was none */
    char hash[65];      /* SHA-256 of its bytes in hex; empty where there was none */
    struct weir_config_ingest ingest;
    size_t memory_limit;
    struct weir_config_spool spool;
    struct weir_config_dedupe dedupe;
    struct weir_config_buffer buffer;
    struct weir_config_retry retry;
    struct weir_config_dead_letter dead_letter;
    struct weir_config_drain drain;
    uint32_t export_threads;              /* 0: one a core */
    struct weir_config_list destinations; /* struct weir_config_destination, at least one */
    struct weir_config_admin admin;
    struct weir_config_log log;
    unsigned sandbox;                            /* enum weir_config_sandbox */
    unsigned core_dumps;                         /* 1: allowed */
    const struct weir_shape_attribute *resource; /* what OTEL_RESOURCE_ATTRIBUTES and
                                                    OTEL_SERVICE_NAME say, or NULL */
    struct weir_config_block *memory;            /* everything above points into these */
    size_t memory_bytes;
    bool memory_out;
};

/* What was wrong or doubtful, in the order of the file. */
struct weir_config_message {
    struct weir_config_place place;
    bool warning;
    char text[512]; /* whole: file, place, path, what, what to do */
};

struct weir_config_report {
    const char *file; /* what messages call the source */
    uint32_t count;
    uint32_t errors;
    uint32_t dropped; /* past WEIR_CONFIG_MESSAGES_MAX */
    struct weir_config_message messages[WEIR_CONFIG_MESSAGES_MAX];
};

/* How memory_limit is split: first the program itself (code, libraries, threads, the allocator's
 * slack), then the data's shares. */
#define WEIR_CONFIG_PROGRAM_BYTES ((size_t)16 << 20)

struct weir_config_shares {
    size_t program;
    size_t intake;
    size_t queued;
    size_t export_bytes;
    size_t backlog; /* reading back from the spool */
    size_t books;   /* request ids, and what of the spool is in memory */
    size_t idle;    /* regions kept for the next user */
    size_t warm; /* not a share: idle memory is kept beyond `idle` while all regions are under it */
    size_t destination; /* what one destination may hold of `queued` */
};

/* Reads the file at `path` ("-": standard input), or makes the defaults when it is NULL. WEIR_OK;
 * WEIR_EINVAL, WEIR_ENOMEM or what the file system said, with at least one error in *report.
 * Warnings are there in either case. The main thread. */
WEIR_MUST_USE enum weir_status weir_config_load(const char *path, struct weir_config_report *report,
                                                struct weir_config **ret);

/* The same file as a process can take it that runs with `running`: keys that need a restart have
 * running's values, whatever the file says, before anything is checked. `running` outlives *ret,
 * which points into it. */
WEIR_MUST_USE enum weir_status weir_config_load_over(const char *path,
                                                     const struct weir_config *running,
                                                     struct weir_config_report *report,
                                                     struct weir_config **ret);

/* The same as the first from text; `name` is what messages call it. Where `offline`, the files that
 * the text names (keys, CA) are not looked at. */
WEIR_MUST_USE enum weir_status weir_config_parse(const char *name, struct weir_bytes text,
                                                 bool offline, struct weir_config_report *report,
                                                 struct weir_config **ret);

/* Wipes and frees. NULL is nothing. */
void weir_config_free(struct weir_config *config);

/* Appends the effective configuration as YAML that reads back the same, secrets as "***". */
void weir_config_print(const struct weir_config *config, struct weir_buf *out);

/* The shares of this configuration's memory limit. */
struct weir_config_shares weir_config_shares(const struct weir_config *config);

struct weir_config_key {
    const char *path;  /* "destinations[].buffer.size" */
    const char *takes; /* "a size" */
    const char *help;
    bool is_live;     /* a reload takes it; else it needs a restart */
    bool is_boundary; /* the first on its path of which that holds: what is below is the same */
};

/* Calls `visit` for every key there is, in the order of the tables. */
void weir_config_keys(void (*visit)(void *argument, const struct weir_config_key *key),
                      void *argument);

#endif
