#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One Weir, five destinations with five shapes: one of them down, one slow, one refusing. Each of
the others is complete while the bad ones are still bad, and each gets what it is owed once."""
import json
import os
import threading
import time
import unittest

from weirtest import case, load, program
from weirtest.durable import DurableCase

BOTH = load.path("weir-load") is not None and load.path("weir-sink") is not None
OWNER = ["cloud.account.id", "cloud.region"]

# What each destination makes of CloudWatch's Summaries: in its configuration and for its sink.
SHAPES = {
    "logs": {"summary": "keep", "dimensions": "json", "promote": ["cloud.region"]},
    "dynatrace": {"summary": "exponential_histogram", "dimensions": "flat", "names": "dynatrace",
                  "attribute_keys": "dynatrace", "promote": OWNER},
    "prometheus": {"summary": "gauges", "dimensions": "flat", "names": "prometheus",
                   "promote": OWNER},
    "gauges": {"summary": "gauges"},
    "flat": {"summary": "keep", "dimensions": "flat"},
}
MORE = {"logs": {"protocol": "http/json"}, "dynatrace": {"compression": "zstd"},
        "gauges": {"compression": "none"}}
HEALTHY, DOWN, SLOW, REFUSING = ("logs", "dynatrace"), "prometheus", "gauges", "flat"
FAULTS = {DOWN: "100%:reset", SLOW: "100%:delay=100ms",
          REFUSING: "every=5:400,first=2:429 retry-after=1,over=24KiB:413"}
REQUESTS, POINTS = 30, 200
ALL = REQUESTS * POINTS


def words(shape):
    """A destination's keys as `weir-sink --shape` reads them."""
    return ",".join(f"{key}={value}" for key, values in shape.items()
                    for value in (values if isinstance(values, list) else [values]))


class Run(threading.Thread):
    """weir-load, beside the test: its exit code, its result, its errors."""

    def __init__(self, weir, sinks):
        super().__init__()
        self.arguments = ["--json", "--mode", "rate", "--rate", "20", "--requests", str(REQUESTS),
                          "--bodies", str(REQUESTS), "--points", str(POINTS),
                          "--points-per-record", "70", "--format", "mixed", "--series", "3000",
                          "--resources", "3", "--settle", "2500ms", "--allow-refused"]
        for sink in sinks:
            self.arguments += ["--sink", sink.url]
        self.arguments.append(f"http://127.0.0.1:{weir.port}/")
        self.ended = None
        self.start()

    def run(self):
        self.ended = load.load(*self.arguments, WEIR_ACCESS_KEY=program.KEY)


@unittest.skipUnless(BOTH, "WEIR_LOAD_BIN and WEIR_SINK_BIN name no programs")
class Five(DurableCase):
    """Five backends that have nothing to do with each other, but for Weir."""

    def sink(self, name, faults):
        """A backend that reads one shape, and has its faults."""
        sink = load.Sink("--shape", words(SHAPES[name]), "--faults", faults)
        self.addCleanup(self.end_sink, sink)
        return sink

    def end_sink(self, sink):
        """Ends it; a sanitizer's report fails the test."""
        code, errors = sink.stop()
        self.assertNotRegex(errors, program.SANITIZER)
        self.assertEqual(code, 0, errors)

    def wait_whole(self, sink, seconds=30):
        """Waits until all points are there, whole."""
        deadline = time.monotonic() + seconds
        while sink.accounts()["points"] < ALL and time.monotonic() < deadline:
            time.sleep(0.05)
        accounts = sink.accounts()
        self.assertEqual((accounts["points"], accounts["distinct"]), (ALL, ALL), accounts)

    def start(self):
        """Five sinks, and Weir before them."""
        sinks = {name: self.sink(name, FAULTS.get(name, "")) for name in SHAPES}
        weir = self.durable("", buffer={"interval": "100ms", "max_points": 1000}, destinations=[
            {"name": name, "endpoint": sinks[name].url} | shape | MORE.get(name, {})
            for name, shape in SHAPES.items()])
        return weir, sinks

    def check(self, verdict, refused=0):
        """All that was promised came once, whole and right, but for so many refused for good."""
        self.assertEqual((verdict["expected"], verdict["refused"]), (ALL, refused), verdict)
        for wrong in ("missing", "duplicated", "repeated", "wrong", "unpromised"):
            self.assertEqual(verdict[wrong], 0, verdict)

    def check_refused(self, weir, sink):
        """What was refused is counted, the sums agree, and all of it can be had again: how many."""
        accounts, letters = sink.accounts(), self.letters()
        refused = accounts["refused"]
        for code in ("400", "413", "429"):
            self.assertGreater(accounts["answers"].get(code, 0), 0, accounts)
        self.assertEqual(accounts["points"] + refused, ALL, accounts)
        self.assertEqual(weir.metric("weir_dead_letter_points_total", destination=REFUSING,
                                     reason="refused"), refused)
        self.assertEqual(weir.metric("weir_dead_letter_points_total"), refused)
        self.assertEqual({(line["weir"]["destination"], line["weir"]["reason"])
                          for line in letters}, {(REFUSING, "refused")})
        sink.faults("")
        code, out, errors = self.run_weir("replay", "-c", os.path.join(self.folder, "weir.yaml"),
                                          os.path.join(self.folder, "spool", "dead-letter"))
        self.assertEqual(code, 0, out + errors)
        self.wait_whole(sink)
        return refused

    def test_each_on_its_own(self):
        weir, sinks = self.start()
        run = Run(weir, sinks.values())
        self.addCleanup(run.join)
        for name in HEALTHY:  # all of it, while another has nothing and a third is late
            self.wait_whole(sinks[name])
            self.assertGreater(weir.metric("weir_delivery_lag_seconds_count", destination=name), 0)
        down = sinks[DOWN].accounts()
        self.assertEqual(weir.metric("weir_delivery_lag_seconds_count", destination=DOWN), 0)
        self.assertEqual((down["points"], down["batches"]), (0, 0), down)
        self.assertGreater(down["faults"]["reset"], 0, down)
        sinks[DOWN].faults("")
        run.join()
        code, out, errors = run.ended
        self.assertNotRegex(errors, program.SANITIZER)
        self.assertEqual(code, 0, out + errors)
        verdicts = dict(zip(SHAPES, json.loads(out)["verdicts"]))
        for name in (*HEALTHY, DOWN, SLOW):
            self.check(verdicts[name])
            self.assertEqual(sinks[name].accounts()["malformed"], 0)
        self.assertGreater(sinks[SLOW].accounts()["faults"]["delay"], 0)
        self.check(verdicts[REFUSING], self.check_refused(weir, sinks[REFUSING]))
        self.assertEqual(weir.stop(), 0)

    def test_what_is_wrong_is_noticed(self):
        """Parts that are lost, come twice, or are refused; and another shape than was told."""
        wrongs = {"swallow": "missing", "double": "duplicated", "partial=1": "refused"}
        sinks = [self.sink("prometheus", "first=1:" + fault) for fault in wrongs]
        sinks.append(self.sink("gauges", ""))
        shape = {"buffer": {"max_points": 300}} | SHAPES["prometheus"]
        weir = self.durable("", buffer={"interval": "50ms"}, destinations=[
            {"name": f"sink-{number}", "endpoint": sink.url} | shape
            for number, sink in enumerate(sinks)])
        code, out, errors = load.load(
            "--json", "--requests", "4", "--bodies", "4", "--points", str(POINTS), "--settle",
            "500ms", *(word for sink in sinks for word in ("--sink", sink.url)),
            f"http://127.0.0.1:{weir.port}/", WEIR_ACCESS_KEY=program.KEY)
        self.assertEqual(code, 1, out + errors)
        verdicts = json.loads(out)["verdicts"]
        for verdict, wrong in zip(verdicts, wrongs.values()):
            for kind in ("missing", "duplicated", "refused", "wrong", "unpromised"):
                self.assertEqual(verdict[kind] > 0, kind == wrong, verdict)
        self.assertEqual(verdicts[2]["refused"], 1, verdicts[2])  # of several parts, one
        self.assertEqual(verdicts[3]["missing"], 4 * POINTS, verdicts[3])
        self.assertGreater(verdicts[3]["wrong"], 4 * POINTS, verdicts[3])


if __name__ == "__main__":
    case.main()
