/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_URL "http://token/"
#define MS        WEIR_NS_PER_MS

/* A token server and what a backend thinks of its tokens; one exporter thread, so no lock but the
 * backend's is needed. Tokens are T1, T2, ... */
static struct {
    _Atomic uint32_t issued;  /* tokens given out */
    _Atomic uint32_t valid;   /* the token that the backend takes; ANY, NONE */
    _Atomic uint32_t refuses; /* so many token requests are answered 401 first; FOREVER */
    _Atomic uint32_t asked;
    _Atomic uint32_t rejected; /* requests with a token that is not valid */
    bool is_authorized;        /* the request that is judged */
    char body[128];
} world;

enum { ANY = UINT16_MAX, NONE = UINT16_MAX - 1, FOREVER = UINT16_MAX };

static uint32_t load(const _Atomic uint32_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed); /* relaxed: a test's own counts */
}

static void store(_Atomic uint32_t *value, uint32_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed); /* relaxed: as in load */
}

static void answer_token(struct played *played, const struct weir_transport_request *request)
{
    store(&world.asked, load(&world.asked) + 1);
    uint32_t refuses = load(&world.refuses);
    struct weir_transport_reply reply = {
        .user = request->user, .status = 401, .retry_after_ns = -1};
    if (refuses == 0) {
        store(&world.issued, load(&world.issued) + 1);
        (void)snprintf(world.body, sizeof(world.body),
                       "{\"access_token\":\"T%u\",\"expires_in\":3600}", load(&world.issued));
        reply.status = 200;
        reply.body = weir_bytes_str(world.body);
    } else if (refuses != FOREVER) {
        store(&world.refuses, refuses - 1);
    }
    assert_true(played->count < REPLIES_MAX);
    played->replies[played->count++] = reply;
}

static enum weir_status guarded_send(void *self, const struct weir_transport_request *request)
{
    if (strncmp(request->target->url, TOKEN_URL, strlen(TOKEN_URL)) == 0) {
        answer_token(self, request);
        return WEIR_OK;
    }
    char wanted[64];
    const char *given = NULL;
    for (size_t i = 0; request->target->headers[i] != NULL; i++) {
        if (strncmp(request->target->headers[i], "Authorization:", 14) == 0) {
            assert_null(given);
            given = request->target->headers[i];
        }
    }
    assert_non_null(given); /* without a token nothing is sent */
    (void)snprintf(wanted, sizeof(wanted), "Authorization: Bearer T%u", load(&world.valid));
    world.is_authorized = load(&world.valid) == ANY || strcmp(given, wanted) == 0;
    return played_send(self, request);
}

static enum weir_status guarded_new(void *argument, struct weir_transport *ret)
{
    enum weir_status status = played_new(argument, ret);
    ret->send = guarded_send;
    return status;
}

static int judge(const struct arrival *arrival)
{
    (void)arrival;
    store(&world.rejected, load(&world.rejected) + !world.is_authorized);
    return world.is_authorized ? 200 : 401;
}

static const struct weir_oauth_options oauth = {
    .token_url = TOKEN_URL,
    .client_id = "weir",
    .client_secret = "s3cret",
    .style = WEIR_OAUTH_BASIC,
    .timeout_ns = WEIR_NS_PER_S,
    .expiry_buffer_ns = 300 * WEIR_NS_PER_S,
};

static void open_scene(struct scene *scene, const char *bearer_file)
{
    world.is_authorized = false;
    store(&world.issued, 0);
    store(&world.valid, ANY);
    store(&world.refuses, 0);
    store(&world.asked, 0);
    store(&world.rejected, 0);
    scene_set(scene, judge);
    scene->threads = 1;
    scene->destinations[0].oauth = bearer_file == NULL ? &oauth : NULL;
    scene->destinations[0].bearer_file = bearer_file;
}

static void start_scene(struct scene *scene)
{
    struct weir_exporter_options options = scene_options(scene);
    options.transport = guarded_new;
    scene_make(scene, options);
    scene->backend.begun_ns = weir_clock_mono_ns();
    assert_int_equal(weir_exporter_start(scene->exporter, scene->router), WEIR_OK);
}

static bool await_state(const struct scene *scene, enum weir_destination_state state,
                        const char *reason)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    for (;;) {
        struct weir_destination_status status = weir_exporter_status(scene->exporter, 0);
        if (status.state == state && strcmp(status.reason, reason) == 0) {
            return true;
        }
        if (weir_clock_mono_ns() > deadline) {
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
}

static void each_request_carries_the_token(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, NULL);
    store(&world.valid, 1);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 40, 0));
    assert_true(await(&scene, 0, 40, 10));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 40);
    assert_int_equal(load(&world.asked), 1);
    assert_int_equal(load(&world.rejected), 0);
}

/* 401, a new token at once, and the same batches again: nobody hears of it. */
static void a_revoked_token_is_replaced_and_its_batches_go_again(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, NULL);
    store(&world.valid, 1);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    assert_true(await(&scene, 0, 10, 10));
    store(&world.valid, 2);
    int64_t begun_ns = weir_clock_mono_ns();
    assert_true(scene_publish(&scene, 10, 50, 0));
    assert_true(await(&scene, 0, 50, 10));
    struct weir_destination_status status = weir_exporter_status(scene.exporter, 0);
    assert_int_equal(status.state, WEIR_DESTINATION_UP);
    assert_true(weir_clock_mono_ns() - begun_ns < 10 * WEIR_NS_PER_S);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 50);
    assert_int_equal(load(&world.asked), 2);
    assert_in_range(load(&world.rejected), 1, 4);
}

/* Longer than the retry window: nothing is given up, since no window runs. */
static void without_a_token_batches_wait_and_lose_nothing(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, NULL);
    scene.destinations[0].hold_on_outage = false;
    store(&world.refuses, FOREVER);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 20, 0));
    assert_true(await_state(&scene, WEIR_DESTINATION_BLOCKED, "token"));
    (void)poll(NULL, 0, 600);
    pthread_mutex_lock(&scene.backend.lock);
    assert_int_equal(scene.backend.requests, 0);
    pthread_mutex_unlock(&scene.backend.lock);
    store(&world.refuses, 0);
    assert_true(await(&scene, 0, 20, 10));
    assert_true(await_state(&scene, WEIR_DESTINATION_UP, ""));
    assert_int_equal(weir_exporter_status(scene.exporter, 0).points_lost, 0);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 20);
}

/* The token server gives tokens, and the backend takes none of them. */
static void tokens_that_nobody_takes_block_as_a_401_does(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, NULL);
    scene.destinations[0].hold_on_outage = false;
    store(&world.valid, NONE);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 20, 0));
    assert_true(await_state(&scene, WEIR_DESTINATION_BLOCKED, "401"));
    (void)poll(NULL, 0, 500);
    assert_in_range(load(&world.asked), 2, 4); /* no storm at the token server */
    assert_in_range(load(&world.rejected), 2, 12);
    store(&world.valid, ANY);
    assert_true(await(&scene, 0, 20, 10));
    assert_true(await_state(&scene, WEIR_DESTINATION_UP, ""));
    assert_int_equal(weir_exporter_status(scene.exporter, 0).points_lost, 0);
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 20);
}

static void a_drain_without_a_token_ends_at_its_deadline(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, NULL);
    store(&world.refuses, FOREVER);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 7, 0));
    assert_true(await_state(&scene, WEIR_DESTINATION_BLOCKED, "token"));
    assert_int_equal(scene_end(&scene, 0.3), 7);
}

static void a_token_from_a_file_is_followed(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-auth-XXXXXX";
    close(mkstemp(path)); /* empty: no token yet */
    struct scene scene;
    open_scene(&scene, path);
    store(&world.valid, 1);
    start_scene(&scene);
    assert_true(scene_publish(&scene, 0, 10, 0));
    assert_true(await_state(&scene, WEIR_DESTINATION_BLOCKED, "token"));
    for (uint32_t round = 1; round <= 2; round++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_true(fprintf(file, "T%u\n", round) > 0);
        store(&world.valid, round);
        assert_int_equal(fclose(file), 0);
        assert_true(await(&scene, 0, 10 * round, 10));
        assert_true(await_state(&scene, WEIR_DESTINATION_UP, ""));
        if (round == 1) {
            assert_true(scene_publish(&scene, 10, 20, 0));
            assert_true(await(&scene, 0, 20, 10));
            store(&world.valid, 2);
            assert_true(scene_publish(&scene, 20, 21, 0));
            assert_true(await_state(&scene, WEIR_DESTINATION_BLOCKED, "401"));
        }
    }
    assert_true(await(&scene, 0, 21, 10));
    assert_int_equal(scene_end(&scene, 10), 0);
    assert_once(&scene, 0, 21);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_carries_the_token),
        cmocka_unit_test(a_revoked_token_is_replaced_and_its_batches_go_again),
        cmocka_unit_test(without_a_token_batches_wait_and_lose_nothing),
        cmocka_unit_test(tokens_that_nobody_takes_block_as_a_401_does),
        cmocka_unit_test(a_drain_without_a_token_ends_at_its_deadline),
        cmocka_unit_test(a_token_from_a_file_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
