/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_FUZZ_SERVER_H
#define WEIR_FUZZ_SERVER_H

/*
 * The whole server in one thread: a real session, pipeline and router behind one end of a
 * socketpair, on a loop that is turned by hand, and a peer at the other end that says what it is
 * given. Nothing waits and nothing sleeps: timers are moved by hand.
 *
 *   input ──pieces──► socketpair ──► session ──► pipeline ──► ring ──► drained, counted
 *   answers ◄─────────────┘
 *
 * Made with the first input and kept. One thread.
 */
#include "weir/bytes.h"

/* What happens besides; bits of the input's first byte. */
enum {
    SERVER_NO_KEYS = 1,   /* access_keys: none */
    SERVER_NOT_READY = 2, /* the process is stopping: each answer ends its connection */
    SERVER_DRAINS = 4,    /* the door shuts when half of the input is sent */
    SERVER_LATE = 8,      /* an hour passes when half of the input is sent */
    SERVER_HANGS_UP = 16  /* the peer closes at the end, instead of waiting for the answers */
};

enum { SERVER_BODY_MAX = 1 << 20, SERVER_HEARD_MAX = 8 << 20 };

#define SERVER_KEY "fuzzed key"

struct server_heard {
    struct weir_bytes answers; /* all that came back; valid until the next play */
    uint64_t points;           /* that came out of the ring */
};

/* Connects, sends `stream` in pieces whose sizes come of `cut` (0: whole), and stays until the
 * server has closed. Asserts that the server closes, keeps nothing (sessions, credit, regions), and
 * never turns for ever. */
struct server_heard server_play(unsigned what, unsigned cut, struct weir_bytes stream);

/* The points of a body as the decoder alone counts them; 0 for what it refuses. */
uint64_t server_points(struct weir_bytes body, bool gzip, struct weir_bytes source_arn);

#endif
