/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations that are opened and closed while others run: what arrives, what is kept, and when a
 * slot is free again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "box.h"
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

static void say(int status)
{
    atomic_store_explicit(&answer, status, memory_order_relaxed); /* relaxed: a test's own */
}

static int as_said(const struct arrival *arrival)
{
    (void)arrival;
    return atomic_load_explicit(&answer, memory_order_relaxed); /* relaxed: as in say */
}

static void let_go(struct play *play)
{
    pthread_mutex_lock(&play->scene.backend.lock);
    play->scene.backend.lets_go = true;
    pthread_mutex_unlock(&play->scene.backend.lock);
}

static uint32_t requests(struct play *play)
{
    pthread_mutex_lock(&play->scene.backend.lock);
    uint32_t count = play->scene.backend.requests;
    pthread_mutex_unlock(&play->scene.backend.lock);
    return count;
}

static void on_closed(void *argument, uint32_t slot)
{
    struct play *play = argument;
    assert_int_equal(weir_exporter_state(play->scene.exporter, slot), WEIR_EXPORT_SLOT_FREE);
    /* relaxed: a count that a test waits for */
    atomic_fetch_add_explicit(&play->closed[slot], 1, memory_order_relaxed);
}

static void play_set(struct play *play, int status)
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
static void play_start(struct play *play, uint32_t open)
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

static void reopen(struct play *play, uint32_t slot)
{
    assert_int_equal(
        weir_exporter_open(play->scene.exporter, slot, &play->scene.destinations[slot]), WEIR_OK);
    assert_int_equal(weir_exporter_state(play->scene.exporter, slot), WEIR_EXPORT_SLOT_OPEN);
}

static void close_slot(struct play *play, uint32_t slot, enum weir_export_close how, int64_t in_ns)
{
    weir_exporter_close(play->scene.exporter, slot, how, weir_clock_mono_ns() + in_ns);
}

/* Waits until a slot has become free `times` times. */
static void await_closed(struct play *play, uint32_t slot, uint32_t times)
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

static void await_requests(struct play *play, uint32_t count)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (requests(play) < count) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static uint32_t settled(struct play *play)
{
    return book_count(&play->book, play->ticket.settled, 0, ACCOUNT_POINTS);
}

static uint32_t kept(struct play *play)
{
    return book_count(&play->book, play->ticket.kept, 0, ACCOUNT_POINTS);
}

static void opened_while_others_run(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.has_book = false;
    play.scene.destination_count = 3;
    play.scene.destinations[2].compression = WEIR_COMPRESSION_ZSTD; /* no thread has this level */
    play.scene.destinations[2].compression_level = 7;
    play.scene.destinations[2].export_bytes = 1 << 20;
    play_start(&play, 1);
    assert_true(scene_publish(&play.scene, 0, 20, 0));
    assert_true(await(&play.scene, 0, 20, 10));
    assert_int_equal(weir_exporter_state(play.scene.exporter, 2), WEIR_EXPORT_SLOT_FREE);
    assert_int_equal(weir_exporter_state(play.scene.exporter, 61), WEIR_EXPORT_SLOT_FREE);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 61).points_delivered, 0);
    reopen(&play, 1);
    reopen(&play, 2);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 2).memory_limit, 1 << 20);
    assert_true(await(&play.scene, 1, 20, 10)); /* what the rings had all the time */
    assert_true(await(&play.scene, 2, 20, 10));
    assert_true(scene_publish(&play.scene, 20, 30, 0));
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(await(&play.scene, i, 30, 10));
    }
    assert_int_equal(scene_end(&play.scene, 10), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_once(&play.scene, i, 30);
    }
}

static void a_flush_delivers_all_and_the_slot_goes_on(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.scene.destinations[0].buffer.interval_ns = HOUR;
    play.scene.destinations[0].buffer.points_max = 0;
    play_start(&play, 1);
    box_publish(&play.scene, &play.ticket, 0, 100, 0);
    close_slot(&play, 0, WEIR_CLOSE_FLUSH, HOUR);
    await_closed(&play, 0, 1);
    assert_int_equal(settled(&play), 100);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 0).points_delivered, 100);
    close_slot(&play, 0, WEIR_CLOSE_SWAP, 0); /* a free one: nothing */
    play.scene.destinations[0].buffer.interval_ns = MS;
    static struct weir_ticket more;
    memset(&more, 0, sizeof(more));
    box_publish(&play.scene, &more, 100, 50, 0); /* stays in the ring */
    reopen(&play, 0);
    assert_true(await(&play.scene, 0, 150, 10)); /* the same name, the same account */
    close_slot(&play, 0, WEIR_CLOSE_FLUSH, HOUR);
    await_closed(&play, 0, 2);
    play.scene.destinations[0].name = "other";
    reopen(&play, 0);
    assert_int_equal(weir_exporter_status(play.scene.exporter, 0).points_delivered, 0);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, 150);
    assert_int_equal(kept(&play), 0);
}

static void a_flush_ends_at_its_deadline(void **state)
{
    (void)state;
    static const int answers[] = {503, 401, 0, -200};
    for (int round = 0; round < 8; round++) {
        static struct play play;
        play_set(&play, answers[round / 2]);
        play.keeps = round % 2 == 0;
        play.scene.destinations[0].buffer.interval_ns = round % 3 == 0 ? HOUR : MS;
        play_start(&play, 1);
        box_publish(&play.scene, &play.ticket, 0, 95, 0);
        await_requests(&play, 1);
        close_slot(&play, 0, WEIR_CLOSE_FLUSH, HOUR);
        close_slot(&play, 0, WEIR_CLOSE_FLUSH, 2 * HOUR); /* later: nothing */
        assert_int_equal(weir_exporter_state(play.scene.exporter, 0), WEIR_EXPORT_SLOT_CLOSING);
        close_slot(&play, 0, WEIR_CLOSE_FLUSH, 20 * MS); /* sooner */
        await_closed(&play, 0, 1);
        assert_int_equal(settled(&play), 0);
        assert_int_equal(kept(&play), 95);
        assert_true(play.ticket.notes > 0);
        assert_int_equal(weir_exporter_status(play.scene.exporter, 0).points_lost,
                         play.keeps ? 0 : 95);
        assert_int_equal(scene_end(&play.scene, 10), 0); /* a drain has nothing to count */
    }
}

static void a_swap_keeps_what_waits_and_the_rings(void **state)
{
    (void)state;
    static struct play play;
    static struct weir_ticket more;
    memset(&more, 0, sizeof(more));
    play_set(&play, -200);
    play.scene.destinations[0].buffer.interval_ns = HOUR;
    play_start(&play, 1);
    box_publish(&play.scene, &play.ticket, 0, 95, 0); /* 4 in flight, 5 batches wait, 1 open */
    await_requests(&play, 4);
    close_slot(&play, 0, WEIR_CLOSE_SWAP, HOUR);
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (kept(&play) < 55) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
    box_publish(&play.scene, &more, 95, 30, 0); /* in the ring, for who comes next */
    assert_int_equal(weir_exporter_state(play.scene.exporter, 0), WEIR_EXPORT_SLOT_CLOSING);
    assert_int_equal(settled(&play), 0);
    say(200);
    let_go(&play);
    await_closed(&play, 0, 1);
    assert_int_equal(settled(&play), 40); /* what was in flight was awaited */
    assert_int_equal(kept(&play), 55);
    assert_int_equal(book_count(&play.book, more.kept, 0, 30), 0);
    play.scene.destinations[0].buffer.interval_ns = MS;
    reopen(&play, 0);
    assert_true(await(&play.scene, 0, 70, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(book_count(&play.book, more.settled, 0, 30), 30);
}

static void a_swap_does_not_forget_the_window(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 503);
    play_start(&play, 1);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    await_requests(&play, 3);
    int64_t since = weir_clock_mono_ns();
    await_requests(&play, 6);
    close_slot(&play, 0, WEIR_CLOSE_SWAP, HOUR);
    await_closed(&play, 0, 1);
    assert_int_equal(kept(&play), 10);
    assert_true(play.ticket.used_ns > 0);
    assert_true(play.ticket.used_ns >= 10 * MS); /* two waits at least; told when it was kept */
    assert_true(weir_clock_mono_ns() - since < 10 * S);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

static void a_swap_without_a_spool_sends_what_it_has(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.keeps = false;
    play.scene.destinations[0].buffer.interval_ns = HOUR;
    play.scene.destinations[0].buffer.points_max = 0;
    play_start(&play, 1);
    box_publish(&play.scene, &play.ticket, 0, 40, 0);
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (weir_router_queued_bytes(play.scene.router, 0) > 0) { /* into the open batch */
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
    close_slot(&play, 0, WEIR_CLOSE_SWAP, HOUR);
    await_closed(&play, 0, 1);
    assert_int_equal(settled(&play), 40);
    static struct weir_ticket more;
    memset(&more, 0, sizeof(more));
    box_publish(&play.scene, &more, 40, 20, 0);
    assert_int_equal(scene_end(&play.scene, 10), 20); /* nobody came: left over, and lost */
    assert_int_equal(book_count(&play.book, more.kept, 0, 20), 20);
}

static void a_letter_under_way_is_waited_for(void **state)
{
    (void)state;
    static const enum weir_status ends[] = {WEIR_OK, WEIR_EIO};
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, 400);
        play_start(&play, 1);
        box_publish(&play.scene, &play.ticket, 0, 10, 0);
        box_await(&play.box, 1);
        close_slot(&play, 0, round / 2 == 0 ? WEIR_CLOSE_FLUSH : WEIR_CLOSE_SWAP, -1);
        (void)poll(NULL, 0, 30);
        assert_int_equal(weir_exporter_state(play.scene.exporter, 0), WEIR_EXPORT_SLOT_CLOSING);
        assert_int_equal(box_answer(&play.box, ends[round % 2]), 1);
        await_closed(&play, 0, 1);
        assert_int_equal(settled(&play), round % 2 == 0 ? 10 : 0);
        assert_int_equal(kept(&play), round % 2 == 0 ? 0 : 10);
        assert_int_equal(scene_end(&play.scene, 10), 0);
    }
}

/* Large batches at the slowest level; most of them are out when their time is over. */
static void batches_out_at_encoders_come_back_first(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, 200);
        play.ticket.padding = 4000;
        play.scene.destinations[0].compression_level = 9;
        play.scene.destinations[0].buffer.points_max = 30;
        play_start(&play, 1);
        box_publish(&play.scene, &play.ticket, 0, 300, 0);
        close_slot(&play, 0, round % 2 == 0 ? WEIR_CLOSE_FLUSH : WEIR_CLOSE_SWAP,
                   round / 2 == 0 ? -1 : HOUR);
        await_closed(&play, 0, 1);
        uint32_t ended = settled(&play) + kept(&play);
        if (round % 2 == 0) {
            assert_int_equal(ended, 300);
        }
        (void)scene_end(&play.scene, 10);
        assert_int_equal(settled(&play) + kept(&play), 300); /* the rings' too */
    }
}

static void a_drain_ends_what_is_closing(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, -200);
        play.scene.destination_count = 2;
        play.scene.threads = 1 + (uint32_t)round / 2;
        play_start(&play, 1);
        box_publish(&play.scene, &play.ticket, 0, 100, 0);
        await_requests(&play, 4);
        close_slot(&play, 0, round % 2 == 0 ? WEIR_CLOSE_FLUSH : WEIR_CLOSE_SWAP, HOUR);
        uint64_t left = scene_end(&play.scene, 0.05);
        /* 100 of a slot that was never open are in the rings and nobody's: the router's */
        assert_true(left <= 100);
        assert_int_equal(settled(&play), 0);
        assert_int_equal(kept(&play), 100);
        assert_int_equal(atomic_load_explicit(&play.closed[0], memory_order_relaxed), 1);
    }
}

static void open_fails_whole(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, 200);
    play.scene.destination_count = 2;
    play_start(&play, 1);
    struct weir_destination_options *second = &play.scene.destinations[1];
    second->type = WEIR_DESTINATION_FILE;
    second->path = "/nowhere/at/all";
    assert_int_not_equal(weir_exporter_open(play.scene.exporter, 1, second), WEIR_OK);
    assert_int_equal(weir_exporter_state(play.scene.exporter, 1), WEIR_EXPORT_SLOT_FREE);
    second->type = WEIR_DESTINATION_OTLP_HTTP;
    enum weir_status status = WEIR_ENOMEM;
    uint64_t failures = 0;
    while (status != WEIR_OK) {
        (void)weir_mem_fail_at(failures + 1);
        status = weir_exporter_open(play.scene.exporter, 1, second);
        if (status != WEIR_OK) {
            assert_int_equal(status, WEIR_ENOMEM);
            assert_int_equal(weir_exporter_state(play.scene.exporter, 1), WEIR_EXPORT_SLOT_FREE);
            failures++;
        }
    }
    (void)weir_mem_fail_at(0);
    assert_true(failures > 3);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    assert_true(await(&play.scene, 0, 10, 10));
    assert_true(await(&play.scene, 1, 10, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

#define TOKEN_URL "http://token/"

/* The token server never answers. */
static enum weir_status tokenless_send(void *self, const struct weir_transport_request *request)
{
    struct played *played = self;
    if (strcmp(request->target->url, TOKEN_URL) != 0) {
        return played_send(self, request);
    }
    played->held[played->held_count++] = (struct weir_transport_reply){.user = request->user};
    pthread_mutex_lock(&played->backend->lock);
    played->backend->requests++;
    pthread_mutex_unlock(&played->backend->lock);
    return WEIR_OK;
}

static enum weir_status tokenless_new(void *argument, struct weir_transport *ret)
{
    enum weir_status status = played_new(argument, ret);
    ret->send = tokenless_send;
    return status;
}

static void a_token_request_under_way_is_given_up(void **state)
{
    (void)state;
    static const struct weir_oauth_options oauth = {
        .token_url = TOKEN_URL,
        .client_id = "weir",
        .client_secret = "s3cret",
        .style = WEIR_OAUTH_BASIC,
        .timeout_ns = S,
    };
    for (int round = 0; round < 2; round++) {
        struct scene scene;
        scene_set(&scene, as_said);
        say(200);
        scene.destinations[0].oauth = &oauth;
        struct weir_exporter_options options = scene_options(&scene);
        options.transport = tokenless_new;
        scene_make(&scene, options);
        assert_int_equal(weir_exporter_start(scene.exporter, scene.router), WEIR_OK);
        if (round == 1) {
            assert_true(scene_publish(&scene, 0, 10, 0));
        }
        int64_t deadline = weir_clock_mono_ns() + 10 * S;
        uint32_t sent = 0;
        while (sent == 0) {
            assert_true(weir_clock_mono_ns() < deadline);
            pthread_mutex_lock(&scene.backend.lock);
            sent = scene.backend.requests;
            pthread_mutex_unlock(&scene.backend.lock);
        }
        weir_exporter_close(scene.exporter, 0, WEIR_CLOSE_FLUSH, weir_clock_mono_ns() + 50 * MS);
        while (weir_exporter_state(scene.exporter, 0) != WEIR_EXPORT_SLOT_FREE) {
            assert_true(weir_clock_mono_ns() < deadline);
            (void)poll(NULL, 0, 1);
        }
        assert_int_equal(weir_exporter_status(scene.exporter, 0).points_lost, round == 0 ? 0 : 10);
        assert_int_equal(scene_end(&scene, 10), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opened_while_others_run),
        cmocka_unit_test(a_flush_delivers_all_and_the_slot_goes_on),
        cmocka_unit_test(a_flush_ends_at_its_deadline),
        cmocka_unit_test(a_swap_keeps_what_waits_and_the_rings),
        cmocka_unit_test(a_swap_does_not_forget_the_window),
        cmocka_unit_test(a_swap_without_a_spool_sends_what_it_has),
        cmocka_unit_test(a_letter_under_way_is_waited_for),
        cmocka_unit_test(batches_out_at_encoders_come_back_first),
        cmocka_unit_test(a_drain_ends_what_is_closing),
        cmocka_unit_test(open_fails_whole),
        cmocka_unit_test(a_token_request_under_way_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
