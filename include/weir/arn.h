/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ARN_H
#define WEIR_ARN_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * An Amazon Resource Name taken apart, as views:
 * arn:<partition>:<service>:<region>:<account>:<resource> (AWS General Reference, "Amazon Resource
 * Names").
 */
struct weir_arn {
    struct weir_bytes partition; /* "aws", "aws-cn", "aws-us-gov" */
    struct weir_bytes service;
    struct weir_bytes region;
    struct weir_bytes account;
    struct weir_bytes resource; /* all after the fifth colon: "deliverystream/metrics" */
};

/* WEIR_EMALFORMED when a part is missing, partition, service or resource is empty, the account is
 * neither empty nor digits, or a byte is not visible ASCII. Pure. */
WEIR_MUST_USE enum weir_status weir_arn_parse(struct weir_bytes text, struct weir_arn *ret);

#endif
