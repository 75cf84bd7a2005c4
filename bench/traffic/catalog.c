/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog_rows.h"
#include "weir/panic.h"

#define UNIT(name, otlp)                                                                           \
    {                                                                                              \
        WEIR_BYTES_INIT(name), WEIR_BYTES_INIT(otlp)                                               \
    }

static const struct weir_catalog_unit_names units[] = {
    [WEIR_CATALOG_UNIT_SECONDS] = UNIT("Seconds", "s"),
    [WEIR_CATALOG_UNIT_MILLISECONDS] = UNIT("Milliseconds", "ms"),
    [WEIR_CATALOG_UNIT_MICROSECONDS] = UNIT("Microseconds", "us"),
    [WEIR_CATALOG_UNIT_BYTES] = UNIT("Bytes", "By"),
    [WEIR_CATALOG_UNIT_MEGABYTES] = UNIT("Megabytes", "MBy"),
    [WEIR_CATALOG_UNIT_GIGABYTES] = UNIT("Gigabytes", "GBy"),
    [WEIR_CATALOG_UNIT_PERCENT] = UNIT("Percent", "%"),
    [WEIR_CATALOG_UNIT_COUNT] = UNIT("Count", "{Count}"),
    [WEIR_CATALOG_UNIT_NONE] = UNIT("None", "1"),
    [WEIR_CATALOG_UNIT_BYTES_SECOND] = UNIT("Bytes/Second", "By/s"),
    [WEIR_CATALOG_UNIT_COUNT_SECOND] = UNIT("Count/Second", "{Count}/s"),
    [WEIR_CATALOG_UNIT_BITS_SECOND] = UNIT("Bits/Second", "bit/s"),
};

const struct weir_catalog_unit_names *weir_catalog_unit(enum weir_catalog_unit unit)
{
    return &units[unit];
}

uint32_t weir_catalog_count(void)
{
    return weir_catalog_busy_count + weir_catalog_rest_count;
}

const struct weir_catalog_namespace *weir_catalog_at(uint32_t index)
{
    WEIR_ASSERT(index < weir_catalog_count());
    return index < weir_catalog_busy_count ? &weir_catalog_busy[index]
                                           : &weir_catalog_rest[index - weir_catalog_busy_count];
}
