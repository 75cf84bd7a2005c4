/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations that are closed while others run: what arrives, what is kept, and when the slot is
 * free again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "box.h"
#include "slot_play.h"

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
        if (answers[round / 2] == -200) {
            assert_true(play.ticket.used_most_ns >= 20 * MS); /* told when it was cancelled */
            say(200);
            let_go(&play); /* a late answer is nobody's */
            static struct weir_ticket more;
            memset(&more, 0, sizeof(more));
            box_publish(&play.scene, &more, 200, 10, 0);
            play.scene.destinations[0].buffer.interval_ns = MS;
            reopen(&play, 0);
            assert_true(await(&play.scene, 0, 10, 10));
        }
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
        cmocka_unit_test(a_flush_delivers_all_and_the_slot_goes_on),
        cmocka_unit_test(a_flush_ends_at_its_deadline),
        cmocka_unit_test(a_swap_keeps_what_waits_and_the_rings),
        cmocka_unit_test(a_swap_does_not_forget_the_window),
        cmocka_unit_test(a_swap_without_a_spool_sends_what_it_has),
        cmocka_unit_test(a_letter_under_way_is_waited_for),
        cmocka_unit_test(batches_out_at_encoders_come_back_first),
        cmocka_unit_test(a_token_request_under_way_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
