#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/HTTP JSON: the same points as protobuf, and the same handling of answers, which are JSON."""
import json

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.receiver import Answer


def partial(rejected, text):
    """A 200 that took only a part, as JSON has it."""
    inside = {"rejectedDataPoints": str(rejected), "errorMessage": text}
    return Answer(headers={}, body=json.dumps({"partialSuccess": inside}).encode())


class HttpJson(WeirCase):
    """One destination with protocol http/json."""

    def json_weir(self, receiver, destination=None, **change):
        """The program, sending JSON."""
        to = {"name": "backend", "endpoint": receiver.url, "protocol": "http/json"}
        return self.weir(receiver, **({"destinations": [to | (destination or {})]} | change))

    def test_the_same_points_whatever_the_coding(self):
        sent = points.series(300)
        for coding in ("gzip", "none", "zstd"):
            with self.subTest(coding):
                receiver = self.receiver()
                weir = self.json_weir(receiver, {"compression": coding})
                self.deliver(weir, [points.as_json(sent[:150]), points.as_otlp07(sent[150:])])
                self.assert_arrived(receiver, sent)
                self.assertEqual({b.headers["Content-Type"] for b in receiver.batches},
                                 {"application/json"})
                self.assertEqual(
                    {b.headers.get("Content-Encoding", "none") for b in receiver.batches},
                    {coding})
                self.assertEqual({b.path for b in receiver.batches}, {"/v1/metrics"})

    def test_protobuf_beside_it(self):
        one, other = self.receiver(), self.receiver()
        weir = self.weir(one, destinations=[
            {"name": "p", "endpoint": one.url, "protocol": "http/protobuf"},
            {"name": "j", "endpoint": other.url, "protocol": "http/json"}])
        sent = points.series(200)
        self.deliver(weir, [points.as_otlp10(sent)])
        self.assert_arrived(one, sent)
        self.assert_arrived(other, sent)
        self.assert_points(other.points(), one.points())

    def test_retries_send_the_same_bytes(self):
        receiver = self.receiver(lambda b: Answer(503) if b.number <= 2 else None)
        weir = self.json_weir(receiver, buffer={"interval": "1s"})
        sent = points.series(40)
        self.deliver(weir, [points.as_otlp10(sent)])
        self.assert_arrived(receiver, sent)
        self.assertEqual(len({b.body for b in receiver.batches}), 1)

    def test_split(self):
        sent = points.series(200)
        for coding in ("gzip", "none"):
            with self.subTest(coding):
                receiver = self.receiver(lambda b: Answer(413) if len(b.body) > 20_000 else None)
                weir = self.json_weir(receiver, {"compression": coding}, buffer={"interval": "1s"})
                self.deliver(weir, [points.as_otlp10(sent)])
                self.assert_arrived(receiver, sent)
                self.assertEqual(weir.stop(), 0)
                self.assert_arrived(receiver, sent)

    def test_partial_success(self):
        sent = points.series(10)
        receiver = self.receiver(lambda b: partial(3, "three were \u00e4dd"))
        weir = self.json_weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_requests_total", outcome="partial") == 1))
        self.assertEqual(weir.metric("weir_export_points_total", outcome="rejected"), 3)
        self.assertEqual(weir.stop(), 0)
        self.assertIn("three were \u00e4dd", weir.log_text())

    def test_refusal_in_json(self):
        body = json.dumps({"code": 3, "message": "no \"summary\" here"}).encode()
        receiver = self.receiver(lambda b: Answer(400, body=body))
        weir = self.json_weir(receiver)
        self.deliver(weir, [points.as_json(points.series(4))])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 4))
        self.assertEqual(weir.stop(), 0)
        self.assertIn('no \\"summary\\" here', weir.log_text())


if __name__ == "__main__":
    case.main()
