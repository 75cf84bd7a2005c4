/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer by Firehose's rules ("Response format" of its HTTP endpoint specification, and the
 * troubleshooting page): what breaks one of them makes a 200 count as a 500 without a body, so that
 * everything is sent again, and again, though it has been taken.
 *
 *   rule                                             broken
 *   Content-Type is application/json                 FAIL; with a charset: WARN
 *   Content-Length is there, no chunks               FAIL
 *   no Content-Encoding                              FAIL
 *   1 MiB at most                                    FAIL
 *   a JSON object                                    FAIL
 *   requestId: the request's                         FAIL
 *   timestamp: a whole number, not a text            FAIL; not of our minutes: WARN
 *   nothing else but errorMessage                    FAIL
 *
 *   I1  what the other side has sent is shown printable, and cut
 *
 * Pure. The same rules hold for errors, but there they only cost their message: who asks weighs.
 */
#include "probe_internal.h"
#include "weir/json.h"
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_SHOWN = 100, KEY_SHOWN = 10, JSON_DEPTH = 16 };

void weir_probe_show(struct weir_buf *out, struct weir_bytes text, size_t size_max)
{
    for (size_t i = 0; i < text.size && i < size_max; i++) {
        if (text.data[i] >= 0x20 && text.data[i] < 0x7f) {
            weir_buf_put_byte(out, text.data[i]);
        } else {
            weir_buf_printf(out, "\\x%02x", text.data[i]);
        }
    }
    if (text.size > size_max) {
        weir_buf_put(out, WEIR_BYTES("..."));
    }
}

static void show(char *out, size_t size, struct weir_bytes text, size_t size_max)
{
    struct weir_buf buf = weir_buf_fixed(out, size - 1);
    weir_probe_show(&buf, text, size_max);
    out[buf.size] = 0;
}

static void read_timestamp(struct weir_json *json, struct weir_probe_reply *reply)
{
    enum weir_json_type type = weir_json_peek(json);
    if (type != WEIR_JSON_NUMBER) {
        reply->is_timestamp_text = type == WEIR_JSON_STRING;
        weir_json_skip(json);
        return;
    }
    double value = weir_json_double(json);
    if (value == floor(value) && fabs(value) < 9e18) {
        reply->has_timestamp = true;
        reply->timestamp_ms = (int64_t)value;
    }
}

static void read_member(struct weir_json *json, struct weir_bytes key, const char *id,
                        struct weir_probe_reply *reply)
{
    bool is_text = weir_json_peek(json) == WEIR_JSON_STRING;
    if (weir_bytes_eq(key, WEIR_BYTES("timestamp"))) {
        read_timestamp(json, reply);
    } else if (weir_bytes_eq(key, WEIR_BYTES("requestId")) && is_text) {
        reply->has_id = true;
        reply->is_same_id = weir_bytes_eq(weir_json_string(json), weir_bytes_str(id));
    } else if (weir_bytes_eq(key, WEIR_BYTES("errorMessage")) && is_text) {
        show(reply->message, sizeof reply->message, weir_json_string(json), MESSAGE_SHOWN);
    } else if (weir_bytes_eq(key, WEIR_BYTES("requestId")) ||
               weir_bytes_eq(key, WEIR_BYTES("errorMessage"))) {
        weir_json_skip(json);
    } else {
        show(reply->unexpected, sizeof reply->unexpected, key, KEY_SHOWN);
        weir_json_skip(json);
    }
}

void weir_probe_reply_read(struct weir_probe_answer *answer, const char *id,
                           struct weir_probe_reply *ret)
{
    struct weir_probe_reply reply = {0};
    char beginning[sizeof reply.message];
    struct weir_json json;
    struct weir_bytes key;
    show(beginning, sizeof beginning, weir_bytes_of(answer->body, answer->body_size),
         MESSAGE_SHOWN);
    if (answer->body_total > answer->body_size) {
        reply.wrong = "longer than 64 KiB, too long to be such a reply";
    } else if (answer->body_size == 0) {
        reply.wrong = "empty";
    } else {
        weir_json_init(&json, answer->body, answer->body_size, JSON_DEPTH);
        bool is_object = weir_json_peek(&json) == WEIR_JSON_OBJECT;
        weir_json_object_begin(&json);
        while (weir_json_member(&json, &key)) {
            read_member(&json, key, id, &reply);
        }
        bool is_good = weir_json_finish(&json) == WEIR_OK;
        reply.wrong = !is_object ? "no JSON object" : is_good ? NULL : json.error;
    }
    if (reply.wrong != NULL) {
        memcpy(reply.message, beginning, sizeof beginning);
    }
    *ret = reply;
}

struct judgement {
    struct weir_buf *why;
    enum weir_probe_level level;
};

__attribute__((format(printf, 3, 4))) static void
object(struct judgement *judgement, enum weir_probe_level level, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    weir_buf_printf(judgement->why, "%s%s", judgement->why->size == 0 ? "" : "; ", text);
    judgement->level = level > judgement->level ? level : judgement->level;
}

static void judge_headers(const struct weir_probe_answer *answer, struct judgement *judgement)
{
    static const struct weir_bytes json = WEIR_BYTES_INIT("application/json");
    struct weir_bytes type = weir_bytes_str(answer->content_type);
    struct weir_bytes head =
        weir_bytes_of(type.data, type.size < json.size ? type.size : json.size);
    if (type.size == 0) {
        object(judgement, WEIR_PROBE_FAIL, "no Content-Type, must be application/json");
    } else if (!weir_bytes_eq_nocase(head, json) ||
               (type.size > json.size && strchr("; \t", type.data[json.size]) == NULL)) {
        object(judgement, WEIR_PROBE_FAIL, "Content-Type is %s, must be application/json",
               answer->content_type);
    } else if (type.size > json.size) {
        object(judgement, WEIR_PROBE_WARN,
               "Content-Type is %s, Firehose's specification knows plain application/json only",
               answer->content_type);
    }
    if (answer->is_coded) {
        object(judgement, WEIR_PROBE_FAIL, "it has a Content-Encoding, which is forbidden");
    }
    if (answer->is_chunked || !answer->has_length) {
        object(judgement, WEIR_PROBE_FAIL, "it has no Content-Length%s, which must be there",
               answer->is_chunked ? " (it is chunked)" : "");
    }
}

static void judge_timestamp(const struct weir_probe_reply *reply, int64_t now_ms,
                            struct judgement *judgement)
{
    int64_t slack_ms = (int64_t)WEIR_PROBE_CLOCK_SLACK_S * 1000;
    if (reply->is_timestamp_text) {
        object(judgement, WEIR_PROBE_FAIL, "its timestamp is a text, must be a number");
    } else if (!reply->has_timestamp) {
        object(judgement, WEIR_PROBE_FAIL, "it has no timestamp (a whole number, milliseconds)");
    } else if (reply->timestamp_ms > 0 && reply->timestamp_ms < INT64_C(100000000000)) {
        object(judgement, WEIR_PROBE_WARN, "its timestamp is in seconds, must be milliseconds");
    } else if (reply->timestamp_ms < now_ms - slack_ms || reply->timestamp_ms > now_ms + slack_ms) {
        object(judgement, WEIR_PROBE_WARN,
               "its timestamp is not of now (%" PRId64 "): is its clock right?",
               reply->timestamp_ms);
    }
}

enum weir_probe_level weir_probe_reply_judge(const struct weir_probe_answer *answer,
                                             const struct weir_probe_reply *reply, int64_t now_ms,
                                             struct weir_buf *why)
{
    struct judgement judgement = {why, WEIR_PROBE_OK};
    judge_headers(answer, &judgement);
    if (answer->is_cut) {
        object(&judgement, WEIR_PROBE_FAIL, "it is longer than 1 MiB, the most that is read");
        return judgement.level;
    }
    if (reply->wrong != NULL) {
        object(&judgement, WEIR_PROBE_FAIL, "its body is not the JSON that is wanted: %s%s%s",
               reply->wrong, reply->message[0] == 0 ? "" : ": ", reply->message);
        return judgement.level;
    }
    if (!reply->has_id) {
        object(&judgement, WEIR_PROBE_FAIL, "it has no requestId");
    } else if (!reply->is_same_id) {
        object(&judgement, WEIR_PROBE_FAIL, "its requestId is not the request's");
    }
    judge_timestamp(reply, now_ms, &judgement);
    if (reply->unexpected[0] != 0) {
        object(&judgement, WEIR_PROBE_FAIL,
               "it has the field %s; only requestId, timestamp and errorMessage are expected",
               reply->unexpected);
    }
    return judgement.level;
}
