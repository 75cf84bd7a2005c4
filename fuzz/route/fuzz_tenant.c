/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: what came through, read once more by plain means, is https, names a listed host and its
 * port, and has no user, query, fragment, escape or dot segment; what was made is made again. */
#include "weir/panic.h"
#include "weir/tenant.h"

static const char *const hosts[] = {"*.live.example.com", "gate.example.com:9999", NULL};
static const char *const endpoints[] = {
    "${attribute:x}/api/v2/otlp", "https://${attribute:x}.live.example.com/api",
    "https://gate.example.com:9999/e/${attribute:x}/api/${attribute:x}"};

/* One label before the suffix, or the host that is listed whole. */
static void check_authority(const char *host, size_t size)
{
    static const char suffix[] = ".live.example.com";
    static const char whole[] = "gate.example.com:9999";
    if (size == sizeof(whole) - 1 && memcmp(host, whole, size) == 0) {
        return;
    }
    WEIR_ASSERT(size > sizeof(suffix) - 1);
    size_t label = size - (sizeof(suffix) - 1);
    WEIR_ASSERT(memcmp(host + label, suffix, sizeof(suffix) - 1) == 0);
    WEIR_ASSERT(strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_") == label);
}

static void check_url(const char *url)
{
    static const char scheme[] = "https://";
    WEIR_ASSERT(strncmp(url, scheme, sizeof(scheme) - 1) == 0);
    const char *host = url + sizeof(scheme) - 1;
    size_t size = strcspn(host, "/");
    check_authority(host, size);
    WEIR_ASSERT(strpbrk(url, "%?#\\ \t\r\n") == NULL);
    WEIR_ASSERT(strstr(host, "//") == NULL && strstr(host, "/./") == NULL &&
                strstr(host, "/../") == NULL);
    for (const char *at = url; *at != 0; at++) {
        WEIR_ASSERT(*at > ' ' && *at < 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_tenant tenant, again;
    struct weir_tenant_mistake mistake;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(*endpoints); i++) {
        struct weir_tenant_options options = {
            .name = "t", .endpoint = endpoints[i], .hosts = hosts};
        struct weir_attributes text = {.count = 1, .items = {{WEIR_BYTES("x"), {data, size}}}};
        if (weir_tenant_make(&options, &text, WEIR_BYTES("k"), &tenant, &mistake) == WEIR_OK) {
            check_url(tenant.url);
            text.items[0].value = weir_bytes_str(tenant.url);
            options.endpoint = "${attribute:x}";
            enum weir_status status =
                weir_tenant_make(&options, &text, WEIR_BYTES("k"), &again, &mistake);
            WEIR_ASSERT(status == WEIR_OK && weir_tenant_same(&tenant, &again));
        }
    }
    return 0;
}
