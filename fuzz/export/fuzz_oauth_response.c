/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token server's answer. Input: 2 bytes of status, the body.
 * Oracles: a token comes of a 2xx only, and what is handed out is one header line of visible ASCII
 * that ends; without one there is a trouble in words, which repeats nothing of the body but a known
 * code; and an answer of our own making with the same bytes as its token is read as what it says.
 */
#include "weir/buf.h"
#include "weir/clock.h"
#include "weir/oauth.h"
#include "weir/panic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_oauth_options options = {.token_url = "http://t/",
                                                  .client_id = "i",
                                                  .client_secret = "s",
                                                  .style = WEIR_OAUTH_BASIC,
                                                  .timeout_ns = WEIR_NS_PER_S};

/* Whether the body came to a token. */
static bool answer(int status, struct weir_bytes body)
{
    struct weir_oauth *oauth;
    enum weir_oauth_todo todo;
    struct weir_transport_request request;
    int64_t wake_ns;
    WEIR_ASSERT(weir_oauth_new(&options, 1, &oauth) == WEIR_OK);
    WEIR_ASSERT(weir_oauth_poll(oauth, 0, &todo, &request, &wake_ns) == WEIR_OK);
    const struct weir_transport_reply reply = {.status = status, .body = body};
    bool is_token = weir_oauth_reply(oauth, &reply, 0) == WEIR_OAUTH_TOKEN;
    const char *header = weir_oauth_header(oauth, 0);
    WEIR_ASSERT((header != NULL) == is_token);
    WEIR_ASSERT((weir_oauth_trouble(oauth)[0] == '\0') == is_token);
    WEIR_ASSERT(!is_token || (status >= 200 && status < 300));
    for (size_t i = sizeof("Authorization: Bearer ") - 1; is_token && header[i] != '\0'; i++) {
        WEIR_ASSERT(header[i] > 0x20 && header[i] < 0x7F);
    }
    weir_oauth_free(oauth);
    return is_token;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[1 << 16];
    if (size < 2 || size > sizeof(memory) / 8) {
        return 0;
    }
    (void)answer(data[0] << 8 | data[1], weir_bytes_of(data + 2, size - 2));
    struct weir_buf buf = weir_buf_fixed(memory, sizeof(memory));
    weir_buf_put(&buf, WEIR_BYTES("{\"expires_in\":60,\"access_token\":"));
    weir_buf_put_json_string(&buf, weir_bytes_of(data + 2, size - 2), 0);
    weir_buf_put_byte(&buf, '}');
    bool is_visible = size > 2;
    for (size_t i = 2; i < size; i++) {
        is_visible = is_visible && data[i] > 0x20 && data[i] < 0x7F;
    }
    WEIR_ASSERT(answer(200, weir_buf_view(&buf)) == is_visible);
    return 0;
}
