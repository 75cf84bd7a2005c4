/* SPDX-License-Identifier: Apache-2.0 */
/* Oracle: a second opinion. What the decoder accepts, nanopb accepts with as many points; what it
 * refuses leaves nothing behind. */
#include "../../tests/support/guard.h"
#include "../../tests/unit/decode/fixture.h"
#include "otlp.pb.h"
#include "weir/otlp.h"
#include <pb_common.h>
#include <pb_decode.h>

static uint32_t point_count;

/* Decodes any submessage, every field of it that has a callback through this function again. */
static bool walk(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    (void)arg;
    max_align_t room[32] = {{0}}; /* any of the messages */
    pb_field_iter_t iter;
    const pb_msgdesc_t *message = field == NULL ? &Export_msg : field->submsg_desc;
    if (field != NULL && !PB_LTYPE_IS_SUBMSG(field->type)) {
        return pb_read(stream, NULL, stream->bytes_left);
    }
    point_count += message == &NumberDataPoint_msg || message == &HistogramDataPoint_msg ||
                   message == &ExponentialHistogramDataPoint_msg ||
                   message == &SummaryDataPoint_msg;
    bool more = pb_field_iter_begin(&iter, message, room);
    for (; more; more = pb_field_iter_next(&iter)) {
        if (PB_ATYPE(iter.type) == PB_ATYPE_CALLBACK) {
            ((pb_callback_t *)iter.pData)->funcs.decode = walk;
        }
    }
    return pb_decode(stream, message, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard message = guard_copy(weir_bytes_of(data, size));
    struct fixture fixture;
    struct weir_runs runs;
    enum weir_record_format format;
    enum weir_quarantine reason;
    fixture_open(&fixture);
    bool good =
        weir_otlp_message(fixture.collect, guard_view(&message), &format, &reason) == WEIR_OK;
    WEIR_ASSERT(good || fixture.collect->points == 0);
    enum weir_status status = weir_collect_finish(fixture.collect, &runs);
    WEIR_ASSERT(status == WEIR_OK && weir_runs_validate(&runs));
    if (good) {
        pb_istream_t stream = pb_istream_from_buffer(message.data, message.size);
        point_count = 0;
        WEIR_ASSERT(walk(&stream, NULL, NULL));
        WEIR_ASSERT(point_count == runs.points);
    }
    fixture_close(&fixture);
    guard_free(&message);
    return 0;
}
