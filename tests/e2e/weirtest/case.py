# SPDX-License-Identifier: Apache-2.0
"""The TestCase every end-to-end test derives from: starts things, ends them, compares points."""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from . import otlp, program
from .firehose import Firehose, envelope
from .receiver import Receiver

SKIPPED = 77  # the exit code that ctest counts as skipped
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))


def vectors():
    """The folder of captured payloads, or None: a fresh clone has none."""
    folder = os.environ.get("WEIR_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
    return folder if os.path.isdir(folder) else None


def main():
    """Runs a file's tests; a file of which every test was skipped counts as skipped itself."""
    result = unittest.main(exit=False).result
    if result.testsRun > 0 and len(result.skipped) >= result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)


@unittest.skipIf(program.binary() is None, "WEIR_BIN names no program")
class WeirCase(unittest.TestCase):
    """Each test has its own folder, receivers and programs; none outlives it."""
    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weir-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def receiver(self, rule=None, port=0):
        """A backend; whatever it could not decode fails the test at its end."""
        receiver = Receiver(rule, port)
        self.addCleanup(self.end_receiver, receiver)
        return receiver

    def end_receiver(self, receiver):
        """Stops a backend and looks at what it complained of."""
        receiver.stop()
        self.assertEqual(receiver.errors, [])

    def weir(self, endpoint, **change):
        """The program, sending to a receiver (or to a base URL); `change` lies over the config."""
        url = endpoint.url if isinstance(endpoint, Receiver) else endpoint
        weir = program.Weir(program.configuration(url, **change), self.folder)
        self.addCleanup(self.end_weir, weir)
        return weir

    def end_weir(self, weir):
        """Ends a program, however the test went. A sanitizer's report fails the test."""
        if not weir.ended():
            weir.stop()
        self.assertIsNone(weir.sanitizer_report())
        self.assertEqual(weir.process.returncode, 0, weir.log_text()[-4000:])

    def run_weir(self, *arguments, text="", **extra):
        """Runs the program to its end: (exit code, standard output, standard error)."""
        done = subprocess.run(
            [program.binary(), *arguments], cwd=self.folder, input=text, capture_output=True,
            text=True, timeout=60, check=False, env=program.environment(**extra))
        self.assertNotRegex(done.stderr, program.SANITIZER)
        return done.returncode, done.stdout, done.stderr

    def client(self, weir, **how):
        """A connection to the ingest port."""
        client = Firehose(weir.port, **how)
        self.addCleanup(client.close)
        return client

    def deliver(self, weir, records, **how):
        """Posts these records on a connection of its own; the answer must be 200."""
        with Firehose(weir.port) as client:
            response = client.post(envelope(records), **how)
        self.assertEqual(response.status, 200, response.body)

    def assert_points(self, actual, expected):
        """The same points, each as often, in any order."""
        actual, expected = otlp.multiset(actual), otlp.multiset(expected)
        if actual == expected:
            return
        have, want = collections.Counter(actual), collections.Counter(expected)
        missing, extra = list((want - have).elements()), list((have - want).elements())
        self.fail(f"{len(missing)} points missing, {len(extra)} too many\nmissing: "
                  + "\nmissing: ".join(missing[:3]) + "\nextra:   " + "\nextra:   ".join(extra[:3]))

    def assert_arrived(self, receiver, points, seconds=30):
        """Exactly these synthetic points were accepted by the backend."""
        if not receiver.wait_count(len(points), seconds):
            self.fail(f"{receiver.accepted_count()} of {len(points)} points after {seconds} s, "
                      f"answers {[b.answer.status for b in receiver.batches][-20:]}")
        self.assert_points(receiver.points(), [p.canonical() for p in points])

    def assert_reply(self, response, status, request_id=None):
        """An answer in the form that Firehose accepts."""
        self.assertEqual(response.status, status, response.body)
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertNotIn("content-encoding", response.headers)
        self.assertNotIn("transfer-encoding", response.headers)
        body = json.loads(response.body)
        keys = {"requestId", "timestamp"} | (set() if status == 200 else {"errorMessage"})
        self.assertEqual(set(body), keys)
        self.assertIsInstance(body["timestamp"], int)
        self.assertGreater(body["timestamp"], 1_600_000_000_000)
        if status != 200:
            self.assertTrue(0 < len(body["errorMessage"]) <= 8192)
        if request_id is not None:
            self.assertEqual(body["requestId"], request_id)
