/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_LETTER_FIXTURE_H
#define WEIR_TEST_LETTER_FIXTURE_H

/* A letterbox on a disk in memory, letters for it, and what of them is on the disk. */
#include "counting.h"
#include "simdisk.h"
#include "support.h"
#include "weir/letterbox.h"
#include "weir/mem.h"
#include <stdio.h>
#include <stdlib.h>

static struct simdisk *sim;
static struct weir_disk disk;
static struct weir_letterbox *box;

static inline int64_t wall(void)
{
    return INT64_C(1763770484000000000);
}

static inline int set_up(void **state)
{
    (void)state;
    counting_start();
    sim = simdisk_new(1);
    disk = simdisk_disk(sim);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    if (sim->breach != NULL) {
        print_error("breach: %s\n", sim->breach);
        return 1;
    }
    weir_disk_close(&disk);
    simdisk_free(sim);
    counting_stop();
    return 0;
}

static inline void open_box(uint64_t limit, bool evict, uint64_t file_bytes)
{
    struct weir_letterbox_options options = {
        .disk = disk, .limit = limit, .evict = evict, .file_bytes = file_bytes, .wall_ns = wall};
    assert_int_equal(weir_letterbox_open(&options, &box), WEIR_OK);
}

struct sent {
    struct weir_letter letter;
    int calls;
    enum weir_status status;
};

static inline void on_done(struct weir_letter *letter, enum weir_status status)
{
    struct sent *sent = letter->user;
    sent->calls++;
    sent->status = status;
}

static inline void put(struct sent *sent, enum weir_letter_kind kind, struct weir_bytes payload)
{
    *sent = (struct sent){.letter = {.kind = kind,
                                     .payload = payload,
                                     .destination = "backend",
                                     .reason = "refused",
                                     .message = "no",
                                     .request_id = "id",
                                     .attempts = 1,
                                     .done = on_done,
                                     .user = sent}};
    weir_letterbox_put(box, &sent->letter);
}

static inline enum weir_status send_one(enum weir_letter_kind kind, struct weir_bytes payload)
{
    struct sent sent;
    put(&sent, kind, payload);
    weir_letterbox_step(box);
    assert_int_equal(sent.calls, 1);
    return sent.status;
}

static inline struct weir_bytes of_size(size_t size)
{
    static uint8_t bytes[4 << 20];
    memset(bytes, 'x', sizeof bytes);
    assert_true(size <= sizeof bytes);
    return weir_bytes_of(bytes, size);
}

/* What is on the disk, all files in order. */
struct contents {
    char names[64][64];
    uint32_t count;
    uint8_t *data;
    size_t size, lines;
};

static inline void note_name(void *argument, const char *name)
{
    struct contents *all = argument;
    (void)snprintf(all->names[all->count++], sizeof *all->names, "%s", name);
}

static inline int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static inline void look(struct contents *all)
{
    *all = (struct contents){.data = weir_mem_alloc((size_t)16 << 20)};
    assert_int_equal(disk.ops->list(disk.self, "", note_name, all), 0);
    qsort(all->names, all->count, sizeof *all->names, by_text);
    for (uint32_t i = 0; i < all->count; i++) {
        size_t got = 0;
        int file = disk.ops->open(disk.self, all->names[i], WEIR_DISK_WRITE);
        assert_true(file >= 0);
        assert_int_equal(
            weir_disk_read(&disk, file, all->data + all->size, (size_t)8 << 20, 0, &got), WEIR_OK);
        all->size += got;
        (void)disk.ops->close(disk.self, file);
    }
    for (size_t i = 0; i < all->size; i++) {
        all->lines += all->data[i] == '\n' ? 1 : 0;
    }
}

static inline size_t lines_on_disk(void)
{
    struct contents all;
    look(&all);
    weir_mem_free(all.data);
    return all.lines;
}

/* Takes the next line off. */
static inline struct weir_letter_line take_line(struct contents *all, size_t *at)
{
    struct weir_letter_line line;
    const char *error = NULL;
    uint8_t *end = memchr(all->data + *at, '\n', all->size - *at);
    assert_non_null(end);
    size_t size = (size_t)(end - (all->data + *at));
    assert_int_equal(weir_letter_read(all->data + *at, size, &line, &error), WEIR_OK);
    *at += size + 1;
    return line;
}

#endif
