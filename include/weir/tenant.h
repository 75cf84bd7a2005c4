/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TENANT_H
#define WEIR_TENANT_H

#include "weir/attributes.h"
#include "weir/buf.h"

/*
 * Tenants: destinations whose address a request names in its common attributes. A stranger's text
 * becomes an address that we connect to, so it is taken apart, refused unless everything about it
 * is allowed, and put together again from its parts. docs/design/0006-tenants.md.
 *
 *   endpoint     ${attribute:dt-url}/api/v2/otlp/v1/metrics     the template's, of whoever runs us
 *   attributes   {"dt-url": "https://ABC.live.example.com./"}   the request's, by whoever sends
 *   hosts        *.live.example.com
 *   ─► tenant    https://abc.live.example.com/api/v2/otlp/v1/metrics, key, verified?
 *
 * A placeholder stands for
 *   at the very beginning      scheme and authority, perhaps with a path; a slash follows it
 *   in a host                  letters, digits and - of one label
 *   in a path                  letters, digits and -._~ of one segment
 *
 * All pure, for any thread.
 */
#define WEIR_TENANT_NAME_SIZE    65   /* <template>-<13 letters or digits>, and its end */
#define WEIR_TENANT_SUFFIX_SIZE  14   /* of that: the dash and what follows */
#define WEIR_TENANT_URL_SIZE     1001 /* 1,000 bytes and their end */
#define WEIR_TENANT_HOST_SIZE    272
#define WEIR_TENANT_KEY_SIZE     65
#define WEIR_TENANT_MISTAKE_SIZE 128

/* A template. Strings are the caller's. */
struct weir_tenant_options {
    const char *name;
    const char *endpoint; /* the whole URL, with placeholders */
    const char *verify;   /* "${attribute:NAME}", the attribute that says "false" where
                                 certificates are not to be verified; NULL: they always are */
    const char *const
        *hosts; /* "host", "*.suffix", each with a port or 443; "http://" before it: not
                                 TLS, and 80. NULL-terminated */
    const char *const *unverified; /* those that `verify` may say false of, likewise; or NULL */
};

/* Who a request is for. Two that differ in url, key_name or is_insecure are two. */
struct weir_tenant {
    char name[WEIR_TENANT_NAME_SIZE]; /* what metrics and the spool call it */
    char url[WEIR_TENANT_URL_SIZE];
    char host[WEIR_TENANT_HOST_SIZE]; /* with its port where that is not the scheme's */
    char key_name[WEIR_TENANT_KEY_SIZE];
    bool is_insecure;     /* certificates are not verified */
    bool is_listed_whole; /* its host stands on the list itself, not by a star */
};

/* Why a request names no tenant: words, and the host as far as it was understood. */
struct weir_tenant_mistake {
    char words[WEIR_TENANT_MISTAKE_SIZE];
    char host[WEIR_TENANT_HOST_SIZE];
};

/* Whether the template can be used: its placeholders, hosts, and the length of its name.
 * WEIR_EINVAL: what is wrong, and what to write, was appended to `why`. */
WEIR_MUST_USE enum weir_status weir_tenant_check(const struct weir_tenant_options *options,
                                                 struct weir_buf *why);

/* Whether one entry of `hosts` is one; false: as above. */
bool weir_tenant_valid_host(const char *text, struct weir_buf *why);

/* The tenant that a request names, of a template that was checked. WEIR_EDENIED: none that is
 * allowed; *mistake says why, and *ret is untouched. O(size of the attributes x hosts). */
WEIR_MUST_USE enum weir_status weir_tenant_make(const struct weir_tenant_options *options,
                                                const struct weir_attributes *attributes,
                                                struct weir_bytes key_name, struct weir_tenant *ret,
                                                struct weir_tenant_mistake *mistake);

/* Whether the template, perhaps another than it was made by, would allow this tenant still.
 * *ret_listed_whole as in struct weir_tenant. */
bool weir_tenant_allowed(const struct weir_tenant_options *options,
                         const struct weir_tenant *tenant, bool *ret_listed_whole);

/* Whether `name` looks as if it were that of a tenant of the template with this name. */
bool weir_tenant_is_name(const char *template_name, const char *name);

/* Whether both are the same. */
static inline bool weir_tenant_same(const struct weir_tenant *one, const struct weir_tenant *other)
{
    return strcmp(one->name, other->name) == 0 && strcmp(one->url, other->url) == 0 &&
           strcmp(one->key_name, other->key_name) == 0 && one->is_insecure == other->is_insecure;
}

#endif
