/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listener's certificates: from the configuration to weir_tls at the start and at a reload, and
 * the look at their files in between. The main thread, which may wait for a file.
 */
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/log.h"
#include "weir/metrics.h"
#include "weir/panic.h"
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { WORDS_SIZE = 512, DATE_SIZE = 32 };

/* `pairs` has room for WEIR_TLS_CERTIFICATES_MAX and lives as long as the options are used. */
static struct weir_tls_options options_of(const struct weir_config *config,
                                          struct weir_tls_pair *pairs)
{
    const struct weir_config_ingest_tls *tls = &config->ingest.tls;
    const struct weir_config_certificate *certificates = tls->certificates.items;
    WEIR_ASSERT(tls->certificates.count <= WEIR_TLS_CERTIFICATES_MAX);
    for (uint32_t i = 0; i < tls->certificates.count; i++) {
        pairs[i] = (struct weir_tls_pair){certificates[i].certificate, certificates[i].key};
    }
    return (struct weir_tls_options){.pairs = pairs,
                                     .count = tls->certificates.count,
                                     .version_min = (enum weir_tls_version)tls->min_version,
                                     .ticket_ns = tls->session_tickets_ns};
}

static void log_certificates(struct weir_tls *tls, const char *event)
{
    struct weir_tls_look look;
    for (uint32_t i = 0; weir_tls_look(tls, i, &look); i++) {
        char date[DATE_SIZE] = "";
        time_t seconds = look.expires_ns / WEIR_NS_PER_S;
        struct tm parts;
        if (gmtime_r(&seconds, &parts) != NULL) {
            (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
        }
        bool expired = look.expires_ns <= weir_clock_wall_ns();
        weir_log(expired ? WEIR_LOG_WARN : WEIR_LOG_INFO, event, WEIR_LOG_STR("file", look.file),
                 WEIR_LOG_STR("names", look.names), WEIR_LOG_STR("key", look.kind),
                 WEIR_LOG_STR("expires", date));
    }
}

static void log_refused(const char *event, const struct weir_buf *why)
{
    weir_log(WEIR_LOG_ERROR, event, WEIR_LOG_TEXTF("reason", weir_buf_view(why)));
}

enum weir_status weir_service_build_tls(struct weir_service *service)
{
    if (service->config->ingest.tls.certificates.count == 0) {
        return WEIR_OK;
    }
    struct weir_tls_pair pairs[WEIR_TLS_CERTIFICATES_MAX];
    struct weir_tls_options options = options_of(service->config, pairs);
    char words[WORDS_SIZE];
    struct weir_buf why = weir_buf_fixed(words, sizeof words);
    enum weir_status status = weir_tls_new(&options, &why, &service->tls);
    if (status != WEIR_OK) {
        log_refused("start failed", &why);
        return status;
    }
    log_certificates(service->tls, "certificate");
    return WEIR_OK;
}

/* What is no longer configured shall look neither alive nor expired: NaN, until the gauges of what
 * is there are set again. */
static void forget_gauges(struct weir_tls *tls)
{
    struct weir_tls_look look;
    for (uint32_t i = 0; weir_tls_look(tls, i, &look); i++) {
        struct weir_bytes label = weir_bytes_str(look.file);
        weir_metrics_set(weir_metrics_series(WEIR_M_TLS_EXPIRY, &label), (double)NAN);
    }
}

enum weir_status weir_service_reload_tls(struct weir_service *service,
                                         const struct weir_config *config)
{
    struct weir_tls_pair pairs[WEIR_TLS_CERTIFICATES_MAX];
    struct weir_tls_options options = options_of(config, pairs);
    char words[WORDS_SIZE];
    struct weir_buf why = weir_buf_fixed(words, sizeof words);
    bool speaks = service->tls != NULL;
    if (speaks != (options.count > 0)) {
        weir_buf_printf(&why, "ingest.tls: %s, which needs a restart",
                        speaks ? "HTTPS would become plain HTTP" : "plain HTTP would become HTTPS");
        log_refused("certificates refused", &why);
        return WEIR_EINVAL;
    }
    if (!speaks) {
        return WEIR_OK;
    }
    struct weir_tls *tls = service->tls;
    forget_gauges(tls);
    enum weir_status status = weir_tls_reload(tls, &options, &why);
    if (status != WEIR_OK) {
        log_refused("certificates refused", &why);
        return status;
    }
    log_certificates(tls, "certificate");
    return WEIR_OK;
}

int64_t weir_service_watch_tls(struct weir_service *service)
{
    if (service->tls == NULL) {
        return -1;
    }
    char words[WORDS_SIZE];
    struct weir_buf why = weir_buf_fixed(words, sizeof words);
    switch (weir_tls_watch(service->tls, weir_clock_mono_ns(), &why)) {
    case WEIR_TLS_SAME: break;
    case WEIR_TLS_TAKEN: log_certificates(service->tls, "certificate"); break;
    case WEIR_TLS_REFUSED: log_refused("certificates refused", &why); break;
    }
    return WEIR_TLS_WATCH_NS;
}
