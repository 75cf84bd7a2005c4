/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_CONFIG_INTERNAL_H
#define WEIR_APP_CONFIG_INTERNAL_H

#include "weir/config.h"

/*
 * What the files of the configuration share: the tables, the report, memory, and the values' texts.
 *
 *   config.c               entry points, memory, report
 *   config_schema.c        the tables: every key there is
 *   config_schema_ingest.c those of `ingest`
 *   config_schema_shape.c  those of mappings inside a destination that shape points
 *   config_defaults.c      what is not written
 *   config_yaml.c          libyaml's document to structs, by the tables
 *   config_leaf.c          the values that stand in it
 *   config_value.c         sizes, durations, times: text to value and back
 *   config_valid.c         what a text must look like: addresses, URLs, names, headers
 *   config_env.c           ${env:NAME}, and OTEL_EXPORTER_OTLP_*
 *   config_resource.c      OTEL_RESOURCE_ATTRIBUTES, and lists of resource attributes
 *   config_presets.c       what a preset sets, and what it expects
 *   config_check.c         what no single key can know
 *   config_destinations.c  the same for destinations
 *   config_auth.c          the same for how destinations are authorised
 *   config_shape.c         the same for how destinations' points are shaped
 *   config_tenants.c       the same for templates of tenants
 *   config_tls.c           the same for the listener's certificates
 *   config_spool.c         the same for spool, deduplication and dead letter
 *   config_print.c         the effective configuration as YAML
 *   config_files.c         the files that it names
 *   config_diff.c          what differs between two configurations, for a reload
 */
enum { WEIR_SCHEMA_KEYS_MAX = 48, WEIR_CONFIG_ITEMS_MAX = 1024, WEIR_CONFIG_TEXT_MAX = 64 << 10 };

enum weir_schema_kind {
    WEIR_SCHEMA_TEXT,       /* const char * */
    WEIR_SCHEMA_TEXTS,      /* const char *const *, NULL-terminated; one scalar is a list of one */
    WEIR_SCHEMA_ATTRIBUTES, /* const struct weir_route_attribute *, from a mapping to patterns */
    WEIR_SCHEMA_RESOURCE,   /* const struct weir_shape_attribute *, from a mapping to texts that is
                               laid over what the field has */
    WEIR_SCHEMA_HEADERS,    /* const char *const *, "Name: value", from a mapping */
    WEIR_SCHEMA_SIZE,       /* size_t */
    WEIR_SCHEMA_DURATION,   /* int64_t, ns */
    WEIR_SCHEMA_COUNT,      /* uint32_t */
    WEIR_SCHEMA_CODES,      /* const int *, 0-terminated */
    WEIR_SCHEMA_TIME,       /* int64_t, ns since 1970; 0: not written */
    WEIR_SCHEMA_CHOICE,     /* unsigned, the index in `choices` */
    WEIR_SCHEMA_MAPPING,    /* a struct, by the table `keys` */
    WEIR_SCHEMA_LIST,       /* struct weir_config_list of structs, by the table `keys` */
    WEIR_SCHEMA_LATER       /* known, but not in this version: `help` is the message */
};

enum {
    WEIR_SCHEMA_SECRET = 1,
    WEIR_SCHEMA_NONE = 2,   /* the word `none` may stand for the list */
    WEIR_SCHEMA_EMPTY = 4,  /* a text of nothing is as good as not written */
    WEIR_SCHEMA_IDLE = 8,   /* where it does not apply it may be written, but is not printed */
    WEIR_SCHEMA_BLANK = 16, /* a text of nothing is a text like others */
    WEIR_SCHEMA_LIVE = 32,  /* a reload takes it, and all that is below it, without a restart */
    WEIR_SCHEMA_ROUTE = 64  /* of a destination: says what goes there, not how */
};

struct weir_schema {
    const char *name; /* NULL ends a table */
    enum weir_schema_kind kind;
    unsigned flags;
    size_t offset;
    int64_t min, max;           /* of a number, and of a list's length */
    const char *const *choices; /* NULL-terminated */
    bool (*valid)(const char *text, struct weir_buf *why);
    const struct weir_schema *keys;
    size_t element_size;
    void (*defaults)(const struct weir_config *config, void *element);
    bool (*applies)(const void *mapping);                    /* NULL: always */
    void (*then)(struct weir_config *config, void *mapping); /* called when it has been read */
    const char *help;
};

/* The tables. */
extern const struct weir_schema weir_schema_root[];
extern const struct weir_schema weir_schema_ingest[];
extern const struct weir_schema weir_schema_access_key[];
extern const struct weir_schema weir_schema_certificate[];
extern const struct weir_schema weir_schema_ingest_tls[];
extern const struct weir_schema weir_schema_destination[];
extern const struct weir_schema weir_schema_buffer[];
extern const struct weir_schema weir_schema_gauges[];
extern const struct weir_schema weir_schema_scope[];
extern const struct weir_schema weir_schema_metrics[];
extern const struct weir_schema weir_schema_tenants[];
extern const struct weir_schema weir_schema_spool[];
extern const struct weir_schema weir_schema_dedupe[];
extern const struct weir_schema weir_schema_dead_letter[];
void weir_schema_defaults(struct weir_config *config);
void weir_schema_destination_defaults(const struct weir_config *config, void *element);
const char *weir_schema_takes(const struct weir_schema *key);

/* Where a key of a mapping was written; line 0 when it was not. */
struct weir_config_place weir_schema_place(const struct weir_config_mapping *at,
                                           const struct weir_schema *table, const char *name);

/* Zeroed memory that lives as long as the configuration; NULL past its bound, with
 * memory_out set. */
void *weir_config_alloc(struct weir_config *config, size_t size);
const char *weir_config_text(struct weir_config *config, struct weir_bytes text);

/* Adds a message. Line 0: about no place of the file; path NULL: about no key. */
void weir_config_error(struct weir_config_report *report, struct weir_config_place place,
                       const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void weir_config_warn(struct weir_config_report *report, struct weir_config_place place,
                      const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Values. Parsing returns NULL and sets *ret, or a reason, *ret untouched. Formatting writes a
 * short text that parses back the same. */
const char *weir_config_parse_size(struct weir_bytes text, size_t *ret);
const char *weir_config_parse_duration(struct weir_bytes text, int64_t *ret_ns);
const char *weir_config_parse_count(struct weir_bytes text, uint64_t *ret);
const char *weir_config_parse_time(struct weir_bytes text, int64_t *ret_ns);
void weir_config_put_size(struct weir_buf *out, size_t size);
void weir_config_put_duration(struct weir_buf *out, int64_t ns);
void weir_config_put_time(struct weir_buf *out, int64_t ns);

/* What is wrong with a text, and what to write, appended to `why`; false then. */
bool weir_config_valid_address(const char *text, struct weir_buf *why);
bool weir_config_valid_network(const char *text, struct weir_buf *why);
bool weir_config_valid_url(const char *text, struct weir_buf *why);
bool weir_config_valid_base_url(const char *text, struct weir_buf *why);
/* The same two, or a template's: with ${attribute:NAME} in it, and looked at later. */
bool weir_config_valid_metrics_endpoint(const char *text, struct weir_buf *why);
bool weir_config_valid_endpoint(const char *text, struct weir_buf *why);
/* Whether a valid URL's host is an address that is link-local, or fd00:ec2::254. */
bool weir_config_is_link_local(const char *url);
bool weir_config_valid_name(const char *text, struct weir_buf *why);
bool weir_config_valid_path(const char *text, struct weir_buf *why);
bool weir_config_valid_file(const char *text, struct weir_buf *why);
bool weir_config_valid_account(const char *text, struct weir_buf *why);
bool weir_config_valid_accounts(const char *text, struct weir_buf *why); /* patterns */
bool weir_config_valid_regions(const char *text, struct weir_buf *why);
bool weir_config_valid_streams(const char *text, struct weir_buf *why);
bool weir_config_valid_attribute(const char *name, struct weir_buf *why);
bool weir_config_valid_no_proxy(const char *text, struct weir_buf *why);
bool weir_config_valid_header(const char *name, const char *value, struct weir_buf *why);
bool weir_config_is_loopback(const char *address);

/* Expands ${env:NAME}, ${env:NAME:-default} and $$ into `out`. WEIR_EINVAL with words in `why`. */
WEIR_MUST_USE enum weir_status weir_config_expand(struct weir_bytes text, struct weir_buf *out,
                                                  struct weir_buf *why);

/* The destination that OTEL_EXPORTER_OTLP_* names, into *destination (already with defaults): true,
 * or false when none is set. */
bool weir_config_otel(struct weir_config *config, struct weir_config_report *report,
                      struct weir_config_destination *destination);

/* What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say, into config->resource. */
void weir_config_otel_resource(struct weir_config *config, struct weir_config_report *report);

/* Both lists in one, `over` winning where both have a key; either may be NULL. NULL: no memory. */
const struct weir_shape_attribute *weir_config_overlay(struct weir_config *config,
                                                       const struct weir_shape_attribute *under,
                                                       const struct weir_shape_attribute *over);

/* Percent-decodes as W3C baggage, without the white space at both ends. False for a % that begins
 * no escape; it is kept then. */
bool weir_config_put_decoded(struct weir_buf *out, struct weir_bytes text);

/* The presets' names, in the order of enum weir_config_preset, and NULL. */
extern const char *const weir_config_preset_names[];

/* Puts a destination's preset in place of its defaults. */
void weir_config_preset(struct weir_config *config, void *destination);

/* Reads the document into the configuration; mistakes go to the report. */
void weir_config_yaml(struct weir_config *config, struct weir_config_report *report,
                      struct weir_bytes text);

/* The checks across keys, and the derived values. */
void weir_config_check(struct weir_config *config, struct weir_config_report *report, bool offline);
void weir_config_check_destinations(struct weir_config *config, struct weir_config_report *report,
                                    bool offline);
/* Of one destination. */
void weir_config_check_auth(struct weir_config *config, struct weir_config_report *report,
                            uint32_t index, bool offline);
void weir_config_check_shape(struct weir_config *config, struct weir_config_report *report,
                             uint32_t index);
void weir_config_check_preset(struct weir_config *config, struct weir_config_report *report,
                              uint32_t index);
void weir_config_check_tenants(struct weir_config *config, struct weir_config_report *report,
                               uint32_t index);
void weir_config_check_tls(struct weir_config *config, struct weir_config_report *report,
                           bool offline);
void weir_config_check_spool(struct weir_config *config, struct weir_config_report *report,
                             bool offline);

/* What `fresh` says of keys that need a restart and differs from `running` is given up: it gets
 * running's values, whose memory must outlive it, and `kept` is told the key's path. */
void weir_config_keep(struct weir_config *fresh, const struct weir_config *running,
                      void (*kept)(void *argument, const char *path), void *argument);

/* What two destinations of one name differ in, over all their keys. Files are not looked into. */
enum weir_config_difference {
    WEIR_CONFIG_SAME,
    WEIR_CONFIG_ROUTE, /* only in what goes there */
    WEIR_CONFIG_OTHER
};
enum weir_config_difference
weir_config_compare_destinations(const struct weir_config_destination *one,
                                 const struct weir_config_destination *other);

/* Whether two access keys of one name open the same doors at the same time. */
bool weir_config_same_key(const struct weir_config_access_key *one,
                          const struct weir_config_access_key *other);

/* Calls `visit` with each file that the configuration names, the ones that are written and the
 * directories too: whatever stands in a key that takes a file's name. */
void weir_config_files(const struct weir_config *config,
                       void (*visit)(void *argument, const char *path), void *argument);

/* Space on disk that is kept free for requests that were let in already. */
size_t weir_config_headroom(const struct weir_config *config);

/* Whether a value has a placeholder of tenants (${attribute:, ${key:, ${file:), and the key at
 * `path` is none that may have them. */
bool weir_config_misplaced(struct weir_bytes value, struct weir_bytes path);

/* Whether a mapping of tenants makes its destination a template. */
bool weir_config_has_tenants(const void *mapping);
void weir_config_tenants_defaults(struct weir_config_tenants *tenants);

/* Appends a template's header for the key of this name: ${key:name} replaced, and each ${file:PATH}
 * by what `read` appends, which returns NULL or what is wrong. NULL, or what is wrong with it. */
struct weir_config_token_reader {
    const char *(*read)(void *argument, const char *path, struct weir_buf *out);
    void *argument;
};
#define WEIR_CONFIG_PATH_MAX 4096
const char *weir_config_expand_header(const char *header, const char *key, struct weir_buf *out,
                                      const struct weir_config_token_reader *reader);

#endif
