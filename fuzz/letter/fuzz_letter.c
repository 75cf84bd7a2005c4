/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: a line that is read, whatever wrote it, is written and read again as the same. */
#include "../../tests/support/guard.h"
#include "weir/letter.h"

static bool same(const struct weir_letter_line *a, const struct weir_letter_line *b)
{
    return weir_bytes_eq(a->data, b->data) && weir_bytes_eq(a->destination, b->destination) &&
           weir_bytes_eq(a->reason, b->reason) && weir_bytes_eq(a->message, b->message) &&
           weir_bytes_eq(a->request_id, b->request_id) && weir_bytes_eq(a->stream, b->stream) &&
           a->attempts == b->attempts && a->arrival_wall_ns == b->arrival_wall_ns &&
           a->ending_wall_ns == b->ending_wall_ns && a->part == b->part && a->parts == b->parts &&
           a->whole_body == b->whole_body && a->gzip_body == b->gzip_body;
}

static void check_round_trip(const struct weir_letter_line *line)
{
    struct weir_buf out = weir_buf_grow_init((size_t)64 << 20);
    weir_letter_write(&out, line);
    WEIR_ASSERT(!out.failed);
    WEIR_ASSERT(out.size == weir_letter_size(line));
    WEIR_ASSERT(memchr(out.data, '\n', out.size) == out.data + out.size - 1);
    struct weir_letter_line again;
    const char *error = NULL;
    struct guard text = guard_copy(weir_bytes_of(out.data, out.size - 1));
    enum weir_status status = weir_letter_read(text.data, text.size, &again, &error);
    WEIR_ASSERT(status == WEIR_OK);
    bool kept = same(line, &again) || line->reason.size == 0; /* "Weir." stands for none then */
    WEIR_ASSERT(kept);
    guard_free(&text);
    weir_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_letter_line line;
    const char *error = NULL;
    struct guard text = guard_copy(weir_bytes_of(data, size));
    enum weir_status status = weir_letter_read(text.data, text.size, &line, &error);
    WEIR_ASSERT(status == WEIR_OK || status == WEIR_EMALFORMED);
    WEIR_ASSERT(status == WEIR_OK || error != NULL);
    if (status == WEIR_OK) {
        check_round_trip(&line);
    }
    guard_free(&text);
    return 0;
}
