/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's exporter: the template's options with its own URL, headers and part of memory.
 *
 *   template's header   Authorization: Api-Token ${file:/run/secrets/tenants/${key:name}}
 *   key's name          team-a
 *   file                /run/secrets/tenants/team-a ─► abc123
 *   tenant's header     Authorization: Api-Token abc123
 *
 *   I1  a token goes to the tenant of the key that names its file, to no other; which key that is
 *       the configuration says, never an attribute
 *   I2  a header that could not be made is no header: the tenant is HELD, and what it is owed waits
 *   I3  headers are wiped before they are freed, and live as long as the exporter that has them
 *
 * Main thread: files are read here, a few bytes each, when a tenant comes and every few seconds.
 */
#include "tenants_internal.h"
#include "weir/clock.h"
#include "weir/file.h"
#include "weir/log.h"
#include "weir/mem.h"
#include "weir/panic.h"

enum { TOKEN_MAX = 16 << 10, HEADER_MAX = 32 << 10 };

/* Appends a token without the white space at its end. */
static const char *read_token(void *argument, const char *path, struct weir_buf *out)
{
    uint8_t *data = NULL;
    size_t size = 0;
    (void)argument;
    if (weir_file_read(path, TOKEN_MAX, &data, &size) != WEIR_OK) {
        return "the file of its token cannot be read";
    }
    size_t used = size;
    while (used > 0 && data[used - 1] <= ' ') {
        used--;
    }
    const char *wrong = used == 0 ? "the file of its token is empty" : NULL;
    for (size_t i = 0; i < used; i++) {
        wrong = data[i] < ' ' || data[i] >= 0x7f ? "the file of its token holds no token" : wrong;
    }
    weir_buf_put(out, weir_bytes_of(data, wrong == NULL ? used : 0));
    explicit_bzero(data, size);
    weir_mem_free(data);
    return wrong;
}

static void free_headers(char **headers)
{
    for (size_t i = 0; headers != NULL && headers[i] != NULL; i++) {
        explicit_bzero(headers[i], strlen(headers[i]));
        weir_mem_free(headers[i]);
    }
    weir_mem_free(headers);
}

/* One header for the key; NULL and *ret_wrong. */
static char *make_header(const char *text, const char *key_name, const char **ret_wrong)
{
    static const struct weir_config_token_reader reader = {read_token, NULL};
    struct weir_buf out = weir_buf_grow_init(HEADER_MAX);
    char *made = NULL;
    *ret_wrong = weir_config_expand_header(text, key_name, &out, &reader);
    if (*ret_wrong == NULL) {
        made = weir_mem_alloc(out.size + 1);
        *ret_wrong = made == NULL ? "out of memory" : NULL;
    }
    if (made != NULL) {
        memcpy(made, out.data, out.size);
        made[out.size] = '\0';
    }
    if (out.data != NULL) {
        explicit_bzero(out.data, out.size);
    }
    weir_buf_done(&out);
    return made;
}

/* All of them, NULL-terminated; NULL and *ret_wrong. */
static char **make_headers(const char *const *texts, const char *key_name, const char **ret_wrong)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL) {
        count++;
    }
    char **headers = weir_mem_zalloc(count + 1, sizeof *headers);
    *ret_wrong = headers == NULL ? "out of memory" : NULL;
    for (size_t i = 0; headers != NULL && i < count; i++) {
        headers[i] = make_header(texts[i], key_name, ret_wrong);
        if (headers[i] == NULL) {
            free_headers(headers);
            return NULL;
        }
    }
    return headers;
}

static bool same_headers(char *const *one, char *const *other)
{
    size_t i = 0;
    while (one[i] != NULL && other[i] != NULL && strcmp(one[i], other[i]) == 0) {
        i++;
    }
    return one[i] == NULL && other[i] == NULL;
}

/* One that must leave gets a host that nobody has: what is in its rings is to come out of them, and
 * to be kept, but not to be sent. */
static void fill(struct weir_service *service, uint32_t number,
                 const struct weir_config_destination *template_)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    struct weir_destination_options *options = &service->destinations[number];
    bool is_whole = false;
    bool is_allowed =
        !slot->must_leave && weir_tenant_allowed(template_->tenant, &slot->tenant, &is_whole);
    (void)pthread_mutex_lock(&service->reload.look);
    weir_service_fill_destination(options, template_);
    options->name = slot->name;
    options->url = is_allowed ? slot->tenant.url : "https://not-allowed.invalid/";
    options->headers = (const char *const *)slot->headers;
    options->is_insecure = slot->tenant.is_insecure;
    options->public_only = !is_whole;
    options->export_bytes = service->shares.export_bytes /
                            service->reload.live->config->destinations.count /
                            template_->tenants.max;
    (void)pthread_mutex_unlock(&service->reload.look);
}

/* Once for each trouble. */
static void hold(struct weir_service *service, uint32_t number, const char *trouble)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    slot->retry_ns = weir_clock_mono_ns() + WEIR_NS_PER_S;
    if (slot->trouble != trouble) {
        weir_log(WEIR_LOG_ERROR, "tenant held", WEIR_LOG_STR("destination", slot->name),
                 WEIR_LOG_STR("host", slot->tenant.host),
                 WEIR_LOG_STR("key", slot->tenant.key_name), WEIR_LOG_STR("reason", trouble),
                 WEIR_LOG_STR("do", "its data waits; it is tried again each second"));
    }
    slot->trouble = trouble;
    weir_tenants_put(service, number, WEIR_TENANT_HELD);
}

/* The live template; where that is gone, the one that its last exporter was made of. */
static const struct weir_config_destination *template_of(const struct weir_service *service,
                                                         const struct weir_tenant_slot *slot,
                                                         struct weir_generation **ret_generation,
                                                         uint32_t *ret_index)
{
    const struct weir_config_destination *found =
        weir_tenants_template(service, slot->template_slot, ret_index);
    *ret_generation = service->reload.live;
    if (found == NULL) {
        WEIR_ASSERT(slot->generation != NULL);
        const struct weir_config_destination *all = slot->generation->config->destinations.items;
        *ret_generation = slot->generation;
        *ret_index = slot->index;
        return &all[slot->index];
    }
    return found;
}

void weir_tenants_open(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    struct weir_generation *generation;
    uint32_t index = 0;
    const char *wrong = NULL;
    const struct weir_config_destination *template_ =
        template_of(service, slot, &generation, &index);
    generation->holds++;
    weir_tenants_close(service, number);
    slot->headers =
        make_headers(slot->must_leave ? NULL : template_->headers, slot->tenant.key_name, &wrong);
    enum weir_status status = WEIR_EINVAL;
    if (slot->headers != NULL) {
        uint64_t delivered = weir_exporter_status(service->exporter, number).points_delivered;
        fill(service, number, template_);
        status = weir_exporter_open(service->exporter, number, &service->destinations[number]);
        wrong = status == WEIR_OK ? NULL : weir_status_text(status);
        if (status == WEIR_OK) {
            weir_slot_note_name(&service->reload, number, slot->name, delivered);
        }
    }
    slot->generation = generation;
    slot->index = index;
    if (status != WEIR_OK) {
        hold(service, number, wrong);
        return;
    }
    slot->trouble = NULL;
    weir_tenants_put(service, number, WEIR_TENANT_OPEN);
}

bool weir_tenants_tokens_changed(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    const struct weir_config_destination *template_ =
        weir_tenants_template(service, slot->template_slot, NULL);
    const char *wrong = NULL;
    if (template_ == NULL) {
        return false;
    }
    char **headers = make_headers(template_->headers, slot->tenant.key_name, &wrong);
    if (headers == NULL && slot->trouble != wrong) {
        slot->trouble = wrong;
        weir_log(WEIR_LOG_WARN, "tenant keeps its last token",
                 WEIR_LOG_STR("destination", slot->name),
                 WEIR_LOG_STR("key", slot->tenant.key_name), WEIR_LOG_STR("reason", wrong));
    }
    bool has_changed = headers != NULL && !same_headers(headers, slot->headers);
    free_headers(headers);
    return has_changed;
}

void weir_tenants_close(struct weir_service *service, uint32_t number)
{
    struct weir_tenant_slot *slot = &service->tenants.slots[number];
    (void)pthread_mutex_lock(&service->reload.look);
    service->destinations[number].headers = NULL;
    (void)pthread_mutex_unlock(&service->reload.look);
    free_headers(slot->headers);
    slot->headers = NULL;
    if (slot->generation != NULL) {
        slot->generation->holds--;
        slot->generation = NULL;
    }
}
