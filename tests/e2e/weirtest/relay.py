# SPDX-License-Identifier: Apache-2.0
"""A wire between a balancer and a Weir that a test can make lose answers, and cut."""
import contextlib
import socket
import threading


class Relay:
    """Hands connections on to `target`, (host, port), from a port of its own for life."""

    def __init__(self, target):
        self.target, self.address = target, (target[0], 0)
        self.losing, self.lock, self.open = threading.Event(), threading.Lock(), []
        self.listen()

    def listen(self):
        """Takes connections (again), and loses nothing."""
        self.losing.clear()
        self.listener = socket.create_server(self.address, backlog=64)
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def lose(self):
        """From now on answers go nowhere, but those to health checks; what is sent arrives."""
        self.losing.set()

    def cut(self):
        """Ends every connection, and refuses new ones."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            ends, self.open = self.open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept(self, listener):
        """Two threads for each connection."""
        while True:
            try:
                near = listener.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, timeout=10)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.open += [near, far]
            check = threading.Event()
            for source, sink, back in ((near, far, False), (far, near, True)):
                source.settimeout(None)
                threading.Thread(target=self.pump, args=(source, sink, back, check),
                                 daemon=True).start()

    def pump(self, source, sink, back, check):
        """One direction, to its end. `check`: this connection is a health check's."""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if data.startswith(b"GET /healthz "):
                    check.set()
                if check.is_set() or not (back and self.losing.is_set()):
                    sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self.lock:
            if source in self.open:
                self.open.remove(source)
        source.close()
