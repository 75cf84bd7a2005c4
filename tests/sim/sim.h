/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TEST_SIM_H
#define WEIR_TEST_SIM_H

#include "simdisk.h"
#include "weir/backlog.h"
#include "weir/spool.h"

/*
 * What the simulator knows of a spool from outside: every request that was ever handed to it, what
 * was answered, what was delivered to whom, and what of that the release log must know by now.
 *
 *   sim_world ──submit, deliver, keep, backlog──► spool ──► simdisk ──after each change──┐
 *       ▲                                                                                │
 *       └── sim_check: what must, may and must not come back ◄── spool opened on a copy ◄┘ crash
 *
 * Three destinations by name, one more that stands for the dead letter; their order and number in
 * the configuration changes from life to life, and in some worlds within a life: then they are
 * removed, freed and opened again, in whatever slot there is.
 *
 * tidy: allow header-functions -- one model, seen by the parts that act on it
 */
#define SIM_DESTINATIONS 3U
#define SIM_LETTER       3U /* index of the dead letter among them */
#define SIM_TARGETS      4U
#define SIM_REQUESTS     160U
#define SIM_MEMORY       ((size_t)768 << 10)
#define SIM_SEGMENT      ((uint64_t)64 << 10)
#define SIM_SECOND       INT64_C(1000000000)
#define SIM_WINDOW       (3600 * SIM_SECOND)

enum sim_state {
    SIM_SENT,   /* handed over, not answered (the power went), or refused: it may be on disk */
    SIM_ACKED,  /* answered with OK, or seen on disk after a crash: must be there */
    SIM_REPEAT, /* answered with EEXIST: it must never come back */
    SIM_NEVER   /* refused before anything could have been written */
};

/* What is known of a request and one destination. Points as bits. */
struct sim_debt {
    bool owed;
    bool in_memory; /* a ticket is out */
    struct weir_ticket *ticket;
    uint32_t wanted;  /* that this destination gets */
    uint32_t live;    /* in memory, not yet settled or kept */
    uint32_t settled; /* by anybody, ever */
    uint32_t noted;   /* settled, and a keeper's step has ended since */
    int64_t used, used_noted;
};

struct sim_request {
    enum sim_state state;
    uint32_t index;
    uint32_t original; /* same id and content: index of the first such; itself when there is none */
    struct weir_bytes body;
    uint8_t *margins; /* not of a copy: the memory is the original's */
    char id[24], stream[48], key[24], attributes[160];
    uint32_t points, content_crc;
    uint64_t content_size;
    bool gzip;
    int64_t received_wall_ns;
    uint64_t lsn; /* as seen in a place; 0: not yet */
    struct sim_debt to[SIM_TARGETS];
};

enum sim_place {
    SIM_ABSENT, /* not configured at the start, or freed: GONE without our knowing where, or FREE */
    SIM_OPEN,   /* in a slot */
    SIM_REMOVED, /* GONE, in a slot that we know */
};

struct sim_options {
    uint64_t limit;
    unsigned version;
    uint32_t order[SIM_DESTINATIONS];       /* destinations by position in the configuration */
    uint32_t count;                         /* of them that are configured */
    enum sim_place place[SIM_DESTINATIONS]; /* by target: now; from sim_open on */
    uint32_t slot[SIM_DESTINATIONS];        /* where that is not SIM_ABSENT */
    uint64_t seed;
};

struct sim_world {
    uint64_t seed;
    struct weir_rand rand;
    struct simdisk *disk, *next, *scratch, *again;
    struct weir_spool *spool;
    struct weir_now now;
    struct sim_options options;
    struct sim_request requests[SIM_REQUESTS];
    uint32_t request_count;

    uint32_t life, step;
    uint64_t changes, crash_at; /* of this life */
    uint64_t bytes;             /* of files */
    bool crashed;               /* the power is gone: nothing that happens now is known outside */
    bool failed;                /* the spool said so, after a fault */
    bool faulty;                /* something other than the disk is made to fail */
    bool exact;                 /* what is settled is known to the spool, and not only to us */
    bool given_up; /* sim_read: the ticket is gone, with a record that cannot be read */
    bool moving;   /* destinations come and go within a life */
    bool draining; /* the end: whatever is owed is delivered, oldest first */
    bool checking;
    uint64_t states; /* crash states looked at, of all worlds */
    uint32_t lives, steps, size_most;
    uint32_t samples, exhaustive; /* crash states for each change; bound for trying all */
    uint8_t *read_memory;         /* SIM_MEMORY, aligned */
    uint32_t again_in;            /* changes until the power goes in a trial too */
    const char *doing;
};

/* Prints what is wrong and how to repeat it, and ends the program. */
__attribute__((noreturn, format(printf, 2, 3))) void sim_fail(const struct sim_world *world,
                                                              const char *format, ...);

#define SIM_CHECK(world, condition, ...)                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            sim_fail(world, __VA_ARGS__);                                                          \
        }                                                                                          \
    } while (0)

/* With WEIR_SIM_TRACE in the environment: what happens, a line each. Not in trials. */
__attribute__((format(printf, 2, 3))) void sim_trace(const struct sim_world *world,
                                                     const char *format, ...);

/* Random things. */
uint32_t sim_below(struct sim_world *world, uint32_t bound);
bool sim_chance(struct sim_world *world, uint32_t in);

/* A new request of random shape; `original` >= 0: with that one's id and content. NULL: no more
 * fit. */
struct sim_request *sim_request_new(struct sim_world *world, int original);

/* The job of a request: nothing live, nothing owed. */
struct weir_spool_job sim_job(const struct sim_request *request, struct weir_now now);

/* Opens a spool on `disk` as the world's options have it. */
enum weir_status sim_open(struct sim_world *world, struct simdisk *disk,
                          struct weir_spool_report *ret_report, struct weir_spool **ret);

/* The steps of a life. */
void sim_step_submit(struct sim_world *world);
void sim_step_deliver(struct sim_world *world);
void sim_step_keep(struct sim_world *world);
void sim_step_backlog(struct sim_world *world);
void sim_step_configure(struct sim_world *world);

/* Everybody is removed, and, as nothing is owed, freed. */
void sim_free_everybody(struct sim_world *world);

/* Gives up all that is in memory: a stop. */
void sim_let_go(struct sim_world *world);

/* Reads one place and compares it with the request that it is; NULL: the read failed by an injected
 * fault. */
struct sim_request *sim_read(struct sim_world *world, struct weir_spool *spool,
                             const struct weir_backlog_place *place);

/* The points of a place that are settled, as bits; checked against what is known. */
uint32_t sim_settled(struct sim_world *world, const struct sim_request *request, uint32_t target,
                     const struct weir_backlog_place *place);

/* Slot of a target that is not absent: its bit, and what its tickets are settled for. */
uint32_t sim_slot(const struct sim_world *world, uint32_t target);
/* What weir_backlog_next takes for a target. */
uint32_t sim_position(const struct sim_world *world, uint32_t target);
/* And back: the target of a place. */
uint32_t sim_target(const struct sim_world *world, const struct weir_backlog_place *place);

/* Everything that a spool opened after a crash must hold. `keep`: what it saw is the world's truth
 * from now on (else the spool is a trial). */
void sim_check(struct sim_world *world, struct weir_spool *spool,
               const struct weir_spool_report *report, bool keep);

/* Looks at crash states of the disk as it is now. */
void sim_explore(struct sim_world *world);

/* Draws one and leaves it in world->next. */
void sim_draw_crash(struct sim_world *world);

/* Whether a fault was injected in this life. */
bool sim_is_faulty(const struct sim_world *world);

/* The parts of sim_run. A world from its seed, and its end; the end of a life, sometimes with a
 * loss of power where `cut`; and everything that is owed delivered. */
void sim_begin(struct sim_world *world);
void sim_end(struct sim_world *world);
void sim_end_life(struct sim_world *world, bool cut);
void sim_deliver_everything(struct sim_world *world);

/* One world from its seed: several lives with crashes between them. */
void sim_run(struct sim_world *world);

#endif
