/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../src/export/exporter_internal.h"
#include "../../../src/export/trailers.h"
#include "weir/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct weir_destination_options grpc = {.type = WEIR_DESTINATION_OTLP_HTTP,
                                                     .protocol = WEIR_PROTOCOL_GRPC,
                                                     .compression = WEIR_COMPRESSION_GZIP};

static void the_prefix_has_flag_and_length(void **state)
{
    (void)state;
    uint8_t prefix[5];
    assert_int_equal(weir_otlp_grpc_prefix_size(&grpc), 5);
    weir_otlp_grpc_put_prefix(&grpc, prefix, 0x01020304);
    assert_memory_equal(prefix, "\1\1\2\3\4", 5);
    struct weir_destination_options plain = grpc;
    plain.compression = WEIR_COMPRESSION_NONE;
    weir_otlp_grpc_put_prefix(&plain, prefix, 0);
    assert_memory_equal(prefix, "\0\0\0\0\0", 5);
}

static void others_have_no_prefix(void **state)
{
    (void)state;
    struct weir_destination_options other = grpc;
    other.protocol = WEIR_PROTOCOL_HTTP_PROTOBUF;
    uint8_t untouched = 7;
    assert_int_equal(weir_otlp_grpc_prefix_size(&other), 0);
    weir_otlp_grpc_put_prefix(&other, &untouched, 1);
    assert_int_equal(untouched, 7);
    other.protocol = WEIR_PROTOCOL_HTTP_JSON;
    assert_int_equal(weir_otlp_grpc_prefix_size(&other), 0);
    other = grpc;
    other.type = WEIR_DESTINATION_STDOUT;
    assert_int_equal(weir_otlp_grpc_prefix_size(&other), 0);
}

static void headers_are_grpcs(void **state)
{
    (void)state;
    static const int64_t timeouts_ns[] = {1, 30 * WEIR_NS_PER_S, INT64_MAX};
    static const char *const texts[] = {"grpc-timeout: 1m", "grpc-timeout: 30000m",
                                        "grpc-timeout: 99999999m"};
    for (size_t i = 0; i < 3; i++) {
        struct weir_destination_options options = grpc;
        options.timeout_ns = timeouts_ns[i] - (i == 2 ? WEIR_NS_PER_MS : 0);
        static struct weir_export_destination destination;
        destination.options = &options;
        const char *headers[WEIR_OTLP_GRPC_HEADERS];
        assert_int_equal(weir_otlp_grpc_headers(&destination, headers), 3);
        assert_string_equal(headers[0], "Content-Type: application/grpc");
        assert_string_equal(headers[1], "TE: trailers");
        assert_string_equal(headers[2], texts[i]);
    }
    assert_string_equal(weir_coding_header(&grpc), "grpc-encoding: gzip");
}

static void take(struct weir_trailers *trailers, const char *line)
{
    weir_trailers_take(trailers, weir_bytes_str(line));
}

static void trailers_are_picked_out(void **state)
{
    (void)state;
    static struct weir_trailers trailers;
    weir_trailers_clear(&trailers);
    take(&trailers, "HTTP/2 200 \r\n");
    take(&trailers, "content-type: application/grpc+proto\r\n");
    take(&trailers, "x-other: grpc-status: 5\r\n");
    take(&trailers, "\r\n");
    assert_false(trailers.has_status);
    assert_true(trailers.is_grpc);
    take(&trailers, "Grpc-Status:  14 \r\n");
    take(&trailers, "grpc-message: a: b\r\n");
    take(&trailers, "grpc-status-details-bin: CAg\r\n");
    assert_true(trailers.has_status);
    assert_int_equal(trailers.status, 14);
    assert_int_equal(trailers.message_size, 4);
    assert_memory_equal(trailers.message, "a: b", 4);
    assert_int_equal(trailers.details_size, 3);
    take(&trailers, "HTTP/2 503"); /* another answer */
    assert_false(trailers.has_status);
    assert_int_equal(trailers.message_size + trailers.details_size, 0);
}

static void trailers_are_bounded(void **state)
{
    (void)state;
    static struct weir_trailers trailers;
    static char line[WEIR_TRAILERS_DETAILS_MAX + 64];
    weir_trailers_clear(&trailers);
    memset(line, 'A', sizeof(line) - 1);
    memcpy(line, "grpc-message:", 13);
    take(&trailers, line);
    assert_int_equal(trailers.message_size, WEIR_TRAILERS_MESSAGE_MAX);
    memcpy(line, "grpc-status-details-bin:", 24);
    take(&trailers, line);
    assert_int_equal(trailers.details_size, 0);
    line[24 + WEIR_TRAILERS_DETAILS_MAX] = '\0';
    take(&trailers, line);
    assert_int_equal(trailers.details_size, WEIR_TRAILERS_DETAILS_MAX);
}

static void what_is_no_status_is_unknown(void **state)
{
    (void)state;
    static const char *const lines[] = {"grpc-status:", "grpc-status: x", "grpc-status: -1",
                                        "grpc-status: 99999999999", "grpc-status: 1 4"};
    static const char *const types[] = {"content-type: application/grpc-web",
                                        "content-type:", "content-type: text/html",
                                        "content-type: application/grp"};
    static struct weir_trailers trailers;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        weir_trailers_clear(&trailers);
        take(&trailers, lines[i]);
        assert_true(trailers.has_status);
        assert_int_equal(trailers.status, 2);
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        take(&trailers, types[i]);
        assert_false(trailers.is_grpc);
    }
    weir_trailers_clear(&trailers);
    take(&trailers, "");
    take(&trailers, "grpc-status");
    assert_false(trailers.has_status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prefix_has_flag_and_length),
        cmocka_unit_test(others_have_no_prefix),
        cmocka_unit_test(headers_are_grpcs),
        cmocka_unit_test(trailers_are_picked_out),
        cmocka_unit_test(trailers_are_bounded),
        cmocka_unit_test(what_is_no_status_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
