/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SPOOL_SEGMENT_INTERNAL_H
#define WEIR_SPOOL_SEGMENT_INTERNAL_H

#include "weir/segment.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * Segments and their spares, private to segment.c and segment_spares.c.
 */
enum { WEIR_SPARES_MAX = 2, WEIR_SPARE_STEP = 1 << 20, WEIR_SEGMENT_FILE_NAME = 32 };

/* A spare file; all have the usual size. */
struct weir_spare {
    uint64_t number; /* in its name */
    uint64_t zeroed; /* bytes from its begin that are zeros on the disk */
    int file;        /* open while it is zeroed, else -1 */
    bool clean;      /* every block was written once */
};

struct weir_segments {
    struct weir_segments_options options;
    pthread_mutex_t lock;  /* all below but `used` for readers */
    _Atomic uint64_t used; /* bytes of segments; written under the lock, read by anybody */
    struct weir_spare spares[WEIR_SPARES_MAX];
    size_t spare_count;
    size_t spares_wanted;
    uint64_t next_number;
    bool names_changed; /* since the directory's last sync, by release or the end of a spare */
    bool blocked;       /* preparing failed: not again before a take or a release */
};

/* "<16 hex digits>.segment" or ".spare" into `ret`. */
void weir_segments_name(uint64_t number, bool is_spare, char ret[WEIR_SEGMENT_FILE_NAME]);

/* The header a segment of this number and size begins with; `roster` may be NULL. */
struct weir_frame_segment weir_segments_header(const struct weir_segments *segments,
                                               uint64_t number, uint64_t size,
                                               const struct weir_frame_segment *roster);

/* Writes a header at the begin of a file. */
enum weir_status weir_segments_put_header(const struct weir_segments *segments, int file,
                                          const struct weir_frame_segment *header);

/* A new file of `size` bytes, all reserved; nothing is left where that fails. */
enum weir_status weir_segments_create(const struct weir_segments *segments, const char *name,
                                      uint64_t size, int *ret_file);

/* Bytes within the limit that no file has. */
uint64_t weir_segments_unused(const struct weir_segments *segments);

/* Takes the spares that are on the disk into stock. WEIR_EIO, WEIR_ENOMEM. */
enum weir_status weir_segments_find_spares(struct weir_segments *segments);

/* The best spare, taken out of the stock and closed; the file stays. False: there is none. */
bool weir_segments_pick_spare(struct weir_segments *segments, uint64_t *ret_number);

/* Removes a spare, file and all. False: there is none. */
bool weir_segments_drop_spare(struct weir_segments *segments);

#endif
