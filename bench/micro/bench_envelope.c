/* SPDX-License-Identifier: Apache-2.0 */
/* An inflated body to its records, base64 included. */
#include "micro/text.h"
#include "weir/envelope.h"
#include "weir/panic.h"

static void read_envelope(void *state)
{
    struct weir_text *text = state;
    const struct weir_envelope_limits limits = {10000, (size_t)64 << 20, 32};
    struct weir_envelope envelope;
    struct weir_bytes record;
    enum weir_status status;
    weir_envelope_init(&envelope, text->mutable_text, text->text.size, limits);
    while ((status = weir_envelope_next(&envelope, &record)) == WEIR_OK) {
    }
    WEIR_ASSERT(status == WEIR_EEND);
    WEIR_ASSERT(envelope.record_count == text->input->records);
}

static enum weir_status body(struct weir_text *text)
{
    text->text = text->input->json;
    return WEIR_OK;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    return weir_text_open(context, context->options.format, body, read_envelope, ret);
}

const struct weir_cases_case weir_cases_envelope[] = {
    {"envelope", "an inflated body to records, base64 included", "memcpy", open_job,
     weir_text_close},
    {.name = NULL}};
