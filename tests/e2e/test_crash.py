#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 in a loop under load, against a ledger: what was answered 200 arrives, and comes twice
only where a crash may have lain between a delivery and its note, which is counted.

WEIR_CYCLES=1000 makes a campaign of it; WEIR_SEED another one.
"""
import bisect
import collections
import os
import random
import threading
import time

from weirtest import case, otlp
from weirtest.durable import DurableCase, Ledger
from weirtest.firehose import Firehose
from weirtest.receiver import Answer

LOADERS = 4
NOTED = 5  # s after which what was delivered is noted: the keeper comes once a second at the latest


class Crashes(DurableCase):
    """One spool, many lives."""

    def setUp(self):
        super().setUp()
        self.births, self.deaths = [], []

    def live(self, receiver, **change):
        """One more life. What an earlier one had sent is delivered, so each delivery is of the life
        in which it came."""
        self.births.append(time.monotonic())
        return self.durable(receiver, **change)

    def die(self, weir):
        """The end of it, without notice."""
        self.killed(weir)
        self.deaths.append(time.monotonic())

    def cycle(self, weir, receiver, ledger, seconds):
        """Load for a while, then the end without notice."""
        stop = threading.Event()
        threads = [threading.Thread(target=ledger.run, args=(weir.port, stop))
                   for _ in range(LOADERS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.die(weir)
        stop.set()
        for thread in threads:
            thread.join(30)
        receiver.quiet()

    def possible_repeats(self, weir):
        """Points that this start said may come a second time."""
        return sum(event.get("repeats_possible", 0) for event in weir.events("spool opened"))

    def check_times(self, receiver):
        """Between two deliveries of a point somebody was killed, soon after the first of them."""
        came = collections.defaultdict(list)
        for batch in receiver.accepted():
            for point in otlp.multiset(batch.summaries):
                came[point].append(batch.time)
        for times in came.values():
            lives = [bisect.bisect(self.births, when) - 1 for when in times]
            self.assertEqual(len(lives), len(set(lives)), "twice in one life")
            for when, life in list(zip(times, lives))[:-1]:
                self.assertGreater(when, self.deaths[life] - NOTED, "long before the kill")

    def check(self, receiver, ledger, repeats_allowed):
        """Every acknowledged point at least once, none that was never sent, repeats as counted."""
        came = collections.Counter(otlp.multiset(receiver.points()))
        sent = set(otlp.multiset([p.canonical() for p in ledger.acked]))
        self.assertEqual(len(sent - set(came)), 0, "acknowledged and never delivered")
        self.assertEqual(len(set(came) - sent), 0, "delivered and never sent")
        repeats = sum(came.values()) - len(came)
        self.assertLessEqual(repeats, repeats_allowed, "more repeats than were counted")
        self.check_times(receiver)

    def test_kill_in_a_loop(self):
        cycles = int(os.environ.get("WEIR_CYCLES", "6"))
        chance = random.Random(int(os.environ.get("WEIR_SEED", "1")))
        mood = random.Random(chance.random())
        receiver = self.receiver(
            lambda _: Answer(503) if mood.random() < 0.03 else Answer(delay=mood.random() * 0.02))
        ledger, allowed = Ledger(chance.random(), large=0.1), 0
        for _ in range(cycles):
            weir = self.live(receiver)
            allowed += self.possible_repeats(weir)
            self.cycle(weir, receiver, ledger, chance.uniform(0.1, 1.2))
        weir = self.live(receiver)
        allowed += self.possible_repeats(weir)
        ledger.settle(weir.port)
        wanted = len(set(otlp.multiset([p.canonical() for p in ledger.acked])))
        self.assertGreater(wanted, 100)
        self.assertTrue(weir.wait_metric(
            lambda: len(set(otlp.multiset(receiver.points()))) >= wanted, 120, 0.5))
        self.assertEqual(weir.stop(), 0)
        self.check(receiver, ledger, allowed)
        self.assertEqual(weir.events("spool opened")[-1].get("lost_records"), 0)

    def test_what_is_noted_does_not_come_again(self):
        """Delivered, noted, killed: each point once, and nothing was possible."""
        receiver = self.receiver()
        ledger = Ledger(11)
        for _ in range(2):
            weir = self.live(receiver)
            self.assertEqual(self.possible_repeats(weir), 0)
            with Firehose(weir.port) as client:
                for _ in range(30):
                    self.assertTrue(ledger.post(client, ledger.make()))
            self.assert_each_once(receiver, ledger.acked)
            self.wait_noted()
            self.die(weir)
        weir = self.live(receiver)
        self.assertEqual(self.possible_repeats(weir), 0)
        self.assertEqual(weir.events("spool opened")[-1]["unreleased"], 0)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, ledger.acked)

    def test_killed_while_the_backend_is_down(self):
        """All of it is on the disk; a start delivers each point once, for none was delivered."""
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        ledger = Ledger(7)
        for _ in range(3):
            self.cycle(self.durable(receiver), receiver, ledger, 0.5)
        weir = self.durable(receiver)
        up.append(True)
        ledger.settle(weir.port)
        self.assert_each_once(receiver, ledger.acked)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, ledger.acked)

    def test_stopped_while_the_backend_is_down(self):
        """An orderly stop leaves on the disk what was not delivered, and that is no failure."""
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        ledger = Ledger(9)
        for _ in range(3):
            weir = self.durable(receiver, drain={"deadline": "1s"})
            stop = threading.Event()
            thread = threading.Thread(target=ledger.run, args=(weir.port, stop))
            thread.start()
            time.sleep(0.7)
            stop.set()
            thread.join()
            self.assertEqual(weir.stop(), 0)
            receiver.quiet()
        weir = self.durable(receiver)
        up.append(True)
        ledger.settle(weir.port)
        self.assert_each_once(receiver, ledger.acked)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, ledger.acked)


if __name__ == "__main__":
    case.main()
