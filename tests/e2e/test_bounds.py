#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory stays within its limit: whoever floods, however slow the backend is."""
import os
import threading
import time

from weirtest import case, points, program
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

MIB = 1 << 20
POINTS = 50  # a request; large ones, because this backend reads them in Python


class Watch:
    """The highest resident size seen while it runs (a sanitizer's own memory is no measure)."""

    def __init__(self, weir):
        self.weir, self.highest, self.done = weir, weir.resident(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        """Looks every 20 ms."""
        while not self.done.wait(0.02):
            try:
                self.highest = max(self.highest, self.weir.resident())
            except (OSError, AttributeError):
                return

    def stop(self):
        """The highest size."""
        self.done.set()
        self.thread.join()
        return self.highest


class Flood(WeirCase):
    """Many connections with much to say, and no key."""

    def flood(self, count, **head):
        """`count` connections that each announce 8 MiB and push; (statuses, growth in bytes)."""
        weir = self.weir(self.receiver(), memory_limit="128MiB", ingest={"body_limit": "8MiB"})
        base = weir.resident()
        watch = Watch(weir)
        clients, statuses = [], []
        for n in range(count):
            client = self.client(weir, timeout=15, **({"key": None} | head))
            client.send(client.head(8 * MIB, request_id=f"f-{n}"))
            clients.append(client)
        piece = b"x" * 65536
        for client in clients:
            client.socket.setblocking(False)
            for _ in range(16):
                try:
                    client.socket.send(piece)
                except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                    break
            client.socket.settimeout(15)
        time.sleep(0.5)
        if head.get("key"):
            return statuses, watch.stop() - base
        for client in clients:
            statuses.append(client.response().status)
        return statuses, watch.stop() - base

    def test_without_a_key(self):
        statuses, growth = self.flood(128)
        self.assertEqual(set(statuses), {401})
        if not program.sanitized():
            self.assertLess(growth, 32 * MIB)

    def test_with_a_key_and_stalled(self):
        _, growth = self.flood(64, key="test-key")
        if not program.sanitized():
            self.assertLess(growth, 128 * MIB)

    def test_admission_comes_before_the_body(self):
        weir = self.weir(self.receiver(), memory_limit="128MiB", ingest={"body_limit": "8MiB"})
        clients = [self.client(weir, timeout=10) for _ in range(64)]
        for n, client in enumerate(clients):
            client.send(client.head(8 * MIB, request_id=f"a-{n}"))
        refused = 0
        for client in clients:
            client.socket.settimeout(0.3)
            try:
                response = client.response()
            except TimeoutError:
                continue  # admitted: it waits for the body
            self.assert_reply(response, 503)
            refused += 1
        self.assertGreater(refused, 0)
        self.assertLess(refused, 64)
        for client in clients:
            client.close()
        self.assertTrue(weir.wait_metric(lambda: self.answers(weir) == 200), "credit comes back")

    def answers(self, weir):
        """The status a small request gets now."""
        with Firehose(weir.port) as client:
            return client.post(envelope([points.as_json([points.Point()])])).status

    def test_idle_and_slow_connections_do_not_stop_others(self):
        weir = self.weir(self.receiver())
        for _ in range(200):
            self.client(weir).send(b"POST / HT")
        self.assertEqual(self.answers(weir), 200)


class Small(WeirCase):
    """Requests of one point, whose memory is a hundred times the point's."""

    def test_many_wait_for_one_batch(self):
        weir = self.weir(self.receiver(), memory_limit="128MiB", buffer={"interval": "30s"})
        record = points.as_json(points.series(1, seed=1))
        with Firehose(weir.port, timeout=30) as client:
            statuses = {client.post(envelope([record])).status for _ in range(1500)}
        self.assertEqual(statuses, {200})


class Overload(WeirCase):
    """More comes in than the backend takes."""

    def test_twice_what_the_backend_takes(self):
        slow = threading.Event()
        slow.set()
        receiver = self.receiver(lambda b: Answer(delay=3) if slow.is_set() else None)
        limit = 64 * MIB
        weir = self.weir(receiver, memory_limit="64MiB", ingest={"body_limit": "4MiB"},
                         buffer={"size": "256KiB", "interval": "1s"})
        watch = Watch(weir)
        accepted, refused = self.pour(weir, seconds=12)
        highest = watch.stop()
        slow.clear()
        self.assertGreater(refused, 0, "the limit was never reached: pour more")
        self.assertGreater(len(accepted), 0)
        if not program.sanitized():
            self.assertLess(highest, limit)
        self.assertTrue(receiver.wait_count(POINTS * len(accepted), 60), receiver.accepted_count())
        self.assertEqual(weir.stop(), 0)
        tags = sorted(p["attributes"]["Dimensions"]["Tag"] for p in receiver.points())
        self.assertEqual(tags, sorted(tag for tag in accepted for _ in range(POINTS)))

    def test_a_backend_that_goes_on_taking_sets_the_pace(self):
        receiver = self.receiver(lambda b: Answer(delay=0.1))
        weir = self.weir(receiver, memory_limit="64MiB", ingest={"body_limit": "4MiB"},
                         buffer={"size": "256KiB", "interval": "1s"})
        accepted, refused = self.pour(weir, seconds=5)
        waited = weir.metric("weir_requests_waited_total")
        self.assertGreater(waited, 0, "the queue was never crowded: pour more")
        self.assertLess(refused, len(accepted))
        self.assertTrue(receiver.wait_count(POINTS * len(accepted), 60), receiver.accepted_count())
        self.assertEqual(weir.stop(), 0)
        tags = sorted(p["attributes"]["Dimensions"]["Tag"] for p in receiver.points())
        self.assertEqual(tags, sorted(tag for tag in accepted for _ in range(POINTS)))

    def pour(self, weir, seconds):
        """Posts POINTS points at a time from four connections; (accepted tags, refused count)."""
        accepted, refused, lock = [], [0], threading.Lock()
        pads = [os.urandom(3000).hex() for _ in range(POINTS)]  # nothing that gzip makes small
        sample = [points.Point(metric=f"M{n}", dimensions={"Tag": "t-0000000", "Pad": pads[n]},
                               sum=float(n)) for n in range(POINTS)]
        record = points.as_otlp10(sample)
        deadline = time.monotonic() + seconds

        def run(worker):
            with Firehose(weir.port) as client:
                for n in range(100_000):
                    if time.monotonic() > deadline:
                        return
                    tag = f"t-{worker}{n:06}"
                    status = client.post(envelope(
                        [record.replace(b"t-0000000", tag.encode())])).status
                    with lock:
                        if status == 200:
                            accepted.append(tag)
                        else:
                            self.assertEqual(status, 503)
                            refused[0] += 1
                    if status == 503:
                        time.sleep(0.05)

        threads = [threading.Thread(target=run, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return accepted, refused[0]


if __name__ == "__main__":
    case.main()
