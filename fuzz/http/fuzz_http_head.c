/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: the scan fed byte by byte ends where the scan of the whole ends; every view lies inside
 * the head; what was parsed, written again in the plainest form, parses to the same. */
#include "weir/buf.h"
#include "weir/http_head.h"
#include "weir/panic.h"

static void put_part(struct weir_buf *out, struct weir_bytes whole, struct weir_bytes view)
{
    WEIR_ASSERT(view.size <= whole.size);
    WEIR_ASSERT(view.size == 0 || view.data >= whole.data);
    WEIR_ASSERT(view.size == 0 || view.data + view.size <= whole.data + whole.size);
    weir_buf_put(out, view);
}

/* The request line as it came, then the fields without their white space. */
static void write_again(struct weir_buf *out, struct weir_bytes text,
                        const struct weir_http_head *head)
{
    put_part(out, text, weir_bytes_of(text.data, (size_t)(head->fields[0].name.data - text.data)));
    for (uint32_t i = 0; i < head->field_count; i++) {
        put_part(out, text, head->fields[i].name);
        weir_buf_put_byte(out, ':');
        put_part(out, text, head->fields[i].value);
        weir_buf_put(out, WEIR_BYTES("\r\n"));
    }
    weir_buf_put(out, WEIR_BYTES("\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t scanned = 0, bytewise = 0, end = 0, bytewise_end = 0;
    enum weir_status whole = weir_http_head_scan(weir_bytes_of(data, size), &scanned, &end);
    enum weir_status status = WEIR_EAGAIN;
    for (size_t i = 1; i <= size && status == WEIR_EAGAIN; i++) {
        status = weir_http_head_scan(weir_bytes_of(data, i), &bytewise, &bytewise_end);
    }
    WEIR_ASSERT(status == whole);
    WEIR_ASSERT(end == bytewise_end);
    struct weir_http_head head, again;
    const char *reason = NULL;
    struct weir_bytes text = weir_bytes_of(data, end);
    if (whole != WEIR_OK || weir_http_head_parse(text, &head, &reason) != WEIR_OK ||
        head.field_count == 0) {
        return 0;
    }
    struct weir_buf out = weir_buf_grow_init(end + WEIR_HTTP_FIELDS_MAX * 4);
    write_again(&out, text, &head);
    WEIR_ASSERT(!out.failed);
    WEIR_ASSERT(weir_http_head_parse(weir_buf_view(&out), &again, &reason) == WEIR_OK);
    WEIR_ASSERT(weir_bytes_eq(again.path, head.path) && weir_bytes_eq(again.query, head.query));
    WEIR_ASSERT(again.framing == head.framing && again.content_length == head.content_length);
    WEIR_ASSERT(again.keep_alive == head.keep_alive);
    WEIR_ASSERT(again.expect_continue == head.expect_continue);
    WEIR_ASSERT(again.field_count == head.field_count);
    weir_buf_done(&out);
    return 0;
}
