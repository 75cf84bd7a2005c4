/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of what the spool writes, over an inflated body, so that a call is long enough. */
#include "micro/text.h"
#include "weir/crc32c.h"

static void checksum(void *state)
{
    struct weir_text *text = state;
    uint32_t crc = weir_crc32c(0, weir_bytes_of(text->mutable_text, text->text.size));
    __asm__ volatile("" : : "r"(crc) : "memory");
}

static enum weir_status body(struct weir_text *text)
{
    text->text = text->input->json;
    return WEIR_OK;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    return weir_text_open(context, context->options.format, body, checksum, ret);
}

const struct weir_cases_case weir_cases_crc32c[] = {
    {"crc32c", "the spool's checksum", "memcpy", open_job, weir_text_close}, {.name = NULL}};
