/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /status: what is going on, as one JSON document laid out for people who look at it with curl, and
 * stable enough for scripts. docs/configuration.md shows one. No secrets: names, numbers, URLs
 * without their query.
 *
 *   {"version", "state", "uptime_seconds", "config": {...}, "sandbox": {...}, "listen": {...},
 *    "requests": {"200": n, ...}, "memory": {"limit_bytes", "intake": {...}, ...}, "spool": {...},
 *    "dead_letter": {...} or null, "destinations": [...], "namespaces": [...]}
 *
 * Requests by code come from the exposition, since only the registry knows which codes there have
 * been: the text is written and its lines summed. That is a page's work for a page that few look
 * at.
 *
 * The admin thread; what it reads of the rooms is relaxed, so numbers may disagree by what happened
 * in between.
 */
#include "lifecycle_internal.h"
#include "weir/clock.h"
#include "weir/expo.h"
#include "weir/panic.h"
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { CODE_MAX = 600, NAMESPACES_SHOWN = 100 };
#define EXPOSITION_MAX ((size_t)32 << 20)

static const char *state_text(enum weir_destination_state state)
{
    switch (state) {
    case WEIR_DESTINATION_UP: return "up";
    case WEIR_DESTINATION_PROBING: return "probing";
    case WEIR_DESTINATION_BLOCKED: return "blocked";
    default: WEIR_UNREACHABLE();
    }
}

static const char *type_text(enum weir_destination_type type)
{
    switch (type) {
    case WEIR_DESTINATION_OTLP_HTTP: return "otlp";
    case WEIR_DESTINATION_STDOUT: return "stdout";
    case WEIR_DESTINATION_FILE: return "file";
    default: WEIR_UNREACHABLE();
    }
}

/* What a reload is doing with it; NULL: nothing. */
static const char *phase_text(enum weir_slot_phase phase)
{
    switch (phase) {
    case WEIR_SLOT_FREE:
    case WEIR_SLOT_ON: return NULL;
    case WEIR_SLOT_SWAPPING: return "changing";
    case WEIR_SLOT_LEAVING:
    case WEIR_SLOT_FLUSHING: return "leaving";
    case WEIR_SLOT_GONE: return "to the dead letter";
    }
    WEIR_UNREACHABLE();
}

static void put_string(struct weir_buf *out, const char *text)
{
    weir_buf_put_json_string(out, weir_bytes_str(text), 0);
}

static void put_seconds(struct weir_buf *out, int64_t ns)
{
    if (ns < 0) {
        weir_buf_put(out, WEIR_BYTES("null"));
    } else {
        weir_buf_printf(out, "%" PRId64 ".%03" PRId64, ns / WEIR_NS_PER_S,
                        ns % WEIR_NS_PER_S / WEIR_NS_PER_MS);
    }
}

/* Addresses with the ports that the kernel chose. */
static void put_listen(const struct weir_service *service, struct weir_buf *out)
{
    const char *const *ingest = service->config->ingest.listen;
    const char *const *admin = service->config->admin.listen;
    weir_buf_put(out, WEIR_BYTES("  \"listen\": {\"ingest\": ["));
    for (uint32_t i = 0; ingest[i] != NULL; i++) {
        weir_buf_printf(out, "%s\"%.*s:%u\"", i == 0 ? "" : ", ",
                        (int)(strrchr(ingest[i], ':') - ingest[i]), ingest[i],
                        (unsigned)weir_ingest_port(service->ingest, i));
    }
    weir_buf_put(out, WEIR_BYTES("], \"admin\": ["));
    for (uint32_t i = 0; admin[i] != NULL; i++) {
        weir_buf_printf(out, "%s\"%s\"", i == 0 ? "" : ", ", admin[i]);
    }
    weir_buf_put(out, WEIR_BYTES("]},\n"));
}

/* The code and the count of a line weir_requests_total{code="200",...} 7; 0 for any other line. */
static size_t request_line(struct weir_bytes line, uint64_t *ret_count)
{
    static const struct weir_bytes start = WEIR_BYTES_INIT("weir_requests_total{code=\"");
    char number[32];
    const uint8_t *space = line.size == 0 ? NULL : memrchr(line.data, ' ', line.size);
    if (space == NULL || !weir_bytes_starts_with(line, start)) {
        return 0;
    }
    size_t size = line.size - (size_t)(space + 1 - line.data);
    if (size >= sizeof number) {
        return 0;
    }
    memcpy(number, space + 1, size);
    number[size] = 0;
    *ret_count = (uint64_t)strtod(number, NULL);
    size_t code = 0;
    for (size_t i = start.size; i < line.size && line.data[i] >= '0' && line.data[i] <= '9'; i++) {
        code = code * 10 + (size_t)(line.data[i] - '0');
        if (code >= CODE_MAX) {
            return 0;
        }
    }
    return code;
}

static void put_requests(struct weir_buf *out)
{
    uint64_t counts[CODE_MAX] = {0};
    struct weir_buf text = weir_buf_grow_init(EXPOSITION_MAX);
    weir_expo_write(&text, WEIR_EXPO_PROMETHEUS);
    struct weir_bytes rest = weir_buf_view(&text);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
        uint64_t count = 0;
        size_t code = request_line(weir_bytes_of(rest.data, size), &count);
        counts[code] += code == 0 ? 0 : count;
        rest = weir_bytes_from(rest, size + 1);
    }
    weir_buf_done(&text);
    weir_buf_put(out, WEIR_BYTES("  \"requests\": {"));
    const char *comma = "";
    for (size_t code = 1; code < CODE_MAX; code++) {
        if (counts[code] > 0) {
            weir_buf_printf(out, "%s\"%zu\": %" PRIu64, comma, code, counts[code]);
            comma = ", ";
        }
    }
    weir_buf_put(out, WEIR_BYTES("},\n"));
}

static void put_memory(const struct weir_service *service, struct weir_buf *out)
{
    size_t export_bytes = 0;
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        export_bytes += weir_exporter_status(service->exporter, i).memory_bytes;
    }
    weir_buf_printf(
        out,
        "  \"memory\": {\n"
        "    \"limit_bytes\": %zu,\n"
        "    \"intake\": {\"used_bytes\": %zu, \"most_bytes\": %zu, \"limit_bytes\": %zu},\n"
        "    \"queued\": {\"used_bytes\": %zu, \"most_bytes\": %zu, \"limit_bytes\": %zu},\n"
        "    \"export\": {\"used_bytes\": %zu, \"limit_bytes\": %zu}\n"
        "  },\n",
        service->config->memory_limit, weir_credit_used(&service->intake),
        weir_credit_used_max(&service->intake), service->shares.intake,
        weir_credit_used(&service->queued), weir_credit_used_max(&service->queued),
        service->shares.queued, export_bytes, service->shares.export_bytes);
}

static void put_spool(const struct weir_service *service, struct weir_buf *out,
                      const struct weir_spool_stat *stat)
{
    int64_t oldest_ns = weir_clock_wall_ns() - stat->oldest_wall_ns;
    weir_buf_printf(out, "  \"spool\": {\"durability\": \"%s\"", weir_service_durability(service));
    if (service->config->spool.durability == WEIR_DURABILITY_DISK) {
        weir_buf_put(out, WEIR_BYTES(", \"directory\": "));
        put_string(out, service->config->spool.directory);
        weir_buf_printf(out,
                        ", \"failed\": %s,\n            \"bytes\": %" PRIu64
                        ", \"limit_bytes\": %" PRIu64 ", \"admits\": %s",
                        stat->failed ? "true" : "false", stat->bytes, stat->limit,
                        weir_spool_admits(service->spool, 0) ? "true" : "false");
    }
    weir_buf_printf(out,
                    ",\n            \"unreleased_requests\": %" PRIu64
                    ", \"unreleased_bytes\": %" PRIu64 ", \"oldest_unreleased_seconds\": ",
                    stat->records, stat->owed_bytes);
    put_seconds(out, stat->oldest_wall_ns == 0 ? -1 : oldest_ns < 0 ? 0 : oldest_ns);
    weir_buf_printf(out, ", \"request_ids\": %" PRIu32 "},\n", stat->ids);
}

static void put_letters(const struct weir_service *service, struct weir_buf *out)
{
    if (service->letterbox == NULL) {
        weir_buf_put(out, WEIR_BYTES("  \"dead_letter\": null,\n"));
        return;
    }
    struct weir_letterbox_stat stat = weir_letterbox_look(service->letterbox);
    weir_buf_put(out, WEIR_BYTES("  \"dead_letter\": {\"directory\": "));
    put_string(out, service->config->dead_letter.directory);
    weir_buf_printf(out,
                    ", \"bytes\": %" PRIu64 ", \"limit_bytes\": %" PRIu64
                    ",\n                  \"when_full\": \"%s\", \"full\": %s, \"failed\": %s, "
                    "\"lines\": %" PRIu64 ", \"evicted_files\": %" PRIu64 "},\n",
                    stat.bytes, stat.limit,
                    service->config->dead_letter.when_full == 0 ? "reject" : "evict",
                    stat.full ? "true" : "false", stat.failed ? "true" : "false", stat.lines,
                    stat.evicted_files);
}

static void put_destination(const struct weir_service *service, uint32_t index,
                            const struct weir_spool_stat *spool, struct weir_buf *out)
{
    const struct weir_destination_options *options = &service->destinations[index];
    struct weir_destination_status status = weir_exporter_status(service->exporter, index);
    weir_buf_put(out, WEIR_BYTES("    {\"name\": "));
    put_string(out, options->name);
    weir_buf_printf(out, ", \"type\": \"%s\"", type_text(options->type));
    if (options->url != NULL) {
        weir_buf_put(out, WEIR_BYTES(", \"url\": "));
        weir_buf_put_json_string(out, weir_bytes_of(options->url, strcspn(options->url, "?")), 0);
    }
    if (weir_tenants_has(service, index)) {
        weir_buf_printf(out, ", \"key\": \"%s\"", service->tenants.slots[index].tenant.key_name);
    }
    weir_buf_printf(out, ", \"state\": \"%s\"", state_text(status.state));
    const char *phase = phase_text(service->reload.slots[index].phase);
    if (phase != NULL) {
        weir_buf_printf(out, ", \"reload\": \"%s\"", phase);
    }
    if (status.reason[0] != 0) {
        weir_buf_put(out, WEIR_BYTES(", \"reason\": "));
        put_string(out, status.reason);
    }
    weir_buf_printf(out,
                    ",\n     \"points_delivered\": %" PRIu64 ", \"points_lost\": %" PRIu64
                    ", \"queued_bytes\": %zu, \"waiting_batches\": %" PRIu32
                    ", \"in_flight\": %" PRIu32 ",\n     \"window_remaining_seconds\": ",
                    status.points_delivered, status.points_lost,
                    weir_router_queued_bytes(service->router, index), status.waiting_batches,
                    status.in_flight);
    put_seconds(out, status.window_remaining_ns);
    weir_buf_printf(out, ", \"backlog_requests\": %" PRIu64 ", \"backlog_bytes\": %" PRIu64,
                    spool->backlog_records[index], spool->backlog_bytes[index]);
    weir_buf_put(out, WEIR_BYTES(",\n     \"seconds_since_success\": "));
    int64_t since_ns = weir_clock_wall_ns() - status.last_success_wall_ns;
    put_seconds(out, status.last_success_wall_ns == 0 ? -1 : since_ns < 0 ? 0 : since_ns);
    weir_buf_put_byte(out, '}');
}

static void put_destinations(struct weir_service *service, const struct weir_spool_stat *spool,
                             struct weir_buf *out)
{
    const char *comma = "";
    weir_buf_put(out, WEIR_BYTES("  \"destinations\": [\n"));
    (void)pthread_mutex_lock(&service->reload.look);
    for (uint32_t i = 0; i < WEIR_DESTINATIONS_MAX; i++) {
        if (weir_service_slot_name(service, i) != NULL && service->destinations[i].name != NULL) {
            weir_buf_put(out, weir_bytes_str(comma));
            put_destination(service, i, spool, out);
            comma = ",\n";
        }
    }
    (void)pthread_mutex_unlock(&service->reload.look);
    weir_buf_put(out, WEIR_BYTES("\n  ],\n"));
    (void)pthread_mutex_lock(&service->reload.look);
    weir_tenants_put_status(service, out);
    (void)pthread_mutex_unlock(&service->reload.look);
}

static void put_namespaces(const struct weir_service *service, struct weir_buf *out)
{
    uint32_t count = weir_namespaces_count(service->namespaces);
    weir_buf_printf(out, "  \"namespace_count\": %" PRIu32 ",\n  \"namespaces\": [", count);
    for (uint32_t id = 0; id < count && id < NAMESPACES_SHOWN; id++) {
        struct weir_bytes name = weir_namespaces_name(service->namespaces, id);
        uint32_t series = weir_metrics_series(WEIR_M_POINTS_RECEIVED, &name);
        weir_buf_put(out, weir_bytes_str(id == 0 ? "\n    {\"name\": " : ",\n    {\"name\": "));
        weir_buf_put_json_string(out, name, 0);
        weir_buf_printf(out, ", \"points_received\": %.0f, \"points_waiting\": %" PRIu64 "}",
                        weir_expo_value(series), weir_router_ring_points(service->router, id));
    }
    weir_buf_put(out, weir_bytes_str(count == 0 ? "]\n" : "\n  ]\n"));
}

void weir_service_status(void *service, struct weir_buf *out)
{
    static const char *const phases[] = {"starting", "ready", "draining"};
    struct weir_service *self = service;
    struct weir_spool_stat spool = {0};
    weir_spool_look(self->spool, &spool);
    int phase = atomic_load_explicit(&self->phase, memory_order_relaxed);
    weir_buf_printf(out,
                    "{\n  \"version\": \"" WEIR_VERSION "\",\n  \"state\": \"%s\",\n"
                    "  \"uptime_seconds\": ",
                    phases[phase]);
    put_seconds(out, weir_clock_mono_ns() - self->started_ns);
    weir_buf_put(out, WEIR_BYTES(",\n"));
    (void)pthread_mutex_lock(&self->reload.look);
    weir_reload_put_status(self, out);
    (void)pthread_mutex_unlock(&self->reload.look);
    weir_buf_put(out, WEIR_BYTES("  \"sandbox\": {\"files\": "));
    put_string(out, self->sandbox_files);
    weir_buf_put(out, WEIR_BYTES(", \"system_calls\": "));
    /* relaxed: partner is tell_calls in service_guard.c */
    put_string(out, atomic_load_explicit(&self->sandbox_calls, memory_order_relaxed));
    weir_buf_put(out, WEIR_BYTES("},\n"));
    put_listen(self, out);
    weir_buf_printf(out, "  \"connections\": %" PRIu32 ",\n",
                    weir_ingest_connections(self->ingest));
    put_requests(out);
    put_memory(self, out);
    put_spool(self, out, &spool);
    put_letters(self, out);
    put_destinations(self, &spool, out);
    put_namespaces(self, out);
    weir_buf_put(out, WEIR_BYTES("}\n"));
}
