#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Load and verify: weir-load plays Firehose, weir-sink keeps accounts, and both agree that every
point came exactly once; or, where the sink lies, that it did not."""
import json
import os
import unittest

from weirtest import case, load, program
from weirtest.case import WeirCase

BOTH = load.path("weir-load") is not None and load.path("weir-sink") is not None


@unittest.skipUnless(BOTH, "WEIR_LOAD_BIN and WEIR_SINK_BIN name no programs")
class Load(WeirCase):
    """A sink, Weir before it, and load on that."""

    def sink(self, *arguments):
        """A receiver that keeps accounts."""
        sink = load.Sink(*arguments)
        self.addCleanup(self.end_sink, sink)
        return sink

    def end_sink(self, sink):
        """Ends it; a sanitizer's report fails the test."""
        code, errors = sink.stop()
        self.assertNotRegex(errors, program.SANITIZER)
        self.assertEqual(code, 0, errors)

    def load(self, weir, *arguments, key=program.KEY):
        """Runs the load: (exit code, its result, standard error)."""
        url = weir if isinstance(weir, str) else f"http://127.0.0.1:{weir.port}/"
        code, out, errors = load.load("--json", "--settle", "1500ms", *arguments, url,
                                      WEIR_ACCESS_KEY=key)
        self.assertNotRegex(errors, program.SANITIZER)
        self.assertIn(code, (0, 1), errors)
        return code, json.loads(out), errors

    def check_exact(self, result, requests, points):
        """A result that says: all was accepted, and each point arrived exactly once. On a machine
        that is busy an open loop may not get to send everything in its time."""
        verdict = result["verdicts"][0]
        self.assertLess(result["unsent"], requests, result)
        requests -= result["unsent"]
        self.assertEqual(result["accepted"]["requests"], requests, result)
        self.assertEqual(result["accepted"]["points"], requests * points, result)
        self.assertTrue(verdict["exactly_once"], result)
        self.assertEqual(verdict["expected"], requests * points, result)
        for wrong in ("missing", "refused", "duplicated", "wrong", "unpromised"):
            self.assertEqual(verdict[wrong], 0, result)


class ExactlyOnce(Load):
    """What goes well."""

    def test_every_format_compressed_or_not(self):
        sink = self.sink()
        weir = self.weir(sink.url)
        for seed, (wire, level) in enumerate((("json", 0), ("otlp07", 6), ("otlp10", 1))):
            with self.subTest(wire, gzip=level):
                code, result, _ = self.load(
                    weir, "--sink", sink.url, "--format", wire, "--gzip", str(level), "--points",
                    "300", "--points-per-record", "70", "--requests", "30", "--seed", str(seed),
                    "--series", "1500", "--resources", "3", "--connections", "4")
                self.assertEqual(code, 0, result)
                self.check_exact(result, 30, 300)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(sink.accounts()["malformed"], 0)

    def test_a_sink_with_every_honest_fault(self):
        faults = ("first=2:503,over=256KiB:413,every=9:429 retry-after=1,5%:502,10%:reset,10%:lost,"
                  "20%:delay=50ms")
        sink = self.sink("--faults", faults, "--seed", "3")
        weir = self.weir(sink.url, buffer={"interval": "50ms"})
        code, result, _ = self.load(
            weir, "--sink", sink.url, "--settle", "2s", "--format", "mixed", "--points", "1000",
            "--requests", "20", "--series", "2000", "--connections", "4")
        accounts = sink.accounts()
        self.assertEqual(code, 0, (result, accounts))
        self.check_exact(result, 20, 1000)
        for fault in ("413", "503", "429"):
            self.assertGreater(accounts["answers"].get(fault, 0), 0, accounts)

    def test_at_a_rate_and_true_to_life(self):
        sink = self.sink()
        weir = self.weir(sink.url)
        code, result, _ = self.load(weir, "--sink", sink.url, "--mode", "rate", "--rate", "80",
                                    "--duration", "500ms", "--points", "100", "--series",
                                    "1000")
        self.assertEqual(code, 0, result)
        self.check_exact(result, 40, 100)
        code, result, _ = self.load(
            weir, "--sink", sink.url, "--mode", "life", "--time-scale", "120", "--duration", "1s",
            "--streams", "3", "--series", "600", "--resources", "2", "--no-percentiles")
        self.assertEqual(code, 0, result)
        self.assertGreaterEqual(result["accepted"]["points"], 600, result)
        self.assertTrue(result["verdicts"][0]["exactly_once"], result)

    def test_two_destinations_have_all_points_each(self):
        sinks = [self.sink(), self.sink("--faults", "first=3:503")]
        weir = self.weir("", destinations=[
            {"name": "one", "endpoint": sinks[0].url},
            {"name": "two", "endpoint": sinks[1].url, "compression": "none"}])
        code, result, _ = self.load(weir, "--sink", sinks[0].url, "--sink", sinks[1].url,
                                    "--points", "500", "--requests", "20", "--series", "1000")
        self.assertEqual(code, 0, result)
        self.assertEqual([v["exactly_once"] for v in result["verdicts"]], [True, True], result)


class NotExactlyOnce(Load):
    """A verdict that cannot fail would be worth nothing."""

    ARGUMENTS = ("--points", "300", "--requests", "20", "--series", "900")

    def test_lies_and_refusals(self):
        sink = self.sink()
        weir = self.weir(sink.url)
        for fault, wrong, code, more in (("swallow", "missing", 1, ()),
                                         ("double", "duplicated", 1, ()),
                                         ("double", "duplicated", 0, ("--allow-repeated", "9999")),
                                         ("partial=3", "refused", 1, ()),
                                         ("400", "refused", 0, ("--allow-refused",))):
            with self.subTest(fault, more=more):
                sink.faults(f"first=1:{fault}")
                found, result, _ = self.load(weir, "--sink", sink.url, *self.ARGUMENTS, *more)
                verdict = result["verdicts"][0]
                self.assertEqual(result["accepted"]["requests"], 20, result)
                self.assertEqual((found, verdict["exactly_once"]), (code, False), result)
                self.assertEqual(verdict["good"], code == 0, result)
                for kind in ("missing", "duplicated", "refused", "wrong", "unpromised"):
                    self.assertEqual(verdict[kind] > 0, kind == wrong, result)
                self.assertEqual(len(verdict["examples"]) > 0, wrong != "refused", result)

    def test_a_gateway_that_takes_nothing(self):
        sink = self.sink()
        weir = self.weir(sink.url)
        folder = os.path.join(self.folder, "backup")
        common = (*self.ARGUMENTS, "--retry-window", "0s", "--settle", "100ms", "--sink", sink.url)
        code, result, errors = self.load(weir, *common, key="another")
        self.assertEqual(code, 1, result)
        self.assertEqual(result["given_up"], 20, result)
        self.assertEqual(result["answers"], {"401": 20}, result)
        self.assertIn("--key-file", errors)
        os.mkdir(folder)
        code, result, _ = self.load(weir, *common, "--backup", folder, key="another")
        self.assertEqual(code, 0, result)
        self.assertEqual(result["verdicts"][0]["expected"], 0, result)
        self.assertGreater(sum(len(files) for _, _, files in os.walk(folder)), 0)

    def test_interrupted_while_requests_wait_for_another_attempt(self):
        """What it would have sent while it waited for them was never to be sent."""
        weir = self.weir(self.sink().url)
        running = load.Running(
            "--mode", "rate", "--rate", "100", "--points", "10", "--bodies", "900",
            "--retry-window", "3s", f"http://127.0.0.1:{weir.port}/", WEIR_ACCESS_KEY="another")
        self.addCleanup(running.kill)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_requests_total", code="401") > 10))
        code, result, errors = running.end()
        self.assertEqual(code, 1, errors)
        self.assertEqual(result["given_up"], result["requests"])
        self.assertLess(result["unsent"], 100, "a second's, of the three that it waited")


@unittest.skipUnless(BOTH, "WEIR_LOAD_BIN and WEIR_SINK_BIN name no programs")
class Usage(unittest.TestCase):
    """What a person gets wrong is said in a sentence that names it, with exit code 2."""

    def test_load(self):
        for arguments, word in (
                ((), "where to"), (("--nope", "http://h"), "--nope"), (("ftp://h",), "ftp://h"),
                (("http://a", "http://b"), "http://b"),
                (("--points", "0", "http://h"), "--points 0"),
                (("--points", "1x", "http://h"), "--points 1x"),
                (("--format", "otlp", "http://h"), "--format otlp"),
                (("--gzip", "13", "http://h"), "--gzip 13"), (("--duration",), "--duration"),
                (("--duration", "5", "http://h"), "--duration 5"),
                (("--rate", "5", "http://h"), "--mode rate"),
                (("--series", "10", "--points", "20", "http://h"), "--points"),
                (("--key-file", "/nonexistent", "http://h"), "/nonexistent")):
            with self.subTest(arguments):
                code, out, errors = load.load(*arguments)
                self.assertEqual((code, out), (2, ""), errors)
                self.assertIn(word, errors)

    def test_nothing_answers(self):
        code, _, errors = load.load("--requests", "1", "--sink", "http://127.0.0.1:1",
                                    "http://127.0.0.1:1")
        self.assertEqual(code, 1)
        self.assertIn("http://127.0.0.1:1/world", errors)

    def test_help(self):
        code, out, errors = load.load("--help")
        self.assertEqual((code, errors), (0, ""))
        self.assertIn("Exit codes", out)

    def test_sink(self):
        for arguments, word in ((("--faults", "5:503"), "expected '%'"), (("x",), "'x'"),
                                (("--threads", "0"), "--threads 0 makes no sense"),
                                (("--shape", "summary=gauge"), "keep, gauges or"),
                                (("--accounts", "some"), "--accounts some makes no sense"),
                                (("--listen", "4318"), "4318: expected ADDR:PORT")):
            with self.subTest(arguments):
                with self.assertRaisesRegex(AssertionError, word):
                    load.Sink(*arguments)


if __name__ == "__main__":
    case.main()
