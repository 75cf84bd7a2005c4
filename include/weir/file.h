/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "weir/bytes.h"
#include "weir/status.h"

/*
 * The few file operations that Weir needs, with the checks that are easy to forget: O_CLOEXEC
 * always, EINTR and short transfers continued, sizes bounded before memory is taken.
 */

/* Reads a whole file of at most `size_max` bytes into memory that the caller frees with
 * weir_mem_free; a terminator follows the bytes and is not counted. WEIR_ENOTFOUND, WEIR_EDENIED,
 * WEIR_ELIMIT (larger), WEIR_EIO, WEIR_ENOMEM; errno says more. `path` "-" reads standard input. */
WEIR_MUST_USE enum weir_status weir_file_read(const char *path, size_t size_max, uint8_t **ret_data,
                                              size_t *ret_size);

/* Opens for appending, made with mode 0600 if absent; symbolic links at the end are refused.
 * WEIR_EDENIED; WEIR_ECLOSED: a pipe that nobody reads, or a socket; WEIR_EIO. Never waits for a
 * pipe's reader; writing to one does. */
WEIR_MUST_USE enum weir_status weir_file_append_open(const char *path, int *ret_fd);

/* Writes all of `bytes`. WEIR_EIO: an unknown part was written (errno says why). */
WEIR_MUST_USE enum weir_status weir_file_write(int fd, struct weir_bytes bytes);

/* Closes; a negative descriptor is nothing. */
void weir_file_close(int fd);

#endif
