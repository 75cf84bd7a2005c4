/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/unit.h"

/*
 * AWS prints two of the capitals differently from the rest of the row (MBit and GBit beside kbit
 * and Tbit). They are kept as printed: a JSON stream must leave under the same unit as an
 * OpenTelemetry one.
 */
struct unit {
    struct weir_bytes cloudwatch;
    struct weir_bytes otlp;
};

#define UNIT(cloudwatch, otlp)                                                                     \
    {                                                                                              \
        WEIR_BYTES_INIT(cloudwatch), WEIR_BYTES_INIT(otlp)                                         \
    }
#define UNIT_AND_RATE(cloudwatch, otlp)                                                            \
    UNIT(cloudwatch, otlp), UNIT(cloudwatch "/Second", otlp "/s")

/* The commonest first. */
static const struct unit units[] = {
    UNIT("Count", "{Count}"),
    UNIT("Bytes", "By"),
    UNIT("Percent", "%"),
    UNIT("Seconds", "s"),
    UNIT("Milliseconds", "ms"),
    UNIT("None", "1"),
    UNIT("Second", "s"),
    UNIT("Millisecond", "ms"),
    UNIT("Microseconds", "us"),
    UNIT("Microsecond", "us"),
    UNIT("Count/Second", "{Count}/s"),
    UNIT("Bytes/Second", "By/s"),
    UNIT_AND_RATE("Kilobytes", "kBy"),
    UNIT_AND_RATE("Megabytes", "MBy"),
    UNIT_AND_RATE("Gigabytes", "GBy"),
    UNIT_AND_RATE("Terabytes", "TBy"),
    UNIT_AND_RATE("Bits", "bit"),
    UNIT_AND_RATE("Kilobits", "kbit"),
    UNIT_AND_RATE("Megabits", "MBit"),
    UNIT_AND_RATE("Gigabits", "GBit"),
    UNIT_AND_RATE("Terabits", "Tbit"),
};

struct weir_bytes weir_unit_otlp(struct weir_bytes cloudwatch)
{
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (weir_bytes_eq(units[i].cloudwatch, cloudwatch)) {
            return units[i].otlp;
        }
    }
    return cloudwatch;
}
