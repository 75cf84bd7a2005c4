/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PULSE_H
#define WEIR_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Signs of life: each thread that wants to be watched says so in its turn, and one that watches
 * finds who has not for too long.
 *
 *   a thread:  beat ... rest, wait for work, beat ... end
 *   watcher:   look, look, look ──► "weir-lane has not moved for 30 s"
 *
 * A beat is one relaxed store to a cache line of the thread's own.
 */
enum { WEIR_PULSE_THREADS_MAX = 256 }; /* more are not watched */

/* The calling thread is alive; watched from its first beat on, under its own name. */
void weir_pulse_beat(void);

/* The calling thread now waits for something that may take for ever, until its next beat. */
void weir_pulse_rest(void);

/* The calling thread has done a step of what it is at: a beat, if it is watched and does not rest.
 * For what may take long in many places, as each call to a disk: one that is slow is not stuck. */
void weir_pulse_move(void);

/* The calling thread is no longer watched. Threads of weir/thread.h call it as their last act. */
void weir_pulse_end(void);

/* What a watcher remembers; zeroed at first. */
struct weir_pulse_watch {
    struct {
        uint64_t count;
        int64_t since_ns;
    } seen[WEIR_PULSE_THREADS_MAX];
};

/* Looks at all: the longest time that a watched thread has neither moved nor rested for, 0 when
 * there is none, and that thread's name (at least 16 bytes; untouched when 0). One thread a watch.
 */
int64_t weir_pulse_look(struct weir_pulse_watch *watch, int64_t now_ns, char *ret_name);

/* Forgets how long anybody has been silent: the whole process was stopped. */
void weir_pulse_forgive(struct weir_pulse_watch *watch, int64_t now_ns);

#endif
