/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a request's points, by whatever end their batch comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include "box.h"

#define MS WEIR_NS_PER_MS
#define S  WEIR_NS_PER_S

struct play {
    struct scene scene;
    struct book book;
    struct weir_letterbox box;
    struct weir_ticket ticket;
    bool has_box;
    bool keeps;
};

static int always_200(const struct arrival *arrival)
{
    (void)arrival;
    return 200;
}

static int always_400(const struct arrival *arrival)
{
    (void)arrival;
    return 400;
}

static int always_503(const struct arrival *arrival)
{
    (void)arrival;
    return 503;
}

static void play_set(struct play *play, int (*judge)(const struct arrival *))
{
    memset(play, 0, sizeof(*play));
    scene_set(&play->scene, judge);
    play->has_box = true;
    play->keeps = true;
    play->scene.destinations[0].buffer.points_max = 10;
}

static void play_start(struct play *play)
{
    struct weir_exporter_options options = scene_options(&play->scene);
    box_open(&play->box);
    options.settler = book_settler(&play->book);
    options.letterbox = play->has_box ? &play->box : NULL;
    options.keeps = play->keeps;
    scene_make(&play->scene, options);
    play->scene.backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(play->scene.exporter, play->scene.router), WEIR_OK);
}

static uint32_t settled(struct play *play)
{
    return book_count(&play->book, play->ticket.settled, 0, ACCOUNT_POINTS);
}

static uint32_t kept(struct play *play)
{
    return book_count(&play->book, play->ticket.kept, 0, ACCOUNT_POINTS);
}

static void await_settled(struct play *play, uint32_t points)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    while (settled(play) + kept(play) < points) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static struct weir_destination_status look(const struct play *play)
{
    return weir_exporter_status(play->scene.exporter, 0);
}

static void what_is_delivered_is_settled(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_200);
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 0, 135, 0);
    await_settled(&play, 135);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(settled(&play), 135);
    assert_int_equal(box_waiting(&play.box), 0);
    assert_true(play.ticket.notes > 0);        /* that they were on their way */
    assert_true(play.ticket.used_most_ns < S); /* and nothing failed */
}

static void check_letter(const struct weir_letter *letter)
{
    uint64_t numbers[64];
    assert_int_equal(letter->kind, WEIR_LETTER_OTLP);
    assert_string_equal(letter->destination, "d0");
    assert_string_equal(letter->reason, "refused");
    assert_string_equal(letter->request_id, "request-1");
    assert_string_equal(letter->stream, "stream");
    assert_int_equal(letter->attempts, 1);
    assert_int_equal(letter->points, 10);
    assert_true(letter->arrival_wall_ns > 0);
    assert_true(letter->ending_wall_ns >= letter->arrival_wall_ns);
    assert_true(letter->ending_wall_ns <= weir_clock_wall_ns());
    assert_int_equal(box_points(letter, numbers), 10);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(numbers[i], i);
    }
}

static void what_is_refused_is_settled_when_its_letter_is_on_disk(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        static struct play play;
        play_set(&play, always_400);
        play.scene.destinations[0].compression =
            round == 0 ? WEIR_COMPRESSION_GZIP : WEIR_COMPRESSION_NONE;
        play_start(&play);
        box_publish(&play.scene, &play.ticket, 0, 10, 0);
        box_await(&play.box, 1);
        (void)poll(NULL, 0, 20);
        assert_int_equal(settled(&play) + kept(&play), 0); /* not before */
        assert_int_equal(look(&play).points_lost, 0);
        assert_true(look(&play).memory_bytes > 0); /* the letter's content is paid for */
        struct weir_letter *letter = box_take(&play.box);
        check_letter(letter);
        letter->done(letter, WEIR_OK);
        await_settled(&play, 10);
        assert_int_equal(settled(&play), 10);
        assert_int_equal(scene_end(&play.scene, 10), 0);
    }
}

static void a_letter_without_room_leaves_its_points_in_the_spool(void **state)
{
    (void)state;
    static const enum weir_status failures[] = {WEIR_EFULL, WEIR_EIO};
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, always_400);
        play.keeps = round < 2;
        play_start(&play);
        box_publish(&play.scene, &play.ticket, 0, 10, 0);
        box_await(&play.box, 1);
        assert_int_equal(box_answer(&play.box, failures[round % 2]), 1);
        await_settled(&play, 10);
        assert_int_equal(kept(&play), 10);
        assert_int_equal(settled(&play), 0);
        while (look(&play).memory_bytes > 0) {
            (void)poll(NULL, 0, 1);
        }
        assert_int_equal(look(&play).points_lost, play.keeps ? 0 : 10);
        assert_int_equal(scene_end(&play.scene, 10), 0);
    }
}

static void without_a_letterbox_what_is_refused_is_settled(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_400);
    play.has_box = false;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    await_settled(&play, 10);
    assert_int_equal(settled(&play), 10);
    assert_int_equal(look(&play).points_lost, 10);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

static int at_most_three_and_never_7(const struct arrival *arrival)
{
    for (uint32_t i = 0; i < arrival->points; i++) {
        if (arrival->numbers[i] == 7) {
            return 413;
        }
    }
    return arrival->points > 3 ? 413 : 200;
}

/* Halves of halves share one manifest: it ends with the last of them, and one that is kept keeps
 * all. */
static void halves_are_settled_together(void **state)
{
    (void)state;
    static const enum weir_compression compressions[] = {
        WEIR_COMPRESSION_GZIP, WEIR_COMPRESSION_NONE, WEIR_COMPRESSION_ZSTD};
    for (int round = 0; round < 3; round++) {
        static struct play play;
        play_set(&play, at_most_three_and_never_7);
        play.scene.destinations[0].compression = compressions[round];
        play_start(&play);
        box_publish(&play.scene, &play.ticket, 0, 10, 0);
        box_await(&play.box, 1);
        assert_true(await(&play.scene, 0, 9, 10));
        (void)poll(NULL, 0, 20);
        assert_int_equal(settled(&play) + kept(&play), 0);
        struct weir_letter *letter = box_take(&play.box);
        uint64_t numbers[64];
        assert_string_equal(letter->reason, "too_large");
        assert_int_equal(letter->points, 1);
        assert_int_equal(box_points(letter, numbers), 1);
        assert_int_equal(numbers[0], 7);
        letter->done(letter, round == 0 ? WEIR_OK : WEIR_EIO);
        await_settled(&play, 10);
        assert_int_equal(settled(&play), round == 0 ? 10 : 0);
        assert_int_equal(scene_end(&play.scene, 10), 0);
    }
}

static void an_expired_batch_says_how_often_and_why(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_503);
    play.scene.destinations[0].hold_on_outage = false;
    play.scene.destinations[0].retry.window_ns = 1500 * MS;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    box_await(&play.box, 1);
    struct weir_letter *letter = box_take(&play.box);
    assert_string_equal(letter->reason, "outage");
    assert_true(letter->message[0] != '\0');
    assert_true(letter->attempts > 1);
    int64_t lasted_ns = letter->ending_wall_ns - letter->arrival_wall_ns;
    assert_true(lasted_ns > 500 * MS);
    letter->done(letter, WEIR_OK);
    await_settled(&play, 10);
    assert_int_equal(settled(&play), 10);
    assert_int_equal(look(&play).points_lost, 10);
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_true(play.ticket.notes >= 1); /* told at once ... */
    assert_true(play.ticket.notes <= 2); /* ... and not again within a second */
    assert_true(play.ticket.used_ns < 1500 * MS);
}

/* A device without room: what was written as JSON is put into the letter as the request. */
static void a_line_that_cannot_be_written_is_a_letter_with_the_request(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_200);
    play.scene.destinations[0].type = WEIR_DESTINATION_FILE;
    play.scene.destinations[0].path = "/dev/full";
    play.scene.destinations[0].hold_on_outage = false;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 20, 10, 0);
    box_await(&play.box, 1);
    struct weir_letter *letter = box_take(&play.box);
    uint64_t numbers[64];
    assert_string_equal(letter->reason, "outage");
    /* the window may end with an answer, which has words, or between two: then the reason */
    assert_true(strcmp(letter->message, "io") == 0 ||
                strcmp(letter->message, "No space left on device") == 0);
    assert_int_equal(box_points(letter, numbers), 10);
    assert_int_equal(numbers[9], 29);
    letter->done(letter, WEIR_OK);
    await_settled(&play, 10);
    assert_int_equal(settled(&play), 10);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

static void what_has_no_form_is_a_letter_without_attempts(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_200);
    play.scene.destinations[0].type = WEIR_DESTINATION_FILE;
    play.scene.destinations[0].path = "/dev/null";
    play.ticket.padding = 50;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 20, 10, 0);
    box_await(&play.box, 1);
    struct weir_letter *letter = box_take(&play.box);
    uint64_t numbers[64];
    assert_string_equal(letter->reason, "malformed");
    assert_int_equal(letter->attempts, 0);
    assert_true(letter->arrival_wall_ns > 0);
    assert_int_equal(box_points(letter, numbers), 10);
    assert_int_equal(numbers[0], 20);
    letter->done(letter, WEIR_OK);
    await_settled(&play, 10);
    assert_int_equal(scene_end(&play.scene, 10), 0);
}

static void a_shutdown_keeps_everything_and_loses_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        static struct play play;
        play_set(&play, round < 2 ? always_503 : always_200);
        play.keeps = round % 2 == 0;
        if (round >= 2) { /* nothing is a batch yet */
            play.scene.destinations[0].buffer.points_max = 0;
            play.scene.destinations[0].buffer.interval_ns = 3600 * S;
        }
        play_start(&play);
        box_publish(&play.scene, &play.ticket, 0, 200, 0);
        (void)poll(NULL, 0, round < 2 ? 50 : 0);
        uint64_t left = UINT64_MAX;
        weir_exporter_drain(play.scene.exporter, weir_clock_mono_ns() - 1, &left);
        uint64_t lost = look(&play).points_lost;
        assert_int_equal(settled(&play) + kept(&play), 200);
        assert_int_equal(left, kept(&play));
        assert_int_equal(lost, play.keeps ? 0 : left);
        assert_true(round >= 2 || left == 200);
        weir_router_free(play.scene.router);
        weir_exporter_free(play.scene.exporter);
        weir_namespaces_free(play.scene.namespaces);
        fixture_close(&play.scene.fixture);
    }
}

static void *answer_later(void *argument)
{
    struct play *play = argument;
    (void)poll(NULL, 0, 150);
    (void)box_answer(&play->box, WEIR_OK);
    return NULL;
}

static void a_drain_waits_for_letters_on_their_way(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* in time, and after its deadline */
        static struct play play;
        play_set(&play, always_400);
        play_start(&play);
        box_publish(&play.scene, &play.ticket, 0, 10, 0);
        box_await(&play.box, 1);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, answer_later, &play), 0);
        assert_int_equal(scene_end(&play.scene, round == 0 ? 10 : 0.01), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(settled(&play), 10);
    }
}

/* How many requests more are answered badly; behind the backend's lock. Not a time: a slow machine
 * would miss it. */
static int bad_left;

static int bad_then_200(const struct arrival *arrival)
{
    (void)arrival;
    return bad_left-- > 0 ? 503 : 200;
}

/* Three requests that could share a batch; the one in the middle has used ten minutes. */
static void the_window_of_fresh_data_is_not_shortened(void **state)
{
    (void)state;
    static struct play play;
    static struct weir_ticket old, fresh;
    play_set(&play, bad_then_200);
    bad_left = 4;
    memset(&old, 0, sizeof(old));
    memset(&fresh, 0, sizeof(fresh));
    play.scene.destinations[0].retry.window_ns = 900 * S;
    play.scene.destinations[0].buffer.points_max = 0;
    play.scene.destinations[0].buffer.interval_ns = 30 * MS;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 0, 10, 0);
    box_publish(&play.scene, &old, 10, 10, 600 * S);
    box_publish(&play.scene, &fresh, 20, 10, 0);
    assert_true(await(&play.scene, 0, 30, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(play.scene.backend.delivered[0][15], 1);
    assert_true(play.ticket.used_most_ns < 100 * S);
    assert_true(fresh.used_most_ns < 100 * S);
    assert_true(old.notes == 0 || old.used_ns >= 600 * S);
    assert_true(play.ticket.notes + old.notes + fresh.notes > 0);
    assert_int_equal(book_count(&play.book, old.settled, 0, 10), 10);
}

static void fresh_and_used_data_do_not_cut_each_others_batches(void **state)
{
    (void)state;
    static struct play play;
    static struct weir_ticket old;
    play_set(&play, always_200);
    play.scene.destinations[0].buffer.points_max = 0;
    play.scene.destinations[0].buffer.interval_ns = 3600 * S;
    play_start(&play);
    for (uint64_t i = 0; i < 20; i++) { /* by turns */
        box_publish(&play.scene, i % 2 == 0 ? &play.ticket : &old, i, 1, i % 2 == 0 ? 0 : 600 * S);
    }
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_once(&play.scene, 0, 20);
    assert_int_equal(play.scene.backend.requests, 2);
}

static int forbidden_then_200(const struct arrival *arrival)
{
    (void)arrival;
    return bad_left-- > 0 ? 401 : 200;
}

/* What was used before a restart is given back to whoever a wrong token holds up. */
static void a_blocked_destination_gives_the_window_back(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, forbidden_then_200);
    bad_left = 5;
    play.scene.destinations[0].retry.window_ns = 900 * S;
    play_start(&play);
    box_publish(&play.scene, &play.ticket, 0, 30, 600 * S); /* three batches; one is tried */
    assert_true(await(&play.scene, 0, 30, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_true(play.ticket.notes > 0);
    assert_true(play.ticket.used_ns == 0);
    assert_true(play.ticket.used_most_ns < 601 * S);
    assert_int_equal(settled(&play), 30);
}

static int down_then_forbidden(const struct arrival *arrival)
{
    (void)arrival;
    return bad_left-- > 0 ? 503 : 401;
}

/* And to those that were not even tried: a stop now must not find their windows nearly used up. */
static void those_that_only_wait_are_given_it_back_too(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, down_then_forbidden);
    bad_left = 4;
    play.scene.destinations[0].retry = (struct weir_retry_options){900 * S, 150 * MS, 60 * S};
    play_start(&play);
    for (uint32_t p = 0; p < 100; p++) {
        play.ticket.used_of_ns[p] = -1;
    }
    box_publish(&play.scene, &play.ticket, 0, 100, 600 * S);
    int64_t deadline = weir_clock_mono_ns() + 10 * S;
    for (uint32_t known = 0; known < 100; (void)poll(NULL, 0, 1)) {
        struct weir_ticket now = book_look(&play.book, &play.ticket);
        for (known = 0; known < 100 && now.used_of_ns[known] == 0; known++) {
        }
        assert_true(weir_clock_mono_ns() < deadline);
    }
    assert_true(play.ticket.used_most_ns >= 600 * S); /* those that met the 503 */
    assert_int_equal(scene_end(&play.scene, 0), 100);
    assert_true(play.scene.backend.requests < 10); /* of ten batches */
    assert_int_equal(kept(&play), 100);
}

/* Nobody asked: no manifest is made, and a request's ticket is not looked at. */
static void without_accounts_nothing_is_told(void **state)
{
    (void)state;
    static struct play play;
    play_set(&play, always_200);
    scene_start(&play.scene);
    (void)book_settler(&play.book);
    box_publish(&play.scene, &play.ticket, 0, 100, 0);
    assert_true(await(&play.scene, 0, 100, 10));
    assert_int_equal(scene_end(&play.scene, 10), 0);
    assert_int_equal(settled(&play) + kept(&play), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_delivered_is_settled),
        cmocka_unit_test(what_is_refused_is_settled_when_its_letter_is_on_disk),
        cmocka_unit_test(a_letter_without_room_leaves_its_points_in_the_spool),
        cmocka_unit_test(without_a_letterbox_what_is_refused_is_settled),
        cmocka_unit_test(halves_are_settled_together),
        cmocka_unit_test(an_expired_batch_says_how_often_and_why),
        cmocka_unit_test(a_line_that_cannot_be_written_is_a_letter_with_the_request),
        cmocka_unit_test(what_has_no_form_is_a_letter_without_attempts),
        cmocka_unit_test(a_shutdown_keeps_everything_and_loses_nothing),
        cmocka_unit_test(a_drain_waits_for_letters_on_their_way),
        cmocka_unit_test(the_window_of_fresh_data_is_not_shortened),
        cmocka_unit_test(fresh_and_used_data_do_not_cut_each_others_batches),
        cmocka_unit_test(a_blocked_destination_gives_the_window_back),
        cmocka_unit_test(those_that_only_wait_are_given_it_back_too),
        cmocka_unit_test(without_accounts_nothing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
