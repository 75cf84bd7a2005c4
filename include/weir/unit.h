/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UNIT_H
#define WEIR_UNIT_H

#include "weir/bytes.h"

/*
 * CloudWatch units to OTLP units as AWS maps them (CloudWatch user guide, "Translations with
 * OpenTelemetry"): Seconds to s, Bytes to By, Count to {Count}, Percent to %, None to 1, X/Second
 * to <x>/s, with AWS's own capitals (MBit, GBit). A unit that the table does not hold is returned
 * as it is. Static storage or the argument itself. Pure.
 */
struct weir_bytes weir_unit_otlp(struct weir_bytes cloudwatch);

#endif
