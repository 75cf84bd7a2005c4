/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request's head is one that we want, in the order that says least to strangers.
 *
 *   request id ─► /healthz? ─► path ─► method ─► key
 *      400                      404     405      401
 *   ─► encoding, version, size ─► draining? ─► room?
 *              400                   503        503
 *
 *   I1  nobody learns anything of limits, room or state without a good key
 *   I2  the judgement's views are of the head, its texts static; the key's name is the keys'
 *
 * No body byte has been read here, so a 503 costs the sender only its head: what is full (the
 * spool, the dead letter) is said now and not after 64 MiB. The loop's thread; it changes nothing.
 * Memory is not looked at: it is taken, or not, right afterwards (session.c).
 */
#include "judge.h"

#include "weir/arn.h"

#define HEADER_REQUEST_ID "x-amz-firehose-request-id"
#define HEADER_SOURCE_ARN "x-amz-firehose-source-arn"
#define HEADER_KEY        "x-amz-firehose-access-key"
#define HEADER_ATTRIBUTES "x-amz-firehose-common-attributes"
#define HEADER_VERSION    "x-amz-firehose-protocol-version"

static struct weir_bytes field_value(const struct weir_http_head *head, struct weir_bytes name)
{
    const struct weir_http_field *field = weir_http_head_field(head, name);
    return field == NULL ? (struct weir_bytes){NULL, 0} : field->value;
}

/* The last address of the last X-Forwarded-For, which the nearest balancer wrote, if one did; cut,
 * since nobody has looked at it. */
static struct weir_bytes forwarded_for(const struct weir_http_head *head)
{
    struct weir_bytes last = {NULL, 0};
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (weir_bytes_eq_nocase(head->fields[i].name, WEIR_BYTES("x-forwarded-for"))) {
            last = head->fields[i].value;
        }
    }
    const uint8_t *comma = last.size == 0 ? NULL : memrchr(last.data, ',', last.size);
    if (comma != NULL) {
        last = weir_bytes_from(last, (size_t)(comma - last.data) + 1);
    }
    while (last.size > 0 && (last.data[0] == ' ' || last.data[0] == '\t')) {
        last = weir_bytes_from(last, 1);
    }
    last.size = last.size < WEIR_FORWARDED_FOR_MAX ? last.size : WEIR_FORWARDED_FOR_MAX;
    return last;
}

static void refuse(struct weir_judgement *judgement, int code, const char *reason,
                   const char *message)
{
    judgement->code = code;
    judgement->reason = reason;
    judgement->message = message;
}

/* "/path" or "/path?query" against the configured path, byte for byte. */
static bool path_matches(const struct weir_http_head *head, struct weir_bytes path)
{
    size_t query_size = head->query.size == 0 ? 0 : head->query.size + 1;
    if (path.size != head->path.size + query_size || !weir_bytes_starts_with(path, head->path)) {
        return false;
    }
    return query_size == 0 ||
           (path.data[head->path.size] == '?' &&
            weir_bytes_eq(weir_bytes_from(path, head->path.size + 1), head->query));
}

static bool request_id_is_safe(struct weir_bytes id)
{
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] < 0x21 || id.data[i] > 0x7e || id.data[i] == '"' || id.data[i] == '\\') {
            return false;
        }
    }
    return id.size <= WEIR_REQUEST_ID_MAX;
}

static void judge_key(const struct weir_keys *keys, const struct weir_http_head *head,
                      int64_t now_wall_ns, struct weir_judgement *judgement)
{
    static const char *const words[] = {
        [WEIR_KEY_ABSENT] = "X-Amz-Firehose-Access-Key is missing",
        [WEIR_KEY_UNKNOWN] = "the access key is not known here",
        [WEIR_KEY_NOT_YET] = "the access key is not valid yet",
        [WEIR_KEY_EXPIRED] = "the access key has expired",
        [WEIR_KEY_ACCOUNT] = "the access key is not for this account",
    };
    if (keys == NULL) {
        return;
    }
    struct weir_arn arn;
    struct weir_bytes account = {NULL, 0};
    if (weir_arn_parse(judgement->source_arn, &arn) == WEIR_OK) {
        account = arn.account;
    }
    uint32_t index = 0;
    enum weir_key_verdict verdict = weir_keys_check(keys, field_value(head, WEIR_BYTES(HEADER_KEY)),
                                                    account, now_wall_ns, &index);
    if (verdict != WEIR_KEY_ABSENT && verdict != WEIR_KEY_UNKNOWN) {
        judgement->key_name = weir_keys_name(keys, index);
    }
    if (verdict != WEIR_KEY_OK) {
        refuse(judgement, 401, weir_key_verdict_text(verdict), words[verdict]);
    }
}

static void judge_encoding(const struct weir_http_head *head, struct weir_judgement *judgement)
{
    struct weir_bytes encoding = field_value(head, WEIR_BYTES("content-encoding"));
    if (weir_bytes_eq_nocase(encoding, WEIR_BYTES("gzip"))) {
        judgement->gzip = true;
    } else if (encoding.size != 0 && !weir_bytes_eq_nocase(encoding, WEIR_BYTES("identity"))) {
        refuse(judgement, 400, "bad_encoding", "Content-Encoding is neither gzip nor identity");
    }
}

/* Whether there is room for what will be kept of the request. */
static void judge_room(const struct weir_session_context *context,
                       const struct weir_http_head *head, struct weir_judgement *judgement)
{
    static const struct {
        const char *reason;
        const char *message;
    } words[] = {
        {"spool_full", "the spool is full now, try again"},
        {"spool_failed", "the spool's disk has failed, try another instance"},
        {"dead_letter_full", "the dead letter is full: it must be replayed or removed first"},
    };
    uint64_t size = head->framing == WEIR_HTTP_LENGTH ? head->content_length : WEIR_INTAKE_STEP;
    const char *reason = "spool_full";
    if (context->admits == NULL || context->admits(context->argument, size, &reason)) {
        return;
    }
    const char *message = "there is no room for this request now, try again";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].reason, reason) == 0) {
            message = words[i].message;
        }
    }
    refuse(judgement, 503, reason, message);
}

/* Everything that follows once the key is good. */
static void judge_request(const struct weir_session_context *context,
                          const struct weir_http_head *head, struct weir_judgement *judgement)
{
    struct weir_bytes version = field_value(head, WEIR_BYTES(HEADER_VERSION));
    judge_encoding(head, judgement);
    if (judgement->code != 0) {
        return;
    }
    if (version.size != 0 && !weir_bytes_eq(version, WEIR_BYTES("1.0"))) {
        refuse(judgement, 400, "bad_version",
               "X-Amz-Firehose-Protocol-Version is not 1.0, the only version there is");
    } else if (judgement->source_arn.size > WEIR_SOURCE_ARN_MAX) {
        refuse(judgement, 400, "bad_header", "X-Amz-Firehose-Source-Arn is over 512 bytes");
    } else if (head->framing == WEIR_HTTP_NO_BODY) {
        refuse(judgement, 400, "no_body", "the request has no body");
    } else if (head->framing == WEIR_HTTP_LENGTH &&
               head->content_length > context->limits.body_bytes) {
        refuse(judgement, 400, "over_limit", "the body is larger than ingest.body_limit");
    } else if (context->draining) {
        refuse(judgement, 503, "draining", "this instance is shutting down, try another");
    } else {
        judge_room(context, head, judgement);
    }
}

void weir_judge_head(const struct weir_session_context *context, const struct weir_keys *keys,
                     const struct weir_http_head *head, int64_t now_wall_ns,
                     struct weir_judgement *ret)
{
    struct weir_judgement judgement = {
        .code = 0,
        .request_id = field_value(head, WEIR_BYTES(HEADER_REQUEST_ID)),
        .source_arn = field_value(head, WEIR_BYTES(HEADER_SOURCE_ARN)),
        .common_attributes = field_value(head, WEIR_BYTES(HEADER_ATTRIBUTES)),
        .forwarded_for = forwarded_for(head),
        .path = head->path,
    };
    bool is_get = weir_bytes_eq(head->method, WEIR_BYTES("GET"));
    if (!request_id_is_safe(judgement.request_id)) {
        judgement.request_id = (struct weir_bytes){NULL, 0};
        refuse(&judgement, 400, "bad_header",
               "X-Amz-Firehose-Request-Id is over 128 bytes or has characters no id has");
    } else if (is_get && weir_bytes_eq(head->path, WEIR_BYTES("/healthz"))) {
        judgement.health = true;
    } else if (!path_matches(head, weir_bytes_str(context->path))) {
        refuse(&judgement, 404, "not_found", "this is not the path Firehose is to deliver to");
    } else if (!weir_bytes_eq(head->method, WEIR_BYTES("POST"))) {
        refuse(&judgement, 405, "bad_method", "Firehose delivers with POST");
    } else {
        judge_key(keys, head, now_wall_ns, &judgement);
        if (judgement.code == 0) {
            judge_request(context, head, &judgement);
        }
    }
    *ret = judgement;
}
