/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader alone over CloudWatch's lines: every byte checked, no value taken. */
#include "micro/text.h"
#include "weir/json.h"
#include "weir/panic.h"

static void scan(void *state)
{
    struct weir_text *text = state;
    uint8_t *at = text->mutable_text;
    uint8_t *end = at + text->text.size;
    uint32_t lines = 0;
    while (at < end) {
        uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end != NULL ? line_end : end;
        struct weir_json json;
        weir_json_init(&json, at, (size_t)(line_end - at), 8);
        weir_json_skip(&json);
        enum weir_status status = weir_json_finish(&json);
        WEIR_ASSERT(status == WEIR_OK);
        at = line_end + 1;
        lines++;
    }
    WEIR_ASSERT(lines == text->input->points);
}

static enum weir_status lines_of(struct weir_text *text)
{
    text->text = text->input->content;
    return WEIR_OK;
}

static enum weir_status open_job(const struct weir_cases_context *context,
                                 struct weir_cases_job *ret)
{
    return weir_text_open(context, WEIR_INPUT_JSON, lines_of, scan, ret);
}

const struct weir_cases_case weir_cases_json[] = {
    {"json", "CloudWatch JSON lines skipped by the reader, checked", "memcpy", open_job,
     weir_text_close},
    {.name = NULL}};
