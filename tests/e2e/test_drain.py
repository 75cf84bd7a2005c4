#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stop, as balancers, senders and impatient supervisors see it."""
import os
import signal
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.firehose import envelope
from weirtest.receiver import Answer


class Drain(WeirCase):
    """Grace, a second order, and what is kept."""

    def spool(self):
        """A spool in the test's folder."""
        return {"durability": "disk", "directory": os.path.join(self.folder, "spool"),
                "limit": "1GiB"}

    def stopping(self, weir):
        """Has been told, and says so."""
        weir.signal(signal.SIGTERM)
        self.assertTrue(weir.wait_metric(lambda: weir.events("stopping")), weir.log_text())

    def wait_a_second(self, weir):
        """Until the next SIGTERM is an order of its own."""
        time.sleep(1.2)
        self.assertFalse(weir.ended(), weir.log_text())

    def ends_at_once(self, weir, number=signal.SIGTERM):
        """A second order ends it, within seconds."""
        begun = time.monotonic()
        weir.process.send_signal(number)
        code = weir.stop(20)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(len(weir.events("stopping at once")), 1, weir.log_text())
        return code

    def test_the_grace_takes_requests_and_ends_connections(self):
        receiver = self.receiver()
        weir = self.weir(receiver, drain={"grace": "2s"})
        sent = [points.series(5) for _ in range(4)]
        old, idle = self.client(weir), self.client(weir)
        for client in (old, idle):
            response = client.post(envelope([points.as_json(sent.pop())]))
            self.assertEqual(response.status, 200)
            self.assertNotEqual(response.headers.get("connection"), "close")
        self.stopping(weir)
        self.assertEqual(weir.admin("/readyz")[0], 503)
        self.assertEqual(weir.admin("/healthz")[0], 200)
        for client in (old, self.client(weir)):  # one that was there, and one that comes now
            response = client.post(envelope([points.as_json(sent.pop())]))
            self.assertEqual(response.status, 200)
            self.assertEqual(response.headers.get("connection"), "close")
            self.assertEqual(client.socket.recv(1), b"")
        self.assertFalse(weir.ended())
        idle.socket.settimeout(20)
        self.assertEqual(idle.socket.recv(1), b"")  # closed at the end of the grace
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(receiver.accepted_count(), 20)

    def test_the_same_order_twice_at_once_is_one(self):
        receiver = self.receiver()
        weir = self.weir(receiver, drain={"grace": "2s"}, buffer={"interval": "60s"})
        sent = points.series(30)
        self.deliver(weir, [points.as_json(sent)])
        begun = time.monotonic()
        weir.signal(signal.SIGTERM)
        weir.process.send_signal(signal.SIGTERM)
        self.assertEqual(weir.stop(), 0)
        self.assertGreater(time.monotonic() - begun, 1.9)
        self.assertEqual(weir.events("stopping at once"), [])
        self.assert_arrived(receiver, sent, 0)

    def test_a_second_order_keeps_what_is_on_disk(self):
        down = [True]
        receiver = self.receiver(lambda b: Answer(503, delay=5) if down[0] else None)
        for phase in ("grace", "drain"):
            with self.subTest(phase):
                down[0] = True
                weir = self.weir(receiver, spool=self.spool(), memory_limit="64MiB",
                                 drain={"grace": "60s" if phase == "grace" else "0s",
                                        "deadline": "60s"})
                sent = points.series(40)
                self.deliver(weir, [points.as_json(sent)])
                self.stopping(weir)
                self.wait_a_second(weir)
                self.assertEqual(self.ends_at_once(weir), 0)
                self.assertEqual(weir.events("stopped")[0]["kept"], "true")
                down[0] = False
                before = receiver.accepted_count()
                again = self.weir(receiver, spool=self.spool(), memory_limit="64MiB")
                self.assertTrue(receiver.wait_count(before + 40, 20), again.log_text())
                again.stop()
                self.assertEqual(receiver.accepted_count(), before + 40)

    def test_a_dead_destination_is_not_waited_for(self):
        """What it has not taken is on disk; a living one beside it gets everything."""
        living, dead = self.receiver(), self.receiver(lambda b: Answer(503))
        destinations = [{"name": name, "endpoint": receiver.url, "retry": {"initial": "100ms"}}
                        for name, receiver in (("living", living), ("dead", dead))]
        weir = self.weir(living, spool=self.spool(), memory_limit="64MiB",
                         drain={"grace": "0s", "deadline": "300s"}, destinations=destinations)
        self.deliver(weir, [points.as_json(points.series(40))])
        self.assertEqual(weir.stop(60), 0)
        self.assertEqual(living.accepted_count(), 40)
        stopped = weir.events("stopped")[0]
        self.assertEqual((stopped["points_left"], stopped["kept"]), (40, "true"))

    def test_a_second_order_tells_what_is_lost(self):
        weir = self.weir(self.receiver(lambda b: Answer(503)), drain={"deadline": "60s"})
        self.deliver(weir, [points.as_json(points.series(7))])
        self.stopping(weir)
        self.wait_a_second(weir)
        self.assertEqual(self.ends_at_once(weir, signal.SIGINT), 1)
        self.assertEqual(weir.events("stopped")[0]["points_left"], 7)
        weir.process.returncode = 0  # 1 is right: they were given up

    def test_a_second_order_answers_who_waits_for_delivery(self):
        weir = self.weir(self.receiver(lambda b: Answer(503)), spool={"durability": "delivered"},
                         drain={"deadline": "60s"})
        client = self.client(weir, timeout=30)
        client.send(client.request(envelope([points.as_json(points.series(3))])))
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_points_received_total") >= 3), weir.admin("/metrics")[2])
        self.stopping(weir)
        self.wait_a_second(weir)
        weir.process.send_signal(signal.SIGTERM)
        self.assertEqual(client.response().status, 503)
        self.assertIn(weir.stop(20), (0, 1))
        weir.process.returncode = 0


if __name__ == "__main__":
    case.main()
