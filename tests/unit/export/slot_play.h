/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SLOT_PLAY_H
#define SLOT_PLAY_H

/*
 * A scene of backend.h with accounts, letters and slots: what the backend says may change at any
 * time, and it is known when a slot has become free. Include after box.h.
 */
#include <stdatomic.h>

#define MS   WEIR_NS_PER_MS
#define S    WEIR_NS_PER_S
#define HOUR (3600 * S)

struct play {
    struct scene scene;
    struct book book;
    struct weir_ticket ticket;
    struct weir_letterbox box;
    bool keeps;
    bool has_book;
    _Atomic uint32_t closed[DESTINATIONS_MAX]; /* times */
};

static _Atomic int answer; /* what the backend says */

static inline void say(int status)
{
    atomic_store_explicit(&answer, status, memory_order_relaxed); /* relaxed: a test's own */
}

static inline int as_said(const struct arrival *arrival)
{
    (void)arrival;
    return atomic_load_explicit(&answer, memory_order_relaxed); /* relaxed: as in say */
}

static inline void let_go(struct play *play)
{
    pthread_mutex_lock(&play->scene.backend.lock);
    play->scene.backend.lets_go = true;
    pthread_mutex_unlock(&play->scene.backend.lock);
}

static inline uint32_t requests(struct play *play)
{
    pthread_mutex_lock(&play->scene.backend.lock);
    uint32_t count = play->scene.backend.requests;
    pthread_mutex_unlock(&play->scene.backend.lock);
    return count;
}

static inline void on_closed(void *argument, uint32_t slot)
{
    struct play *play = argument;
    assert_int_equal(weir_exporter_state(play->scene.exporter, slot), WEIR_EXPORT_SLOT_FREE);
    /* relaxed: a count that a test waits for */
    atomic_fetch_add_explicit(&play->closed[slot], 1, memory_order_relaxed);
}

static inline void play_set(struct play *play, int status)
{
    memset(play, 0, sizeof(*play));
    scene_set(&play->scene, as_said);
    say(status);
    play->keeps = true;
    play->has_book = true;
    play->scene.destinations[0].buffer.points_max = 10;
    play->scene.destinations[0].retry.window_ns = HOUR;
}

/* With the slots of `open` open; rows are there for all of the scene's. */
static inline void play_start(struct play *play, uint32_t open)
{
    struct weir_exporter_options options = scene_options(&play->scene);
    box_open(&play->box);
    options.settler =
        play->has_book ? book_settler(&play->book) : (struct weir_settler){.self = NULL};
    options.letterbox = &play->box;
    options.keeps = play->keeps;
    options.closed = on_closed;
    options.closed_argument = play;
    options.destinations = NULL;
    options.destination_count = 0;
    scene_make(&play->scene, options);
    for (uint32_t i = 0; i < DESTINATIONS_MAX; i++) {
        if ((open & 1U << i) != 0) {
            assert_int_equal(
                weir_exporter_open(play->scene.exporter, i, &play->scene.destinations[i]), WEIR_OK);
        }
    }
    play->scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(play->scene.exporter, play->scene.router), WEIR_OK);
}

static inline void reopen(struct play *play, uint32_t slot)
{
    assert_int_equal(
        weir_exporter_open(play->scene.exporter, slot, &play->scene.destinations[slot]), WEIR_OK);
    assert_int_equal(weir_exporter_state(play->scene.exporter, slot), WEIR_EXPORT_SLOT_OPEN);
}

static inline void close_slot(struct play *play, uint32_t slot, enum weir_export_close how,
                              int64_t in_ns)
{
    weir_exporter_close(play->scene.exporter, slot, how, weir_clock_mono_ns() + in_ns);
}

/* Waits until a slot has become free `times` times. */
static inline void await_closed(struct play *play, uint32_t slot, uint32_t times)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    /* relaxed: as in on_closed */
    while (atomic_load_explicit(&play->closed[slot], memory_order_relaxed) < times) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(weir_exporter_state(play->scene.exporter, slot), WEIR_EXPORT_SLOT_FREE);
    struct weir_destination_status status = weir_exporter_status(play->scene.exporter, slot);
    assert_int_equal(status.slot, WEIR_EXPORT_SLOT_FREE);
    assert_int_equal(status.state, WEIR_DESTINATION_UP);
    assert_int_equal(status.memory_bytes, 0);
    assert_int_equal(status.waiting_batches + status.in_flight, 0);
}

static inline void await_requests(struct play *play, uint32_t count)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (requests(play) < count) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static inline uint32_t settled(struct play *play)
{
    return book_count(&play->book, play->ticket.settled, 0, ACCOUNT_POINTS);
}

static inline uint32_t kept(struct play *play)
{
    return book_count(&play->book, play->ticket.kept, 0, ACCOUNT_POINTS);
}

#endif
