/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that are written as they are sent: what they hold meanwhile, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../route/run_fixture.h"
#include "backend.h"
#include <unistd.h>

enum { POINTS = 20 };

static int held(const struct arrival *arrival)
{
    (void)arrival;
    return -503;
}

static uint32_t requests(struct scene *scene)
{
    pthread_mutex_lock(&scene->backend.lock);
    uint32_t count = scene->backend.requests;
    pthread_mutex_unlock(&scene->backend.lock);
    return count;
}

/* Whether nothing is left of the arenas soon, and not only when the thread has a look after its
 * longest sleep. */
static bool await_no_arenas(const struct scene *scene)
{
    int64_t deadline_ns = weir_clock_mono_ns() + WEIR_NS_PER_S / 2;
    while (weir_credit_used(&scene->fixture.queued) > 0) {
        if (weir_clock_mono_ns() > deadline_ns) {
            return false;
        }
        usleep(1000);
    }
    return true;
}

/* One batch in flight, of which the backend takes a third; the others wait for it. All of them
 * become bodies, and the arenas go back, while it is still in flight. */
static void a_slow_backend_holds_no_arenas(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, held);
    scene.backend.is_slow = true;
    scene.threads = 1; /* or another one may do it at once */
    scene.destinations[0].compression = WEIR_COMPRESSION_NONE;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, POINTS, 150000));
    while (requests(&scene) == 0) {
        usleep(1000);
    }
    assert_true(await_no_arenas(&scene));
    assert_false(scene.backend.lets_go);
    assert_true(requests(&scene) < POINTS); /* and some have not been sent */
    (void)scene_end(&scene, 0);
}

/* The deadline comes while a third of it is encoded: all of its memory comes back (scene_end). */
static void what_is_begun_at_the_deadline_is_given_back(void **state)
{
    (void)state;
    struct scene scene;
    scene_set(&scene, held);
    scene.backend.is_slow = true;
    scene.threads = 1;
    scene.destinations[0].compression = WEIR_COMPRESSION_NONE;
    scene_start(&scene);
    assert_true(scene_publish(&scene, 0, POINTS, 150000));
    while (requests(&scene) == 0) {
        usleep(100);
    }
    assert_int_equal(scene_end(&scene, 0), POINTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_backend_holds_no_arenas),
        cmocka_unit_test(what_is_begun_at_the_deadline_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
