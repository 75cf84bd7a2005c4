/* SPDX-License-Identifier: Apache-2.0 */
/* All records of a body as one text of base64, decoded in place. */
#include "micro/text.h"
#include "weir/base64.h"
#include "weir/mem.h"
#include "weir/panic.h"

static void decode(void *state)
{
    struct weir_text *text = state;
    size_t size = 0;
    enum weir_status status =
        weir_base64_decode_in_place(text->mutable_text, text->text.size, &size);
    WEIR_ASSERT(status == WEIR_OK);
    WEIR_ASSERT(size == text->input->content.size);
}

static enum weir_status encoded(struct weir_text *text)
{
    size_t size = weir_base64_encoded_size(text->input->content.size);
    text->own = weir_mem_alloc(size);
    if (text->own == NULL) {
        return WEIR_ENOMEM;
    }
    weir_base64_encode(text->input->content, text->own);
    text->text = weir_bytes_of(text->own, size);
    return WEIR_OK;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    return weir_text_open(context, context->options.format, encoded, decode, ret);
}

const struct weir_cases_case weir_cases_base64[] = {
    {"base64", "records decoded in place (bytes: of base64)", "memcpy", open_job, weir_text_close},
    {.name = NULL}};
