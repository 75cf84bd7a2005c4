/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/text.h"
#include "weir/mem.h"

static void prepare(void *state)
{
    struct weir_text *text = state;
    memcpy(text->mutable_text, text->text.data, text->text.size);
}

static void limit(void *state)
{
    struct weir_text *text = state;
    memcpy(text->copy, text->text.data, text->text.size);
    __asm__ volatile("" : : "r"(text->copy) : "memory");
}

void weir_text_close(struct weir_cases_job *job)
{
    struct weir_text *text = job->work.state;
    if (text != NULL) {
        weir_mem_free(text->copy);
        weir_mem_free(text->mutable_text);
        weir_mem_free(text->own);
        weir_input_free(text->input);
        weir_mem_free(text);
    }
}

static enum weir_status fill(struct weir_text *text,
                             enum weir_status (*text_of)(struct weir_text *text))
{
    WEIR_TRY(text_of(text));
    text->mutable_text = weir_mem_alloc(text->text.size);
    text->copy = weir_mem_alloc(text->text.size);
    return text->mutable_text != NULL && text->copy != NULL ? WEIR_OK : WEIR_ENOMEM;
}

enum weir_status weir_text_open(const struct weir_cases_context *context,
                                enum weir_input_format format,
                                enum weir_status (*text_of)(struct weir_text *text),
                                void (*subject)(void *state), struct weir_cases_job *ret)
{
    struct weir_text *text = weir_mem_zalloc(1, sizeof *text);
    if (text == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_cases_job job = {
        .work = {.state = text, .prepare = prepare, .subject = subject, .limit = limit}};
    enum weir_status status = weir_cases_input(context, format, &text->input);
    status = status == WEIR_OK ? fill(text, text_of) : status;
    if (status != WEIR_OK) {
        weir_text_close(&job);
        return status;
    }
    job.points = text->input->points;
    job.bytes = text->text.size;
    *ret = job;
    return WEIR_OK;
}
