/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's way from its loop to the lane and back (src/pipeline/pipeline.c: events of a job;
 * src/ingest/session.c: post_home; src/net/loop.c: weir_loop_post; src/pipeline/custody.c: push).
 *
 *   loop      pushes the job ──► lane: done() ─┐ each: events |= its bit and POSTED; whoever
 *             resumes  ◄── posted stack ◄──────┤ finds POSTED unset posts the request home
 *             answers once, ends the session   └ settler: delivered(), any time after the commit
 *             frees the loop when no session is left and nobody is posting
 *
 * Two requests, each with both events (durability: delivered). Checked in every interleaving: each
 * is answered exactly once, after both events; it is on the way home at most once at a time; nobody
 * touches a request after its answer, nor the loop after it was freed; and nobody is left waiting.
 *
 * The orders that the code asks of the processor are acq_rel on `events`, release/acquire on the
 * posted stack and on `posting`; each is a read-modify-write or pairs with one, so the sequentially
 * consistent steps below are what may be seen. `posting` is raised by a relaxed step, but before
 * the push of the stack (release), which the loop takes (acquire) before it can end the session.
 *
 * What must fail, each with -DMUTANT=n:
 *   1  the callback looks at POSTED and sets it in two steps
 *   2  resume clears the events after it has looked at them
 *   3  `posting` is raised after the post
 *   4  the loop takes the stack before it reads the bell
 *   5  the loop is freed without looking at `posting`
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define REQUESTS  2
#define DONE      1
#define DELIVERED 2
#define POSTED    4

byte events[REQUESTS], seen[REQUESTS];
byte answered[REQUESTS];
bool committed[REQUESTS];  /* the lane has made it durable */
bool on_stack[REQUESTS];   /* the loop's posted stack; a set is enough, the loop takes all */
byte bell;                 /* the loop's eventfd */
byte posting;
bool loop_freed;
byte jobs;                 /* bits: pushed for the lane and not taken */
byte bell_lane;

/* post_home and weir_loop_post */
inline post(r)
{
    if
    :: MUTANT == 3
    :: else -> assert(!loop_freed); posting++
    fi;
    atomic {
        assert(!loop_freed);
        assert(!on_stack[r]);
        assert(answered[r] == 0);
        first = !(on_stack[0] || on_stack[1]);
        on_stack[r] = true
    };
    if
    :: first -> atomic { assert(!loop_freed); bell++ }
    :: else
    fi;
    if
    :: MUTANT == 3 -> assert(!loop_freed); posting++
    :: else
    fi;
    atomic { assert(!loop_freed); posting-- }
}

/* happened */
inline happened(r, event)
{
    if
    :: MUTANT == 1 ->
        before = events[r];
        atomic { assert(answered[r] == 0); events[r] = events[r] | event | POSTED }
    :: else ->
        atomic {
            assert(answered[r] == 0);
            before = events[r];
            events[r] = events[r] | event | POSTED
        }
    fi;
    if
    :: (before & POSTED) != 0
    :: else -> post(r)
    fi
}

proctype lane()
{
    byte before, batch, r, taken;
    bool first;
    do
    :: taken == 3 -> break
    :: else ->
        bell_lane > 0;
        bell_lane = 0;
        atomic { batch = jobs; jobs = 0 };
        taken = taken | batch;
        r = 0;
        do
        :: r == REQUESTS -> break
        :: else ->
            if
            :: (batch & (1 << r)) != 0 -> committed[r] = true; happened(r, DONE)
            :: else
            fi;
            r++
        od
    od
}

/* Who settles the last point of a request: an exporter, or the keeper by the clock. */
proctype settler(byte r)
{
    byte before;
    bool first;
    committed[r];
    happened(r, DELIVERED)
}

inline resume(r)
{
    if
    :: MUTANT == 2 ->
        taken = events[r];
        events[r] = 0
    :: else -> atomic { taken = events[r]; events[r] = 0 }
    fi;
    seen[r] = seen[r] | taken;
    if
    :: (seen[r] & DONE) != 0 && (seen[r] & DELIVERED) != 0 -> answered[r]++; sessions--
    :: else
    fi
}

proctype loop()
{
    byte taken, r, sessions = REQUESTS;
    bool stack[REQUESTS];
    r = 0;
    do
    :: r == REQUESTS -> break
    :: else ->
        atomic { jobs = jobs | (1 << r) };
        bell_lane++;
        r++
    od;
    do
    :: sessions == 0 && (MUTANT == 5 || posting == 0) -> break /* seen by a tick */
    :: bell > 0 ->
        if
        :: MUTANT == 4
        :: else -> bell = 0
        fi;
        atomic {
            stack[0] = on_stack[0];
            stack[1] = on_stack[1];
            on_stack[0] = false;
            on_stack[1] = false
        };
        if
        :: MUTANT == 4 -> bell = 0
        :: else
        fi;
        r = 0;
        do
        :: r == REQUESTS -> break
        :: else ->
            if
            :: stack[r] -> resume(r)
            :: else
            fi;
            r++
        od
    od;
    loop_freed = true;
    assert(answered[0] == 1 && answered[1] == 1)
}

init {
    atomic {
        run loop();
        run lane();
        run settler(0);
        run settler(1)
    }
}
