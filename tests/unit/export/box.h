/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BOX_H
#define BOX_H

/*
 * A played letterbox, which is linked in place of the real one, and a played spool that keeps
 * accounts: what a scene of backend.h needs to see what becomes of each point of a request.
 *
 *   exporter ─weir_letterbox_put─► box: waits ─box_answer(status)─► done, on the test's thread
 *   exporter ─settle, attempted──► account of each ticket, by point
 *
 * Include after backend.h, in one source of a program only.
 */
#include "weir/letterbox.h"

enum { ACCOUNT_POINTS = 512 };

struct weir_ticket {
    size_t padding;                   /* of its points; with some they cannot be written as JSON */
    uint32_t settled[ACCOUNT_POINTS]; /* how often */
    uint32_t kept[ACCOUNT_POINTS];
    uint32_t notes;                     /* failed attempts told */
    int64_t used_ns;                    /* the last note */
    int64_t used_of_ns[ACCOUNT_POINTS]; /* the last one about each point, if there was one */
    int64_t used_most_ns;
};

struct book {
    pthread_mutex_t lock;
};

static inline void book_settle(void *self, const struct weir_manifest *manifest,
                               enum weir_settlement settlement)
{
    struct book *book = self;
    pthread_mutex_lock(&book->lock);
    assert_true(manifest->count > 0);
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct weir_part *part = &manifest->parts[i];
        assert_true(part->end <= ACCOUNT_POINTS);
        for (uint32_t p = part->begin; p < part->end; p++) {
            (settlement == WEIR_KEPT ? part->ticket->kept : part->ticket->settled)[p]++;
        }
    }
    pthread_mutex_unlock(&book->lock);
}

static inline void book_attempted(void *self, const struct weir_manifest *manifest, int64_t used_ns)
{
    struct book *book = self;
    pthread_mutex_lock(&book->lock);
    for (uint32_t i = 0; i < manifest->count; i++) {
        struct weir_ticket *ticket = manifest->parts[i].ticket;
        ticket->notes++;
        ticket->used_ns = used_ns;
        for (uint32_t p = manifest->parts[i].begin; p < manifest->parts[i].end; p++) {
            ticket->used_of_ns[p] = used_ns;
        }
        ticket->used_most_ns = used_ns > ticket->used_most_ns ? used_ns : ticket->used_most_ns;
    }
    pthread_mutex_unlock(&book->lock);
}

static inline struct weir_settler book_settler(struct book *book)
{
    pthread_mutex_init(&book->lock, NULL);
    return (struct weir_settler){book_settle, book_attempted, book};
}

/* How many of the points [begin, end) were settled, or kept; never the same one twice. */
static inline uint32_t book_count(struct book *book, const uint32_t *points, uint32_t begin,
                                  uint32_t end)
{
    uint32_t count = 0;
    pthread_mutex_lock(&book->lock);
    for (uint32_t p = begin; p < end; p++) {
        assert_true(points[p] <= 1);
        count += points[p];
    }
    pthread_mutex_unlock(&book->lock);
    return count;
}

static inline struct weir_ticket book_look(struct book *book, const struct weir_ticket *ticket)
{
    pthread_mutex_lock(&book->lock);
    struct weir_ticket copy = *ticket;
    pthread_mutex_unlock(&book->lock);
    return copy;
}

struct weir_letterbox {
    pthread_mutex_t lock;
    struct weir_letter *first;
    uint32_t waiting;
};

static inline void box_open(struct weir_letterbox *box)
{
    *box = (struct weir_letterbox){.first = NULL};
    pthread_mutex_init(&box->lock, NULL);
}

void weir_letterbox_put(struct weir_letterbox *box, struct weir_letter *letter)
{
    pthread_mutex_lock(&box->lock);
    letter->next = box->first;
    box->first = letter;
    box->waiting++;
    pthread_mutex_unlock(&box->lock);
}

static inline uint32_t box_waiting(struct weir_letterbox *box)
{
    pthread_mutex_lock(&box->lock);
    uint32_t waiting = box->waiting;
    pthread_mutex_unlock(&box->lock);
    return waiting;
}

/* A letter, the last one put; NULL when there is none. It is still to be answered. */
static inline struct weir_letter *box_take(struct weir_letterbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct weir_letter *letter = box->first;
    if (letter != NULL) {
        box->first = letter->next;
        box->waiting--;
    }
    pthread_mutex_unlock(&box->lock);
    return letter;
}

/* Ends all letters that wait. */
static inline uint32_t box_answer(struct weir_letterbox *box, enum weir_status status)
{
    uint32_t count = 0;
    for (struct weir_letter *letter; (letter = box_take(box)) != NULL; count++) {
        letter->done(letter, status);
    }
    return count;
}

/* Waits until `count` letters are there. */
static inline void box_await(struct weir_letterbox *box, uint32_t count)
{
    int64_t deadline = weir_clock_mono_ns() + 10 * WEIR_NS_PER_S;
    while (box_waiting(box) < count) {
        assert_true(weir_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* The points that a letter holds. */
static inline uint32_t box_points(const struct weir_letter *letter, uint64_t *ret_numbers)
{
    static const uint32_t path[] = {1, 2, 2, 11, 1, 0};
    static struct arrival arrival;
    arrival.points = 0;
    read_points(letter->payload, path, &arrival);
    memcpy(ret_numbers, arrival.numbers, arrival.points * sizeof(*ret_numbers));
    return arrival.points;
}

/* Publishes the points [from, from + count) of a request, which are its first ones, with an
 * account; so much of its window was used before. */
static inline void box_publish(struct scene *scene, struct weir_ticket *ticket, uint64_t from,
                               uint32_t count, int64_t used_ns)
{
    struct fixture_request request = fixture_request(&scene->fixture, "request-1", 0);
    request.origin->ticket = ticket;
    request.origin->used_ns = used_ns;
    for (uint32_t done = 0; done < count;) {
        struct weir_run *run = fixture_run(&request, "AWS/EC2", "");
        const struct weir_metric *metric = fixture_metric(run, "", "metric");
        run->first = done;
        for (uint32_t i = 0; i < FIXTURE_POINTS_MAX && done < count; i++, done++) {
            fixture_point(&request, run, metric, from + done, ticket->padding);
        }
    }
    struct weir_reservation held;
    assert_int_equal(fixture_reserve(scene->router, &request, &held), WEIR_OK);
    weir_router_publish(scene->router, &request.runs, &held);
    weir_arena_unref(request.arena, 0);
}

#endif
