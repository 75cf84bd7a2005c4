/* SPDX-License-Identifier: Apache-2.0 */
/* Three bytes of options, then one data point. Oracle: what leaves can be decoded, was neither lost
 * nor changed in its values, and was valid if what came was; what cannot be read is refused. */
#include "../../tests/support/guard.h"
#include "../../tests/unit/shape/shape_oracle.h"

enum { OPTIONS = 3 };

static const enum weir_metric_data kinds[] = {WEIR_METRIC_SUMMARY, WEIR_METRIC_GAUGE,
                                              WEIR_METRIC_HISTOGRAM,
                                              WEIR_METRIC_EXPONENTIAL_HISTOGRAM};

static struct weir_shape_options options_of(const uint8_t *bytes)
{
    static const char *const promote[] = {"cloud.region", NULL};
    return (struct weir_shape_options){
        .summary = (enum weir_shape_summary)(bytes[0] % 3),
        .dimensions = (enum weir_shape_dimensions)(bytes[0] / 3 % 3),
        .names = (enum weir_shape_names)(bytes[0] / 9 % 4),
        .keys = (enum weir_shape_keys)(bytes[0] / 36 % 2),
        .promote = bytes[1] & 1 ? promote : NULL,
        .attributes_max = bytes[1] >> 1 & 15,
        .key_bytes_max = bytes[1] & 32 ? 16 : 0,
        .value_bytes_max = bytes[1] & 64 ? 5 : 0,
    };
}

static bool is_message(struct weir_bytes data)
{
    struct weir_cursor cursor = weir_cursor_of(data);
    struct weir_pb_field field;
    while (weir_pb_next(&cursor, &field)) {
    }
    return !cursor.failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct shape_fixture fixture;
    if (size < OPTIONS || !is_message(weir_bytes_of(data + OPTIONS, size - OPTIONS))) {
        return 0;
    }
    struct guard copy = guard_copy(weir_bytes_of(data, size));
    struct weir_shape_options options = options_of(copy.data);
    shape_fixture_open(&fixture, "AWS/EC2");
    shape_metric(&fixture, "amazonaws.com/AWS/EC2/CPU", "%", kinds[copy.data[2] % 4]);
    shape_point(&fixture, WEIR_BYTES(""));
    fixture.points[0].data = copy.data + OPTIONS;
    fixture.points[0].size = (uint32_t)(size - OPTIONS);
    fixture.run.bytes = weir_point_encoded_size(fixture.points[0].size);
    (void)shape_fixture_run(&fixture, &options);
    shape_oracle_check(&fixture, &options);
    shape_fixture_close(&fixture);
    guard_free(&copy);
    return 0;
}
