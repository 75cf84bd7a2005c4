/* SPDX-License-Identifier: Apache-2.0 */
/* The listener's certificates, as `weir check` tells them. Main thread; reads files. */
#include "cmd_check.h"
#include "weir/clock.h"
#include "weir/tls.h"
#include <time.h>

void weir_check_tls(const struct weir_config *config, struct weir_buf *out)
{
    const struct weir_config_list *list = &config->ingest.tls.certificates;
    const struct weir_config_certificate *certificates = list->items;
    if (list->count > 0) {
        weir_buf_put(out, WEIR_BYTES("\n# The listener's certificates:\n"));
    }
    for (uint32_t i = 0; i < list->count; i++) {
        const struct weir_tls_pair pair = {certificates[i].certificate, certificates[i].key};
        const struct weir_tls_options options = {.pairs = &pair, .count = 1};
        struct weir_buf why = weir_buf_fixed(NULL, 0);
        struct weir_tls *tls = NULL;
        struct weir_tls_look look;
        char date[32] = "";
        if (weir_tls_new(&options, &why, &tls) != WEIR_OK || !weir_tls_look(tls, 0, &look)) {
            weir_tls_free(tls);
            continue; /* has become unreadable since the configuration was checked */
        }
        time_t seconds = look.expires_ns / WEIR_NS_PER_S;
        struct tm parts;
        if (gmtime_r(&seconds, &parts) != NULL) {
            (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &parts);
        }
        weir_buf_printf(out, "#   %-4s expires %s  %s\n", look.kind, date, look.names);
        weir_tls_free(tls);
    }
}
