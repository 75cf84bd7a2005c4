#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What no backend will take is in the dead letter, with its reason, and comes back from there."""
import base64
import json
import os
import time

from weirtest import case, points
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer


class DeadLetter(DurableCase):
    """Refusals, poison, quarantine; limits; and the way back."""

    def wait_letters(self, count):
        """The lines, when there are that many."""
        deadline = time.monotonic() + 20
        while len(self.letters()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        lines = self.letters()
        self.assertGreaterEqual(len(lines), count)
        return lines

    def replay(self, *paths):
        """Runs `weir replay` with the configuration of the last program: its output."""
        code, out, err = self.run_weir(
            "replay", "-c", os.path.join(self.folder, "weir.yaml"), *paths)
        self.assertEqual(code, 0, out + err)
        return out + err

    def dead_letters(self):
        """The folder of the dead letter."""
        return os.path.join(self.folder, "spool", "dead-letter")

    def test_refused_kept_and_replayed(self):
        mended = []
        other, picky = self.receiver(), self.receiver(
            lambda b: Answer(400, body=b"no poison please")
            if b.holds("Poison") and not mended else None)
        weir = self.durable(other, destinations=[
            {"name": "other", "endpoint": other.url}, {"name": "picky", "endpoint": picky.url}])
        poison, good = points.series(8, metric="Poison"), points.series(8, 100)
        self.deliver(weir, [points.as_otlp07(poison)])
        self.assert_each_once(other, poison)
        line = self.wait_letters(1)[0]
        self.deliver(weir, [points.as_json(good)])
        self.assert_each_once(picky, good)
        self.assertEqual(line["weir"]["destination"], "picky")
        self.assertEqual(line["weir"]["reason"], "refused")
        self.assertEqual(line["attemptsMade"], 1)
        self.assertIn("no poison please", line["errorMessage"])
        code, out, _ = self.run_weir("decode", self.dead_letters() + "/" +
                                     os.listdir(self.dead_letters())[0])
        self.assertEqual(code, 0)
        self.assertEqual(out.count('"Poison"'), 8)
        mended.append(True)
        self.replay(self.dead_letters())
        self.assert_each_once(picky, poison + good)
        self.replay(self.dead_letters())  # the same again: known
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(picky, poison + good)
        self.assert_each_once(other, poison + good)

    def test_json_refused_kept_and_replayed(self):
        """From JSON there is no way back, so the letter is of the request it was made of."""
        for coding in ("gzip", "none"):
            with self.subTest(coding):
                mended = []
                receiver = self.receiver(lambda b, m=mended: None if m else Answer(400))
                weir = self.durable(receiver, destinations=[
                    {"name": "json", "endpoint": receiver.url, "protocol": "http/json",
                     "compression": coding}])
                poison = points.series(8, metric=f"Poison{coding}")
                before = len(self.letters())
                self.deliver(weir, [points.as_otlp10(poison)])
                self.wait_letters(before + 1)
                mended.append(True)
                self.replay(self.dead_letters())
                self.assert_arrived(receiver, poison)
                self.assertEqual(weir.stop(), 0)
                for name in os.listdir(self.dead_letters()):
                    os.remove(os.path.join(self.dead_letters(), name))

    def test_quarantined_pieces(self):
        receiver = self.receiver()
        weir = self.durable(receiver)
        good = points.series(4)
        odd = b'{"CHANGE":-0.09,"PRICE":4.83,"TICKER_SYMBOL":"K\\u00e4",\t"SECTOR":"ENERGY"}'
        self.deliver(weir, [points.as_json(good[:2]) + odd + b"\n" + points.as_json(good[2:]),
                            b"\x1f\x8b not to be opened"])
        self.assert_each_once(receiver, good)
        lines = self.wait_letters(2)
        pieces = {base64.b64decode(line["rawData"]).rstrip(b"\n") for line in lines}
        self.assertEqual(pieces, {odd, b"\x1f\x8b not to be opened"})
        self.assertEqual({line["weir"]["reason"] for line in lines}, {"not_a_metric", "gzip"})

    def test_a_large_batch_becomes_several_lines(self):
        receiver = self.receiver(lambda _: Answer(400))
        weir = self.durable(receiver, ingest={"body_limit": "8MiB"}, memory_limit="128MiB",
                            buffer={"interval": "1s"}, spool={"limit": "1GiB"})
        wide = points.series(1200, dimensions={"Padding": "z" * 2000})
        self.deliver(weir, [points.as_otlp10(wide[at:at + 300]) for at in range(0, 1200, 300)])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 1200))
        lines = self.letters()
        self.assertGreater(len(lines), 2)
        self.assertLessEqual(max(len(base64.b64decode(line["rawData"])) for line in lines), 1024000)

    def test_full_and_reject(self):
        receiver = self.receiver(lambda b: Answer(400) if b.holds("Poison") else None)
        weir = self.durable(receiver, dead_letter={"limit": "64KiB", "when_full": "reject"},
                            drain={"deadline": "2s"})
        statuses, number = [], 0
        deadline = time.monotonic() + 30
        with Firehose(weir.port) as client:
            while 503 not in statuses and time.monotonic() < deadline:
                poison = points.series(20, 20 * number, metric="Poison",
                                       dimensions={"Padding": "p" * 300})
                number += 1
                response = client.post(envelope([points.as_otlp10(poison)]))
                statuses.append(response.status)
                time.sleep(0.1)
        self.assertIn(503, statuses)
        self.assertIn("dead letter", response.json["errorMessage"])
        self.assertEqual(weir.stop(), 0)

    def test_full_and_evict(self):
        receiver = self.receiver(lambda b: Answer(400) if b.holds("Poison") else None)
        weir = self.durable(receiver, dead_letter={"limit": "256KiB", "when_full": "evict"},
                            buffer={"interval": "50ms", "max_points": 40})
        for number in range(30):
            poison = points.series(20, 20 * number, metric="Poison",
                                   dimensions={"Padding": "p" * 300})
            self.deliver(weir, [points.as_otlp10(poison)])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 600))
        self.assertGreater(weir.metric("weir_dead_letter_evicted_files_total"), 0)
        sizes = [os.path.getsize(os.path.join(self.dead_letters(), name))
                 for name in os.listdir(self.dead_letters()) if name.endswith(".ndjson")]
        self.assertGreater(sum(sizes), 0)
        self.assertLessEqual(sum(sizes), 256 * 1024)

    def test_replay_of_a_firehose_backup(self):
        receiver = self.receiver()
        weir = self.durable(receiver)
        sent = points.series(30)
        folder = os.path.join(self.folder, "backup", "http-endpoint-failed", "2026", "11", "22")
        os.makedirs(folder)
        with open(os.path.join(folder, "stream-1-2026-11-22-00-00-00-x.gz"), "wb") as file:
            for record in (points.as_json(sent[:10]), points.as_otlp07(sent[10:20]),
                           points.as_otlp10(sent[20:])):
                file.write(json.dumps({
                    "attemptsMade": 5, "arrivalTimestamp": 1700000000000,
                    "errorCode": "HttpEndpoint.DestinationException", "errorMessage": "x",
                    "attemptEndingTimestamp": 1700000001000,
                    "rawData": base64.b64encode(record).decode(), "subsequenceNumber": 0,
                    "dataId": "49.0"}).encode() + b"\n")
        for _ in range(2):
            self.replay(os.path.join(self.folder, "backup"))
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.stop(), 0)


if __name__ == "__main__":
    case.main()
