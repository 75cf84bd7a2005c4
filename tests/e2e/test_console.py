#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A destination that is written as JSON: as quick and as bounded in memory as the others."""
import json
import time

from weirtest import case, points, program
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope

MIB = 1 << 20


class Console(WeirCase):
    """`type: stdout` under a small memory limit, batches closed by size alone."""

    def pour(self, pad, requests):
        """(program, resident bytes at its start, points accepted)."""
        weir = self.weir("", memory_limit="64MiB", buffer={"interval": "5s"},
                         destinations=[{"name": "console", "type": "stdout"}])
        base = weir.resident()
        sample = [points.Point(metric=f"M{n}", dimensions={"Pad": pad}, sum=float(n))
                  for n in range(250)]
        record, accepted = points.as_otlp10(sample), 0
        with Firehose(weir.port) as client:
            for _ in range(requests):
                accepted += 250 * (client.post(envelope([record])).status == 200)
        return weir, base, accepted

    def test_credit_that_a_written_batch_gives_back_is_used_at_once(self):
        weir, _, accepted = self.pour("p" * 3000, 12)
        self.assertEqual(accepted, 3000)
        begun = time.monotonic()
        written = lambda: weir.metric("weir_export_points_total", outcome="delivered")
        self.assertTrue(weir.wait_metric(lambda: written() >= 2500))
        if not program.sanitized():
            self.assertLess(time.monotonic() - begun, 5)  # the rest waits for the interval
        self.assertEqual(weir.stop(), 0)
        lines = [line for line in weir.out if line.startswith("{")]
        found = sum(len(m.get("summary", {}).get("dataPoints", [])) for line in lines
                    for r in json.loads(line)["resourceMetrics"] for s in r["scopeMetrics"]
                    for m in s["metrics"])
        self.assertEqual(found, 3000)

    def test_text_that_grows_sixfold_stays_within_the_limit(self):
        highest = 0
        weir, base, accepted = self.pour("\x01" * 3000, 20)
        self.assertGreater(accepted, 0)
        for _ in range(100):
            highest = max(highest, weir.resident())
            time.sleep(0.02)
        if not program.sanitized():
            self.assertLess(highest, 64 * MIB + base)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_points_total", outcome="delivered") == accepted, 30))


if __name__ == "__main__":
    case.main()
