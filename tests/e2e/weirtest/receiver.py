# SPDX-License-Identifier: Apache-2.0
"""An OTLP/HTTP backend: keeps every batch with the answer it gave, and misbehaves when told to.

`rule` decides: it gets each Batch (before it is kept) and returns an Answer, or None for a plain
success. It runs on the connection's thread; batches are numbered from 1 in the order they came.
"""
import collections
import dataclasses
import gzip
import http.server
import socket
import struct
import subprocess
import threading
import time

from . import otlp, otlp_json, wire


def unzstd(raw):
    """By the command line tool; this Python has no module for it."""
    return subprocess.run(["zstd", "-dcq"], input=raw, capture_output=True, check=True).stdout


INFLATE = {"gzip": gzip.decompress, "zstd": unzstd, None: lambda raw: raw}


@dataclasses.dataclass
class Answer:
    """What the backend does with a batch. `reset` cuts the connection instead of answering."""
    status: int = 200
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    reset: bool = False

    @property
    def accepted(self):
        """Whether the exporter must take this for a success."""
        return 200 <= self.status < 300 and not self.reset


def partial_success(rejected, text):
    """A 200 that took only a part."""
    inside = wire.integer(1, rejected) + wire.message(2, text)
    return Answer(body=wire.message(1, inside))


class Batch:
    """One export request: `body` is the inflated protobuf or JSON, `size` the bytes on the wire."""

    def __init__(self, path, headers, body, size):
        self.number, self.path, self.headers = 0, path, headers
        self.body, self.size = body, size
        self.time = time.monotonic()
        self.answer = None
        is_json = headers.get("Content-Type") == "application/json"
        reader = otlp_json if is_json else otlp
        self.summaries, self.gauges = reader.request_points(body)

    def holds(self, metric):
        """Whether a point of this metric (its last name part) is in the batch."""
        return any(p["attributes"].get("MetricName") == metric for p in self.summaries)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection of the exporter."""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Silence: the tests look at the accounts instead."""

    def read_body(self):
        """The request's body, by length or by chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def do_POST(self):  # pylint: disable=invalid-name
        """Takes one batch."""
        self.server.owner.active += 1  # a hint for `quiet`: races are its business
        try:
            self.take_batch()
        finally:
            self.server.owner.active -= 1

    def take_batch(self):
        """Reads, keeps, answers."""
        raw = self.read_body()
        inflated = INFLATE[self.headers.get("Content-Encoding")](raw)
        answer = self.server.owner.take(self.path, dict(self.headers), inflated, len(raw))
        if answer.delay:
            time.sleep(answer.delay)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


class Server(http.server.ThreadingHTTPServer):
    """The listening socket; a cut connection is no news."""
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A handler's failure is kept for the test, except for connections that went away."""
        import sys
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.owner.errors.append(error)


class Receiver:
    """The backend. `batches` all that came, `errors` what was no OTLP."""

    def __init__(self, rule=None, port=0):
        self.rule = rule or (lambda batch: None)
        self.batches, self.errors, self.active = [], [], 0
        self.changed = threading.Condition()
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        """The base URL for a destination's endpoint."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def quiet(self):
        """Waits until nothing that was sent is still on its way in: what a killed program had sent
        is delivered a moment after its end, and its answer finds nobody."""
        calm, seen = 0, -1
        while calm < 5:
            calm = calm + 1 if self.active == 0 and len(self.batches) == seen else 0
            seen = len(self.batches)
            time.sleep(0.1)

    def take(self, path, headers, body, size):
        """Keeps a batch with the answer the rule gives it."""
        batch = Batch(path, headers, body, size)
        with self.changed:
            batch.number = len(self.batches) + 1
            batch.answer = self.rule(batch) or Answer()
            self.batches.append(batch)
            self.changed.notify_all()
            return batch.answer

    def accepted(self):
        """The batches that were answered with success."""
        with self.changed:
            return [b for b in self.batches if b.answer.accepted]

    def accepted_count(self):
        """How many points (Summaries) were accepted."""
        return sum(len(b.summaries) for b in self.accepted())

    def points(self):
        """The canonical points of all accepted batches."""
        batches = self.accepted()
        summaries = [dict(p) for b in batches for p in b.summaries]
        return otlp.fold(summaries, [p for b in batches for p in b.gauges])

    def attempts(self):
        """How often each body came."""
        with self.changed:
            return collections.Counter(b.body for b in self.batches)

    def wait(self, condition, seconds=30):
        """Whether `condition()` comes true in time; looked at whenever a batch comes."""
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def wait_count(self, count, seconds=30):
        """Whether that many points are accepted in time."""
        return self.wait(lambda: sum(len(b.summaries) for b in self.batches
                                     if b.answer.accepted) >= count, seconds)
