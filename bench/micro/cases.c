/* SPDX-License-Identifier: Apache-2.0 */
#include "micro/cases.h"

static const struct weir_cases_case *const families[] = {
    weir_cases_gunzip, weir_cases_base64, weir_cases_envelope, weir_cases_json,
    weir_cases_decode, weir_cases_ring,   weir_cases_batch,    weir_cases_compress,
    weir_cases_crc32c, weir_cases_commit, weir_cases_exchange, weir_cases_path};

const struct weir_cases_case *weir_cases_at(unsigned index)
{
    unsigned past = 0;
    for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
        for (const struct weir_cases_case *at = families[i]; at->name != NULL; at++) {
            if (past++ == index) {
                return at;
            }
        }
    }
    return NULL;
}

enum weir_status weir_cases_input(const struct weir_cases_context *context,
                                  enum weir_input_format format, struct weir_input **ret)
{
    struct weir_input_options options = context->options;
    options.format = format;
    options.gzip_level = options.gzip_level > 0 ? options.gzip_level : 1;
    return weir_input_new(&options, 0, ret);
}
