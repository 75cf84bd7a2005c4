/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PIPELINE_DENIED_H
#define WEIR_PIPELINE_DENIED_H

#include "weir/pipeline.h"

/*
 * What a request names a forbidden tenant for, or one too many. With a spool on disk the template
 * is owed it, and the backlog brings it to the dead letter; without, letters are written now.
 */

/* After reserving: notes which templates are denied what they want. Where nothing is kept on disk
 * they are wanted no more. */
void weir_denied_part(struct weir_submission *submission, bool keeps);

/* When the request has been committed: counts and logs it, and without a disk puts its records into
 * the dead letter, before the body is gone. */
void weir_denied_keep(const struct weir_submission *submission, struct weir_inflater *inflater,
                      const struct weir_pipeline_options *options);

#endif
