/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CONN_H
#define WEIR_CONN_H

#include "weir/bytes.h"
#include "weir/loop.h"

/*
 * One accepted connection, plain or (once a TLS context is given to its listener) encrypted: the user of this
 * header cannot tell. All functions and callbacks: the connection's loop thread.
 */
struct weir_conn;

struct weir_conn_events {
    /* New input is there: look with weir_conn_input, take with weir_conn_consume. Called again when more comes. */
    void (*on_input)(void *user);
    /* A write has been handed to the kernel completely. */
    void (*on_written)(void *user);
    /* The peer closed or the connection failed: close it. Called at most once, never from inside weir_conn_close. */
    void (*on_closed)(void *user);
};

void weir_conn_attach(struct weir_conn *conn, const struct weir_conn_events *events, void *user);

/* Starts and stops reading. While stopped the kernel's buffer fills and the peer waits (backpressure). */
void weir_conn_read_start(struct weir_conn *conn);
void weir_conn_read_stop(struct weir_conn *conn);

/* The bytes read and not yet consumed; valid until the next consume or return to the loop. */
struct weir_bytes weir_conn_input(const struct weir_conn *conn);
void weir_conn_consume(struct weir_conn *conn, size_t size);

/* Sends `bytes`, which stay valid until on_written. One write at a time (asserted). */
void weir_conn_write(struct weir_conn *conn, struct weir_bytes bytes);

/* Ends the connection and frees it; no callback follows. With `linger`, what was written is delivered first: the sending
 * side is shut, input is read and thrown away until the peer closes, at most `linger_ms` and 64 MiB. 0: at once. */
void weir_conn_close(struct weir_conn *conn, uint32_t linger_ms);

/* The peer as text ("192.0.2.1:1234"), for logs. Lives as long as the connection. */
const char *weir_conn_peer(const struct weir_conn *conn);

#endif
