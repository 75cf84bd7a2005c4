/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FILE_OUT_H
#define WEIR_FILE_OUT_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * Standard output or a file as a destination: one batch at a time is written in steps that do not
 * wait for a slow reader. A regular file is written at once.
 *
 *   open ──► begin ──► step ... step (WEIR_EAGAIN: later) ──► WEIR_OK ──► begin ...
 */
struct weir_file_out {
    int fd;
    bool is_ours;    /* to be closed */
    bool is_regular; /* never makes a writer wait */
    bool is_torn;    /* a write failed: the next batch begins on a new line */
    struct weir_bytes left;
};

/* Opens `path` for appending; NULL is standard output. Fails as weir_file_append_open. */
WEIR_MUST_USE enum weir_status weir_file_out_open(struct weir_file_out *out, const char *path);
void weir_file_out_close(struct weir_file_out *out);

/* Begins a batch: `text`, line feed included, stays valid until it ends. */
void weir_file_out_begin(struct weir_file_out *out, struct weir_bytes text);

/* Goes on with it. WEIR_OK: all is written. WEIR_EAGAIN: the reader is slow; call again in a while.
 * WEIR_ECLOSED: nobody reads any more. WEIR_EIO: an unknown part was written, errno says why.
 * After the last two the batch has ended and may be begun again. */
WEIR_MUST_USE enum weir_status weir_file_out_step(struct weir_file_out *out);

#endif
