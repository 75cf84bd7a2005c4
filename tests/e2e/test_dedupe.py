#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A retry of an accepted request is answered 200 and not exported again: at once, on several
connections and loops, after a restart, whatever the durability."""
import threading

from weirtest import case, points, program
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

REQUESTS = 200 if program.sanitized() else 1000
TIMES = 3


class Dedupe(DurableCase):
    """Everything three times, each point once."""

    def requests(self, count):
        """`count` bodies of two points each, with their points."""
        made = []
        for number in range(count):
            pair = points.series(2, 2 * number)
            made.append((envelope([points.as_json(pair)], f"request-{number}"), pair))
        return made

    def post_all(self, weir, bodies):
        """Posts each on one connection; every answer must be 200."""
        statuses = set()
        with Firehose(weir.port) as client:
            for body in bodies:
                statuses.add(client.post(body).status)
        self.statuses |= statuses

    def send(self, weir, made, times=TIMES, stride=1):
        """Sends all `times` times at once over many connections."""
        self.statuses = set()
        threads = []
        for _ in range(times):
            for lane in range(4):
                bodies = [body for body, _ in made[lane::4]][::stride]
                threads.append(threading.Thread(target=self.post_all, args=(weir, bodies)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.statuses, {200})

    def all_points(self, made):
        """What must arrive."""
        return [point for _, pair in made for point in pair]

    def test_three_times_at_once_and_after_a_restart(self):
        receiver = self.receiver()
        made = self.requests(REQUESTS)
        weir = self.durable(receiver)
        self.send(weir, made)
        self.assert_each_once(receiver, self.all_points(made))
        self.assertEqual(weir.metric("weir_requests_deduplicated_total"), (TIMES - 1) * len(made))
        self.wait_noted()
        self.killed(weir)
        weir = self.durable(receiver)
        self.send(weir, made)
        self.assertEqual(weir.stop(), 0)
        weir = self.durable(receiver)
        self.send(weir, made, 1)
        self.assertEqual(weir.metric("weir_requests_deduplicated_total"), len(made))
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, self.all_points(made))

    def test_in_memory_too(self):
        for durability in ("memory", "delivered"):
            with self.subTest(durability):
                receiver = self.receiver()
                made = self.requests(40)
                weir = self.durable(receiver, buffer={"interval": "50ms"}, spool={
                    "durability": durability, "directory": None, "limit": None,
                    "segment_size": None})
                self.send(weir, made)
                self.assert_each_once(receiver, self.all_points(made))
                self.assertEqual(weir.stop(), 0)
                self.assert_each_once(receiver, self.all_points(made))

    def test_the_same_id_with_another_body(self):
        receiver = self.receiver()
        weir = self.durable(receiver)
        first, second = points.series(3), points.series(3, 3)
        with Firehose(weir.port) as client:
            for batch in (first, second, first, second):
                response = client.post(envelope([points.as_json(batch)], "same-id"))
                self.assertEqual(response.status, 200)
        self.assert_each_once(receiver, first + second)
        self.assertEqual(weir.metric("weir_request_ids_reused_total"), 1)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, first + second)

    def test_other_streams_do_not_meet(self):
        receiver = self.receiver()
        weir = self.durable(receiver)
        body = envelope([points.as_json(points.series(2))], "shared")
        with Firehose(weir.port) as client:
            for name in ("a", "b"):
                arn = f"arn:aws:firehose:eu-west-1:123456789012:deliverystream/{name}"
                self.assertEqual(client.post(body, x_amz_firehose_source_arn=arn).status, 200)
        self.assert_each_once(receiver, points.series(2) * 2)

    def test_switched_off(self):
        receiver = self.receiver()
        weir = self.durable(receiver, dedupe={"window": "0s"})
        body = envelope([points.as_json(points.series(2))], "again")
        with Firehose(weir.port) as client:
            for _ in range(2):
                self.assertEqual(client.post(body).status, 200)
        self.assert_each_once(receiver, points.series(2) * 2)


class Delivered(DurableCase):
    """durability: delivered. The 200 is the backend's."""

    def delivered(self, receiver, **spool):
        """The program without a spool on disk."""
        return self.durable(receiver, spool={"durability": "delivered", "directory": None,
                                             "limit": None, "segment_size": None} | spool)

    def test_the_answer_waits_for_the_backend(self):
        receiver = self.receiver(lambda b: Answer(503) if b.number < 4 else None)
        weir = self.delivered(receiver)
        sent = points.series(5)
        with Firehose(weir.port) as client:
            client.send(client.request(envelope([points.as_json(sent)])))
            self.assertTrue(receiver.wait(lambda: len(receiver.batches) >= 2))
            client.socket.settimeout(0.05)
            with self.assertRaises(TimeoutError):
                client.response()
            client.socket.settimeout(30)
            self.assertEqual(client.response().status, 200)
        self.assert_each_once(receiver, sent, 1)

    def test_503_when_it_is_not_delivered_in_time(self):
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        weir = self.delivered(receiver, delivered_timeout="2s")
        sent = points.series(5)
        body = envelope([points.as_json(sent)])
        with Firehose(weir.port) as client:
            self.assertEqual(client.post(body).status, 503)
            up.append(True)
            self.assertEqual(client.post(body).status, 200)
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, sent)


if __name__ == "__main__":
    case.main()
