/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listener's certificates, as a start and `weir check` look at them: each is loaded as the
 * listener would load it, so that a file that is no good is told with the place of its key, and one
 * that will trouble somebody soon is warned of.
 *
 * Main thread; reads files.
 */
#include "config_internal.h"
#include "weir/clock.h"
#include "weir/tls.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define EXPIRY_WARN_DAYS 14
#define NS_PER_DAY       (INT64_C(86400) * WEIR_NS_PER_S)

enum { PATH_SIZE = 128, DATE_SIZE = 32 };

static void put_date(char *text, int64_t wall_ns)
{
    time_t seconds = wall_ns / WEIR_NS_PER_S;
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, DATE_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        (void)snprintf(text, DATE_SIZE, "an unknown time");
    }
}

static void warn(struct weir_config_report *report, struct weir_config_place place,
                 const char *path, const struct weir_tls_look *look)
{
    int64_t now_ns = weir_clock_wall_ns();
    char date[DATE_SIZE];
    put_date(date, look->expires_ns);
    if (look->expires_ns <= now_ns) {
        weir_config_warn(report, place, path,
                         "the certificate for %.150s has expired on %s: Firehose refuses it "
                         "(renew it)",
                         look->names, date);
    } else if (look->expires_ns - now_ns < EXPIRY_WARN_DAYS * NS_PER_DAY) {
        weir_config_warn(report, place, path,
                         "the certificate for %.150s expires within %d days, on %s (renew it)",
                         look->names, EXPIRY_WARN_DAYS, date);
    } else if (look->begins_ns > now_ns) {
        put_date(date, look->begins_ns);
        weir_config_warn(report, place, path, "the certificate for %.150s begins only on %s",
                         look->names, date);
    }
    if (look->key_exposed) {
        weir_config_warn(report, place, path,
                         "others than its owner may read the key of %.200s (chmod 600)",
                         look->file);
    }
}

static void check_certificate(const struct weir_config_certificate *certificate, uint32_t index,
                              struct weir_config_report *report, bool offline)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "ingest.tls.certificates[%" PRIu32 "]", index);
    if (certificate->at.keys == NULL) {
        return; /* not even a mapping, and told */
    }
    if (certificate->certificate == NULL) {
        weir_config_error(report, certificate->at.place, path,
                          "has no file (write certificate: /path/to/fullchain.pem)");
        return;
    }
    if (offline) {
        return;
    }
    const struct weir_tls_pair pair = {certificate->certificate, certificate->key};
    const struct weir_tls_options options = {.pairs = &pair, .count = 1};
    char words[512];
    struct weir_buf why = weir_buf_fixed(words, sizeof words - 1);
    struct weir_tls *tls = NULL;
    if (weir_tls_new(&options, &why, &tls) != WEIR_OK) {
        words[why.size] = 0;
        weir_config_error(report, certificate->at.place, path, "%s", words);
        return;
    }
    struct weir_tls_look look;
    if (weir_tls_look(tls, 0, &look)) {
        warn(report, certificate->at.place, path, &look);
    }
    weir_tls_free(tls);
}

void weir_config_check_tls(struct weir_config *config, struct weir_config_report *report,
                           bool offline)
{
    const struct weir_config_ingest *ingest = &config->ingest;
    const struct weir_config_certificate *certificates = ingest->tls.certificates.items;
    struct weir_config_place place = weir_schema_place(&ingest->at, weir_schema_ingest, "tls");
    if (place.line > 0 && ingest->tls.certificates.count == 0 &&
        weir_schema_place(&ingest->tls.at, weir_schema_ingest_tls, "certificates").line == 0) {
        weir_config_error(report, place, "ingest.tls",
                          "has no certificates (write certificates: [{certificate: ..., "
                          "key: ...}])");
    }
    for (uint32_t i = 0; i < ingest->tls.certificates.count; i++) {
        check_certificate(&certificates[i], i, report, offline);
    }
}
