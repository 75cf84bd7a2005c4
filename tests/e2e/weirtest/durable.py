# SPDX-License-Identifier: Apache-2.0
"""A program with a spool on disk that is stopped, killed and started again over the same folder."""
import json
import os
import random
import threading
import time
import uuid

from . import points, program
from .case import WeirCase
from .firehose import Firehose, envelope

SMALL = {"memory_limit": "48MiB", "ingest": {"body_limit": "1MiB"}}


class DurableCase(WeirCase):
    """`durable` starts the program; called again after its end, it starts over what it left."""

    def settings(self, change, **spool):
        """The configuration of a small machine with a disk; `change` lies over it."""
        disk = {"durability": "disk", "directory": os.path.join(self.folder, "spool"),
                "limit": "256MiB", "segment_size": "1MiB"}
        return program.merged(program.merged(SMALL, {"spool": disk | spool}), change)

    def durable(self, endpoint, spool=None, **change):
        """The program with a spool in the test's folder."""
        return self.weir(endpoint, **self.settings(change, **(spool or {})))

    def killed(self, weir):
        """Ends the program as a power loss would, and forgives it its exit code."""
        weir.kill()
        weir.process.returncode = 0

    def wait_noted(self, seconds=60):
        """Waits until the release log says that nothing is owed: then a start knows too."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            code, out, _ = self.run_weir("spool", "ls", os.path.join(self.folder, "spool"))
            if code == 0 and "\nowed to " not in out:
                return
            time.sleep(0.1)
        self.fail(f"not noted after {seconds} s:\n{out}")

    def letters(self):
        """Every line of the dead letter's files, as JSON."""
        folder = os.path.join(self.folder, "spool", "dead-letter")
        lines = []
        for name in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
            if name.endswith(".ndjson"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    lines += [json.loads(line) for line in file]
        return lines

    def assert_each_once(self, receiver, sent, seconds=60):
        """Every point at this backend, each exactly once."""
        self.assert_arrived(receiver, sent, seconds)


class Ledger:
    """What a Firehose that never gives up has sent: each request again and again until its 200.

    `large`: how many of its requests are so large that they are written to the disk from where they
    were received, those that are not compressed.
    """

    def __init__(self, seed=1, large=0.0):
        self.chance = random.Random(seed)
        self.large = large
        self.lock = threading.Lock()
        self.next_point = 0
        self.open = []      # bodies without their 200 yet
        self.acked = []     # points of the requests answered 200
        self.refused = {}   # answers by status, other than 200

    def make(self):
        """A new request: (body, its points)."""
        with self.lock:
            is_large = self.chance.random() < self.large
            count = self.chance.randrange(300, 900) if is_large else self.chance.randrange(1, 40)
            more = points.series(count, self.next_point)
            self.next_point += count
            encode = self.chance.choice((points.as_json, points.as_otlp07, points.as_otlp10))
        return envelope([encode(more)], str(uuid.uuid4())), more

    def take(self):
        """A request that still wants its 200, or a new one."""
        with self.lock:
            if self.open and self.chance.random() < 0.7:
                return self.open.pop(0)
        return self.make()

    def booked(self, request, status):
        """Notes an answer (None: none came)."""
        with self.lock:
            if status == 200:
                self.acked += request[1]
                return
            self.open.append(request)
            self.refused[status] = self.refused.get(status, 0) + 1

    def post(self, client, request):
        """Sends one request over an open connection; False when that broke."""
        try:
            response = client.post(request[0], compressed=self.chance.random() < 0.5)
        except (OSError, ConnectionError):
            self.booked(request, None)
            return False
        self.booked(request, response.status)
        return True

    def run(self, port, stop):
        """Sends until `stop` is set or the other side is gone. For a thread."""
        try:
            with Firehose(port, timeout=20) as client:
                while not stop.is_set() and self.post(client, self.take()):
                    pass
        except OSError:
            return

    def settle(self, port):
        """Sends what is open until all of it has its 200."""
        with Firehose(port) as client:
            while self.open:
                request = self.open.pop(0)
                if not self.post(client, request):
                    raise AssertionError("the connection broke while settling")
