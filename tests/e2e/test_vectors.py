#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Captured payloads in, their canonical points out: plain, gzip, chunked, in one-byte pieces.

The payloads are not part of the project; where they are absent these tests are skipped, and
test_same_bytes.py covers the same ground with points of our own.
"""
import json
import os
import unittest

from weirtest import case
from weirtest.case import WeirCase

FOLDER = case.vectors()
NAMES = ("otlp10", "otlp07", "otlp07-zeros", "json", "json-namespaces", "json-percentiles", "mixed")
SMALL = ("otlp07-zeros", "json-namespaces", "json-percentiles")


def load(name):
    """(body, expected points) of a vector."""
    with open(os.path.join(FOLDER, name, "body.json"), "rb") as file:
        body = file.read()
    with open(os.path.join(FOLDER, name, "expected.ndjson"), encoding="utf-8") as file:
        return body, [json.loads(line) for line in file]


@unittest.skipIf(FOLDER is None, "no captured payloads here (WEIR_VECTORS)")
class Vectors(WeirCase):
    """Every vector, each way it can be sent."""

    def send(self, name, **how):
        """Sends one vector to a fresh receiver and compares what comes out."""
        body, expected = load(name)
        receiver = self.receiver()
        weir = self.weir(receiver)
        # The expected ARNs are those built without this header.
        response = self.client(weir).post(body, x_amz_firehose_source_arn=None, **how)
        self.assert_reply(response, 200, json.loads(body)["requestId"])
        self.assertTrue(receiver.wait_count(len(expected)), receiver.accepted_count())
        self.assert_points(receiver.points(), expected)
        self.assertEqual({b.path for b in receiver.batches}, {"/v1/metrics"})
        weir.stop()
        self.assert_points(receiver.points(), expected)

    def each(self, names, **how):
        """Sends these vectors."""
        for name in names:
            with self.subTest(name, **how):
                self.send(name, **how)

    def test_plain(self):
        self.each(NAMES)

    def test_gzip(self):
        self.each(NAMES, compressed=True)

    def test_chunked(self):
        self.each(NAMES, chunk=1000)

    def test_one_byte_pieces(self):
        self.each(SMALL, piece=1)

    def test_one_byte_pieces_gzip(self):
        self.each(NAMES, piece=1, compressed=True)

    def test_one_byte_chunks(self):
        self.each(("json-percentiles",), piece=1, chunk=50)

    def test_gzip_as_captured(self):
        _, expected = load("json")
        with open(os.path.join(FOLDER, "json", "body.json.gz"), "rb") as file:
            packed = file.read()
        receiver = self.receiver()
        weir = self.weir(receiver)
        response = self.client(weir).post(packed, content_encoding="gzip",
                                          x_amz_firehose_source_arn=None)
        self.assert_reply(response, 200)
        self.assertTrue(receiver.wait_count(len(expected)))
        self.assert_points(receiver.points(), expected)


@unittest.skipIf(FOLDER is None, "no captured payloads here (WEIR_VECTORS)")
class Bad(WeirCase):
    """Payloads that hold no metric, or are damaged: the README's answer, and the next request."""

    def send_bad(self, name, status):
        """Sends one bad payload both ways; the program must stay well and idle."""
        with open(os.path.join(FOLDER, "bad", name + ".json"), "rb") as file:
            body = file.read()
        receiver = self.receiver()
        weir = self.weir(receiver)
        for compressed in (False, True):
            with self.subTest(name, compressed=compressed):
                with self.client(weir) as client:
                    response = client.post(body, compressed=compressed)
                self.assert_reply(response, status)
        quarantined = weir.metric("weir_records_quarantined_total")
        self.assertEqual(quarantined > 0, status == 200)
        before = weir.cpu_seconds()
        good, expected = load("json-percentiles")
        with self.client(weir) as client:
            response = client.post(good, x_amz_firehose_source_arn=None)
        self.assert_reply(response, 200)
        self.assertTrue(receiver.wait_count(len(expected)))
        self.assert_points(receiver.points(), expected)
        self.assertLess(weir.cpu_seconds() - before, 5)

    def test_quarantined(self):
        for name in ("demo-ticker", "direct-put-demo", "cloudwatch-logs", "lone-0x80"):
            with self.subTest(name):
                self.send_bad(name, 200)

    def test_damaged(self):
        self.send_bad("damaged-base64", 400)


if __name__ == "__main__":
    case.main()
