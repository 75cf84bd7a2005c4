/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole run, from the name to the largest body, and how its findings are told.
 *
 *   URL ─► name, port, connection ─► TLS, certificate ─► requests ─► sizes
 *          probe_address.c           probe_tls.c         probe_checks.c, probe_sizes.c
 *                                    probe_certificate.c     │ probe_body.c: what is sent
 *                                                            │ probe_http.c: one exchange
 *                                                            └ probe_reply.c: what came
 *
 *   I1  the key is sent to nobody whose certificate does not hold, and not without TLS unless that
 *       was asked for
 *   I2  a finding never holds the key, even where the other side repeats it
 *   I3  every check says something: what was not looked at is a SKIP with the reason
 *
 * One thread, synchronous: a person waits and reads. Nothing is kept between runs.
 */
#include "probe_internal.h"
#include "weir/clock.h"
#include "weir/rand.h"
#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>

enum { KEY_HIDDEN_MIN = 4 };

const char *weir_probe_level_text(enum weir_probe_level level)
{
    static const char *const texts[] = {
        [WEIR_PROBE_OK] = "ok",
        [WEIR_PROBE_WARN] = "warn",
        [WEIR_PROBE_FAIL] = "fail",
        [WEIR_PROBE_SKIP] = "skip",
    };
    return level < WEIR_PROBE_LEVELS ? texts[level] : "?";
}

/* Stars in the place of a key that the other side has repeated. */
static void hide_key(char *text, const char *key)
{
    size_t size = key == NULL ? 0 : strlen(key);
    if (size < KEY_HIDDEN_MIN) {
        return;
    }
    for (char *at = text; (at = strstr(at, key)) != NULL; at += size) {
        memset(at, '*', size);
    }
}

void weir_probe_say(struct weir_probe *probe, enum weir_probe_level level, const char *what,
                    const char *format, ...)
{
    char found[WEIR_PROBE_WORDS];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(found, sizeof found, format, arguments);
    va_end(arguments);
    hide_key(found, probe->options->key);
    for (char *at = found; *at != 0; at++) {
        *at = *at < 0x20 || *at == 0x7f || (unsigned char)*at >= 0x80 ? '?' : *at;
    }
    const struct weir_probe_finding finding = {level, what, found};
    probe->result.counts[level]++;
    if (probe->options->report != NULL) {
        probe->options->report(probe->options->self, &finding);
    }
}

void weir_probe_id(char *ret)
{
    uint8_t b[16];
    struct weir_buf out = weir_buf_fixed(ret, WEIR_PROBE_ID_SIZE - 1);
    weir_rand_system(b, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40; /* a version 4 UUID, as Firehose's are */
    b[8] = (b[8] & 0x3f) | 0x80;
    for (size_t i = 0; i < sizeof b; i++) {
        weir_buf_printf(&out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    }
    ret[out.size] = 0;
}

/* Whether the way is good enough for the key. */
static bool look_at_the_way(struct weir_probe *probe)
{
    if (!weir_probe_address(probe)) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "requests", "there is no connection");
        return false;
    }
    if (!probe->target.is_tls) {
        bool is_allowed = probe->options->is_plain_http;
        weir_probe_say(probe, is_allowed ? WEIR_PROBE_SKIP : WEIR_PROBE_FAIL, "TLS",
                       is_allowed ? "without TLS, as --plain-http asks: what stands in front must "
                                    "have it, with a certificate of a public authority"
                                  : "http:// is no URL that Firehose takes. Serve https:// (to "
                                    "look at what stands behind a balancer: --plain-http)");
        if (!is_allowed) {
            weir_probe_say(probe, WEIR_PROBE_SKIP, "requests", "no key is sent without TLS");
        }
        return is_allowed;
    }
    if (!weir_probe_tls(probe)) {
        weir_probe_say(probe, WEIR_PROBE_SKIP, "requests",
                       "none sent: no key goes to a server whose TLS or certificate does not hold. "
                       "Mend that and look again");
        return false;
    }
    return true;
}

static bool key_is_good(const char *key)
{
    size_t size = key == NULL ? 0 : strlen(key);
    for (size_t i = 0; i < size; i++) {
        if (key[i] < ' ' || key[i] == 0x7f || (unsigned char)key[i] >= 0x80) {
            return false;
        }
    }
    return key == NULL || (size > 0 && size <= WEIR_PROBE_KEY_MAX);
}

static enum weir_status check_options(struct weir_probe_options *options)
{
    options->head_bytes = options->head_bytes == 0 ? WEIR_PROBE_HEAD_BYTES : options->head_bytes;
    options->body_bytes = options->body_bytes == 0 ? WEIR_PROBE_BODY_BYTES : options->body_bytes;
    options->timeout_ns = options->timeout_ns == 0 ? 180 * WEIR_NS_PER_S : options->timeout_ns;
    bool is_good = options->head_bytes >= WEIR_PROBE_HEAD_MIN &&
                   options->head_bytes <= WEIR_PROBE_HEAD_BYTES &&
                   options->body_bytes >= WEIR_PROBE_BODY_MIN &&
                   options->body_bytes <= WEIR_PROBE_BODY_MAX &&
                   options->timeout_ns >= WEIR_NS_PER_MS &&
                   options->timeout_ns <= 3600 * WEIR_NS_PER_S && key_is_good(options->key);
    return is_good ? WEIR_OK : WEIR_EINVAL;
}

enum weir_status weir_probe_run(const struct weir_probe_options *options,
                                struct weir_probe_result *ret)
{
    struct weir_probe_options filled = *options;
    struct weir_probe probe = {.options = &filled};
    WEIR_TRY(check_options(&filled));
    WEIR_TRY(weir_probe_target_parse(options->url, options->connect_to, &probe.target));
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_probe_http_new(&filled, &probe.target, &probe.http);
    if (status == WEIR_OK) {
        if (look_at_the_way(&probe)) {
            weir_probe_checks(&probe);
        }
        weir_probe_http_free(probe.http);
        *ret = probe.result;
    }
    curl_global_cleanup();
    return status;
}
