/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

#include "weir/bytes.h"
#include "weir/loop.h"

/*
 * One accepted connection, plain or (once a TLS context is given to its listener) encrypted: the
 * user of this header cannot tell. All functions and callbacks: the connection's loop thread.
 */
struct weir_conn;

struct weir_conn_events {
    /* New input is there: look with weir_conn_input, take with weir_conn_consume. Called again when
     * more comes, not for what was left, and not for what was left when reading starts again. May
     * close the connection, as may all three. */
    void (*on_input)(void *user);
    /* A write has been handed to the kernel completely. */
    void (*on_written)(void *user);
    /* The peer closed its side or the connection failed: close it, with linger if an answer is
     * under way (a peer that only shut its sending side gets it). Called at most once, from the
     * loop, never from inside a function below. */
    void (*on_closed)(void *user);
};

/* Sets who is told; what is there already is not told again. `events` lives as long as the
 * connection. */
void weir_conn_attach(struct weir_conn *conn, const struct weir_conn_events *events, void *user);

/* Starts and stops reading; a new connection does not read. While stopped the kernel's buffer fills
 * and the peer waits (backpressure), and that the peer went away is noticed only by the next read
 * or write. */
void weir_conn_set_reading(struct weir_conn *conn, bool wanted);

static inline void weir_conn_read_start(struct weir_conn *conn)
{
    weir_conn_set_reading(conn, true);
}

static inline void weir_conn_read_stop(struct weir_conn *conn)
{
    weir_conn_set_reading(conn, false);
}

/* The bytes read and not yet consumed; valid until the next consume or return to the loop. */
struct weir_bytes weir_conn_input(const struct weir_conn *conn);
void weir_conn_consume(struct weir_conn *conn, size_t size);

/* Reads what is there now straight into the user's memory, past weir_conn_input, which must be
 * empty; how many bytes. 0: nothing yet, or the end (which on_closed tells), or an encrypted
 * connection, which cannot: go on with on_input in any case. */
size_t weir_conn_read(struct weir_conn *conn, uint8_t *at, size_t size);

/* Sends a copy of `bytes` (no allocation up to 1 KiB, so answers cost none). One write at a time,
 * and only from a callback of the loop, tasks and ticks among them (both asserted). Ends in
 * on_written or on_closed (in neither if on_closed came before), never from inside this call. */
void weir_conn_write(struct weir_conn *conn, struct weir_bytes bytes);

/* Ends the connection and frees it; no callback follows. With `linger`, what was written is
 * delivered first: the sending side is shut, input is read and thrown away until the peer closes,
 * at most `linger_ms` and 64 MiB. 0: at once. */
void weir_conn_close(struct weir_conn *conn, uint32_t linger_ms);

/* The peer as text ("192.0.2.1:1234"), for logs. Lives as long as the connection. */
const char *weir_conn_peer(const struct weir_conn *conn);

#endif
