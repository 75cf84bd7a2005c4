#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A backend is down, or refuses its token, for four times the retry window, at a steady load and
with a second backend up: memory flat, no 503, the second never behind, nothing in the dead letter,
and every point delivered once afterwards.

Time is scaled: a window of 1.5 s stands for the 900 s. WEIR_OUTAGE_WINDOW sets it; with
WEIR_OUTAGE_CSV naming a file, what was seen is written there, a line every 200 ms, for the chart in
docs/operations.md (docs/charts/outage.py draws it).
"""
import os
import random
import threading
import time

from weirtest import case, points, program
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

WINDOW = float(os.environ.get("WEIR_OUTAGE_WINDOW", "1.5"))
RATE = 40      # requests a second
POINTS = 25    # in each
CHANCE = random.Random(1)


def large(first, count):
    """Points of 1 kB and more, of which gzip makes no less than half: a backlog has its weight."""
    more = points.series(count, first)
    for point in more:
        point.dimensions = {"Padding": CHANCE.randbytes(500).hex()}
    return more


class Load:
    """A steady stream of requests, each a new one; keeps its points and the answers' codes."""

    def __init__(self, port):
        self.port, self.stop = port, threading.Event()
        self.sent, self.codes = [], {}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        """Sends at the rate, until told to stop."""
        begun = time.monotonic()
        with Firehose(self.port) as client:
            while not self.stop.is_set():
                more = large(len(self.sent), POINTS)
                status = client.post(envelope([points.as_otlp10(more)])).status
                self.codes[status] = self.codes.get(status, 0) + 1
                self.sent += more
                ahead = begun + len(self.sent) / POINTS / RATE - time.monotonic()
                if ahead > 0:
                    self.stop.wait(ahead)

    def end(self):
        """Stops and waits."""
        self.stop.set()
        self.thread.join()


class Watch:
    """Samples what an operator would look at."""

    def __init__(self, weir, load, backends):
        self.weir, self.load, self.backends = weir, load, backends
        self.rows, self.begun = [], time.monotonic()

    def look(self):
        """One row: seconds, sent, delivered by each backend, unreleased bytes, memory."""
        row = (time.monotonic() - self.begun, len(self.load.sent),
               *[backend.accepted_count() for backend in self.backends],
               self.weir.metric("weir_spool_unreleased_bytes"), self.weir.resident())
        self.rows.append(row)
        return row

    def until(self, seconds):
        """Samples for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.2)

    def write(self):
        """For the chart, where it is wanted."""
        name = os.environ.get("WEIR_OUTAGE_CSV")
        if name:
            with open(name, "w", encoding="ascii") as file:
                file.write("seconds,sent,good,bad,spool_bytes,memory_bytes\n")
                for row in self.rows:
                    file.write(",".join(f"{value:.3f}" for value in row) + "\n")


class Outage(DurableCase):
    """One of two backends fails for a long time."""

    def check_memory(self, rows, outage_begins, outage_ends):
        """What the process held at the end of the outage is what it held soon after its begin."""
        if program.sanitized():
            return  # its memory is no measure
        early = [r[-1] for r in rows if outage_begins + WINDOW < r[0] < outage_begins + 2 * WINDOW]
        late = [r[-1] for r in rows if outage_ends - WINDOW < r[0] <= outage_ends]
        self.assertLess(max(late), max(early) + 24 * 1024 * 1024)

    def outage(self, answer):
        """Up, down for four windows, up again."""
        down = threading.Event()
        good, bad = self.receiver(), self.receiver(lambda _: answer if down.is_set() else None)
        retry = {"window": f"{WINDOW * 1000:.0f}ms", "max": "500ms"}
        weir = self.durable(good, retry=retry, destinations=[
            {"name": "good", "endpoint": good.url}, {"name": "bad", "endpoint": bad.url}])
        load = Load(weir.port)
        watch = Watch(weir, load, (good, bad))
        watch.until(WINDOW)
        down.set()
        begins = time.monotonic() - watch.begun
        watch.until(4 * WINDOW)
        self.assertLess(bad.accepted_count(), good.accepted_count())
        self.assertEqual(weir.metric("weir_spool_backlog_records", destination="good"), 0)
        self.assertTrue(good.wait_count(len(load.sent), 20), "the backend that is up is behind")
        ends = time.monotonic() - watch.begun
        down.clear()
        watch.until(2 * WINDOW)
        load.end()
        self.assertTrue(bad.wait_count(len(load.sent)))
        watch.until(0.5)
        watch.write()
        self.assertEqual(set(load.codes), {200})
        self.assert_each_once(good, load.sent)
        self.assert_each_once(bad, load.sent)
        self.check_memory(watch.rows, begins, ends)
        self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)
        self.assertEqual(self.letters(), [])
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(bad, load.sent)

    def test_down(self):
        self.outage(Answer(503))

    def test_token_revoked(self):
        self.outage(Answer(401))

    def test_more_than_memory_can_hold(self):
        """Many times the queued memory goes to disk only, and comes back; the other has it all."""
        down = threading.Event()
        down.set()
        good, bad = self.receiver(), self.receiver(
            lambda _: Answer(503) if down.is_set() else None)
        weir = self.durable(good, destinations=[
            {"name": "good", "endpoint": good.url}, {"name": "bad", "endpoint": bad.url}])
        sent, rounds = [], 300
        with Firehose(weir.port) as client:
            for number in range(rounds):
                more = large(40 * number, 40)
                self.assertEqual(client.post(envelope([points.as_otlp10(more)])).status, 200)
                sent += more
        self.assertTrue(good.wait_count(len(sent)))
        waiting = weir.metric("weir_spool_backlog_records", destination="bad")
        self.assertGreater(waiting, rounds / 4)
        self.assertEqual(weir.metric("weir_spool_backlog_records", destination="good"), 0)
        down.clear()
        self.assert_each_once(bad, sent, 120)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(bad, sent)


if __name__ == "__main__":
    case.main()
