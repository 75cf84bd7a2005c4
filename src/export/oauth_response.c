/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token server's answer (RFC 6749, 5).
 *
 *   2xx ─► { access_token, token_type, expires_in, ... } ─► token, life
 *                or { error }                            ─► a sentence
 *   else ─► { error }                                    ─► one of the codes that are known, or ""
 *
 *   I1  a token that is given on is 1 to WEIR_OAUTH_TOKEN_MAX bytes of what may stand in a header
 *       (RFC 6750, 2.1, and somewhat more: any visible ASCII), so it can neither end a header nor
 *       begin another
 *   I2  no text of the server's is given on but the token: what goes wrong is said in our words,
 *       for the server may repeat the secret in its own
 *   I3  a life is positive
 *
 * Servers differ: `expires_in` comes as a number or as a string, as 0 or not at all (it does not
 * end), `error` comes with status 200. Of a name that comes twice the last counts, as in most
 * readers. What is unknown is skipped; what is known but of the wrong type is an error, since a
 * half-understood answer is no basis for days of silence or for a request each second. What lasts
 * for longer than LIFE_MAX_S is taken as endless: some servers say 2^31 for that.
 */
#include "oauth_internal.h"
#include "weir/clock.h"
#include "weir/json.h"

enum { DEPTH_MAX = 16 };

#define LIFE_MAX_S (10.0 * 366 * 24 * 3600)

static const char *const error_codes[] = {
    "invalid_request",     "invalid_client",          "invalid_grant",
    "unauthorized_client", "unsupported_grant_type",  "invalid_scope",
    "invalid_target",      "access_denied",           "server_error",
    "slow_down",           "temporarily_unavailable", "invalid_token",
    "insufficient_scope",  "interaction_required",
};

struct members {
    struct weir_bytes token;
    struct weir_bytes type;
    double expires_s; /* 0: absent */
    bool expires_is_wrong;
    bool has_error;
    const char *error; /* a known code, or "" */
};

static const char *known_code(struct weir_bytes text)
{
    for (size_t i = 0; i < sizeof(error_codes) / sizeof(error_codes[0]); i++) {
        if (weir_bytes_eq(text, weir_bytes_str(error_codes[i]))) {
            return error_codes[i];
        }
    }
    return "";
}

/* A number of seconds, whole text; false: it is none. */
static bool seconds_of(struct weir_bytes text, double *ret)
{
    double value;
    if (text.size == 0) { /* also after an error: then it is NULL */
        return false;
    }
    const uint8_t *end = text.data + text.size;
    if (weir_json_take_double(text.data, end, &value) != end) {
        return false;
    }
    *ret = value;
    return true;
}

/* A number as it stands: one beyond the range of a double is only a long time. */
static struct weir_bytes number_text(struct weir_json *json)
{
    const uint8_t *start = json->position; /* the look ahead has taken the space before it */
    weir_json_skip(json);
    return weir_bytes_of(start, (size_t)(json->position - start));
}

static void read_expires(struct weir_json *json, struct members *members)
{
    members->expires_s = 0;
    members->expires_is_wrong = false;
    enum weir_json_type type = weir_json_peek(json);
    if (type == WEIR_JSON_NUMBER) {
        struct weir_bytes text = number_text(json);
        members->expires_is_wrong = !seconds_of(text, &members->expires_s);
    } else if (type == WEIR_JSON_STRING) {
        members->expires_is_wrong = !seconds_of(weir_json_string(json), &members->expires_s);
    } else {
        members->expires_is_wrong = type != WEIR_JSON_NULL;
        weir_json_skip(json);
    }
    members->expires_is_wrong |= !(members->expires_s >= 0);
}

static void read_error(struct weir_json *json, struct members *members)
{
    enum weir_json_type type = weir_json_peek(json);
    if (type != WEIR_JSON_STRING) {
        members->has_error = type != WEIR_JSON_NULL;
        weir_json_skip(json);
        return;
    }
    struct weir_bytes text = weir_json_string(json);
    members->has_error = text.size > 0;
    members->error = known_code(text);
}

static struct weir_bytes read_text(struct weir_json *json)
{
    if (weir_json_peek(json) == WEIR_JSON_NULL) {
        weir_json_skip(json);
        return weir_bytes_of(NULL, 0);
    }
    return weir_json_string(json);
}

static enum weir_status read_members(uint8_t *text, size_t size, struct members *ret)
{
    struct weir_json json;
    struct weir_bytes key;
    struct members members = {.error = ""};
    weir_json_init(&json, text, size, DEPTH_MAX);
    weir_json_object_begin(&json);
    while (weir_json_member(&json, &key)) {
        if (weir_bytes_eq(key, WEIR_BYTES("access_token"))) {
            members.token = read_text(&json);
        } else if (weir_bytes_eq(key, WEIR_BYTES("token_type"))) {
            members.type = read_text(&json);
        } else if (weir_bytes_eq(key, WEIR_BYTES("expires_in"))) {
            read_expires(&json, &members);
        } else if (weir_bytes_eq(key, WEIR_BYTES("error"))) {
            read_error(&json, &members);
        } else {
            weir_json_skip(&json);
        }
    }
    WEIR_TRY(weir_json_finish(&json));
    *ret = members;
    return WEIR_OK;
}

static bool is_visible(struct weir_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7F) {
            return false;
        }
    }
    return true;
}

/* What is wrong with an answer, or NULL. */
static const char *fault_of(const struct members *members)
{
    if (members->has_error) {
        return members->error[0] != '\0' ? members->error : "an error that is not known";
    }
    if (members->token.size == 0) {
        return "no access_token in the answer";
    }
    if (members->token.size > WEIR_OAUTH_TOKEN_MAX) {
        return "the access_token is too long";
    }
    if (!is_visible(members->token)) {
        return "the access_token cannot stand in a header";
    }
    if (members->type.size > 0 && !weir_bytes_eq_nocase(members->type, WEIR_BYTES("bearer"))) {
        return "the token_type is not Bearer";
    }
    return members->expires_is_wrong ? "expires_in is no number of seconds" : NULL;
}

static int64_t life_of(double expires_s)
{
    if (expires_s <= 0 || expires_s > LIFE_MAX_S) {
        return INT64_MAX;
    }
    int64_t life_ns = (int64_t)(expires_s * (double)WEIR_NS_PER_S);
    return life_ns > 0 ? life_ns : 1;
}

enum weir_status weir_oauth_answer_read(uint8_t *text, size_t size, struct weir_oauth_answer *ret,
                                        const char **ret_trouble)
{
    struct members members;
    enum weir_status status = read_members(text, size, &members);
    const char *fault = status == WEIR_OK ? fault_of(&members) : "the answer is not a JSON object";
    if (fault != NULL) {
        *ret_trouble = fault;
        return WEIR_EMALFORMED;
    }
    *ret = (struct weir_oauth_answer){members.token, life_of(members.expires_s)};
    return WEIR_OK;
}

const char *weir_oauth_error_read(uint8_t *text, size_t size)
{
    struct members members;
    return read_members(text, size, &members) == WEIR_OK ? members.error : "";
}
