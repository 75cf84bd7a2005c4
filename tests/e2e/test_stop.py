#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: what was accepted is flushed, what comes is refused, and there is a deadline."""
import signal
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer


class Stop(WeirCase):
    """Each way the program can be told to end."""

    def test_flushes_what_waits(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                receiver = self.receiver()
                weir = self.weir(receiver, buffer={"interval": "60s"})
                sent = points.series(50)
                self.deliver(weir, [points.as_json(sent)])
                time.sleep(0.3)
                self.assertEqual(receiver.batches, [])
                weir.signal(number)
                self.assertEqual(weir.stop(20), 0)
                self.assert_arrived(receiver, sent, 0)

    def test_who_waits_for_delivery_is_not_sent_away(self):
        receiver = self.receiver()
        weir = self.weir(receiver, spool={"durability": "delivered"}, buffer={"interval": "60s"})
        sent, client = points.series(50), self.client(weir)
        client.send(client.request(envelope([points.as_json(sent)])))
        time.sleep(0.3)
        self.assertEqual(receiver.batches, [])
        weir.signal()
        self.assertEqual(client.response().status, 200)
        self.assertEqual(weir.stop(20), 0)
        self.assert_arrived(receiver, sent, 0)

    def test_signals_that_mean_nothing_end_nothing(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
            weir.process.send_signal(number)
        sent = points.series(5)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)

    def test_waits_for_a_retry(self):
        receiver = self.receiver(lambda b: Answer(503) if b.number <= 3 else None)
        weir = self.weir(receiver, buffer={"interval": "60s"})
        sent = points.series(20)
        self.deliver(weir, [points.as_otlp07(sent)])
        self.assertEqual(weir.stop(20), 0)
        self.assert_arrived(receiver, sent, 0)

    def test_a_request_in_flight_is_finished(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        sent = points.series(20)
        client = self.client(weir)
        request = client.request(envelope([points.as_json(sent)]))
        client.send(request[:-100])
        time.sleep(0.3)
        weir.signal()
        time.sleep(0.3)
        client.send(request[-100:])
        response = client.response()
        self.assertEqual(weir.stop(), 0)
        self.assertIn(response.status, (200, 503))
        self.assertEqual(receiver.accepted_count(), 20 if response.status == 200 else 0)

    def test_every_answer_is_kept_under_load(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        accepted, begun = 0, time.monotonic()
        while time.monotonic() < begun + 20:
            try:
                with Firehose(weir.port, timeout=5) as client:
                    response = client.post(envelope([points.as_json(points.series(10))]))
            except OSError:
                break  # refused or cut: Firehose sends it again, so it must not count
            accepted += 10 if response.status == 200 else 0
            if accepted == 300:
                weir.signal()
            if response.status == 503:
                break
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(receiver.accepted_count(), accepted)

    def test_draining_is_seen_by_balancers(self):
        weir = self.weir(self.receiver(), drain={"grace": "2s"})
        client = self.client(weir)
        client.post(envelope([points.as_json(points.series(1))]))
        weir.signal()
        time.sleep(0.5)
        self.assertEqual(weir.admin("/readyz")[0], 503)
        for asking in (client, self.client(weir)):  # a balancer comes with a new connection
            asking.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            self.assertEqual(asking.response().status, 503)
        self.assertEqual(weir.stop(20), 0)

    def test_idle_connections_do_not_delay_it(self):
        weir = self.weir(self.receiver())
        for _ in range(20):
            self.client(weir)
        client = self.client(weir)
        client.post(envelope([points.as_json(points.series(1))]))
        begun = time.monotonic()
        self.assertEqual(weir.stop(20), 0)
        self.assertLess(time.monotonic() - begun, 10)

    def test_deadline(self):
        receiver = self.receiver(lambda b: Answer(503))
        weir = self.weir(receiver, drain={"deadline": "2s"})
        self.deliver(weir, [points.as_json(points.series(5))])
        begun = time.monotonic()
        code = weir.stop(20)
        self.assertGreater(time.monotonic() - begun, 1)
        self.assertLess(time.monotonic() - begun, 12)
        self.assertIn(code, (0, 1))
        weir.process.returncode = 0  # 1 would be right too: points were given up
        self.assertRegex(weir.log_text(), r'"points":5|5 points', "what was given up is told")

    def test_a_second_instance_is_refused_the_port(self):
        weir = self.weir(self.receiver())
        with self.assertRaises(AssertionError):
            self.weir(self.receiver(), ingest={"listen": [f"127.0.0.1:{weir.port}"]})


if __name__ == "__main__":
    case.main()
