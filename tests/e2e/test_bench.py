#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The measuring programs of bench/: a signal ends them with all that they started, and what the one
that compares two builds says of one of them twice."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from weirtest import case, load, program

sys.path.insert(0, os.path.join(case.ROOT, "bench"))
import compare  # noqa: E402  pylint: disable=wrong-import-position
import ending  # noqa: E402  pylint: disable=wrong-import-position

PROGRAMS = (program.binary(), load.path("weir-load"), load.path("weir-sink"))
TOGETHER = all(PROGRAMS) and len({os.path.dirname(path) for path in PROGRAMS}) == 1
PORT = 20000 + os.getpid() % 10000  # below those that the kernel gives away


def running(name):
    """Whether one of the measurement's programs is this one."""
    def found(processes):
        for process in processes:
            with contextlib.suppress(OSError), \
                    open(f"/proc/{process}/comm", encoding="ascii") as file:
                if file.read().strip() == name:
                    return True
        return False
    return found


@unittest.skipUnless(TOGETHER, "weir, weir-load and weir-sink are not in one build folder")
class Bench(unittest.TestCase):
    """One of the programs, in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-e2e-", ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder, self.build = folder.name, os.path.dirname(PROGRAMS[0])

    def start(self, *arguments):
        """The program beside the test."""
        process = subprocess.Popen(
            [sys.executable, "-B", *arguments, "--directory", self.folder, "--port", str(PORT)],
            cwd=case.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.STDOUT)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        """Ends a failed test's."""
        self.kill(ending.descendants(process.pid))
        process.kill()
        process.wait()
        process.stdout.close()

    @staticmethod
    def kill(processes):
        """Those of them that are still there."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


class Ending(Bench):
    """Signals at several moments."""

    def signalled(self, moment, *numbers):
        """Signals a measurement as soon as `moment` is true of its processes: its exit code and
        what it said. Nothing is left behind."""
        process = self.start("bench/main.py", "--build", self.build, "--quick", "--only", "memory")
        deadline, below = time.monotonic() + 60, []
        while time.monotonic() < deadline and process.poll() is None and not moment(below):
            time.sleep(0.005)
            below = ending.descendants(process.pid)
        below = ending.descendants(process.pid)
        self.addCleanup(self.kill, below)
        self.assertNotEqual(below, [], "it has ended before the signal")
        for number in numbers:
            process.send_signal(number)
        told = process.communicate(timeout=60)[0]
        self.assertEqual([one for one in below if os.path.exists(f"/proc/{one}")], [], told)
        self.assertEqual(os.listdir(self.folder), [], told)
        return process.returncode, told

    def test_terminated_while_the_sink_starts(self):
        self.assertEqual(self.signalled(bool, signal.SIGTERM)[0], 128 + signal.SIGTERM)

    def test_terminated_while_the_gateway_starts(self):
        self.assertEqual(self.signalled(running("weir"), signal.SIGTERM)[0], 128 + signal.SIGTERM)

    def test_terminated_under_load(self):
        self.assertEqual(self.signalled(running("weir-load"), signal.SIGTERM)[0],
                         128 + signal.SIGTERM)

    def test_terminal_closed_under_load(self):
        self.assertEqual(self.signalled(running("weir-load"), signal.SIGHUP)[0],
                         128 + signal.SIGHUP)

    def test_interrupted_under_load(self):
        code, told = self.signalled(running("weir-load"), signal.SIGINT)
        self.assertEqual(code, 128 + signal.SIGINT)
        self.assertNotIn("Traceback", told)

    def test_a_second_signal_leaves_nothing_either(self):
        code, told = self.signalled(running("weir-load"), signal.SIGHUP, signal.SIGTERM)
        self.assertIn(code, (128 + signal.SIGHUP, 128 + signal.SIGTERM), told)


class Compare(Bench):
    """bench/compare.py."""

    def compare(self, *arguments):
        """Runs it to its end: (exit code, what it said)."""
        process = self.start("bench/compare.py", *arguments)
        told = process.communicate(timeout=200)[0]
        return process.returncode, told

    def test_a_build_beside_itself(self):
        code, told = self.compare(self.build, self.build, "--rounds", "2", "--seconds", "0.5",
                                  "--warm-up", "0.5", "--points", "1000", "--connections", "2")
        self.assertEqual(code, 0, told)
        rows = {cells[0]: cells[1:] for cells in (
            re.split(" {2,}", line.strip()) for line in told.splitlines())}
        for what in ("CPU ns/point", "weir-ingest", "weir-export", "points/s", "answer p99, ms",
                     "peak memory, MiB"):
            old, new, ratio, quartiles = rows[what]
            for one in (old, new):
                self.assertGreater(float(one.replace(",", "")), 0, told)
            lower, upper = map(float, quartiles.split(" .. "))
            self.assertTrue(lower <= float(ratio) <= upper, told)
        self.assertIn("the host took", told)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_fixed_rate(self):
        code, told = self.compare(self.build, self.build, "--rounds", "1", "--seconds", "1",
                                  "--warm-up", "0.5", "--points", "100", "--rate", "2000",
                                  "--compression", "none", "--format", "json")
        self.assertEqual(code, 0, told)
        self.assertRegex(told, r"points/s +[12],\d{3} +[12],\d{3} ")
        self.assertIn("16 connections, 2,000 points/s", told)

    def test_a_folder_without_the_programs(self):
        code, told = self.compare(self.folder, self.build)
        self.assertEqual(code, 2)
        self.assertIn(f"{self.folder} has no weir: build it there", told)

    def test_neither_folder_nor_revision(self):
        code, told = self.compare("no/such-thing", self.build)
        self.assertEqual(code, 2)
        self.assertIn("no/such-thing: neither a build folder nor a revision", told)

    def test_numbers_that_are_none(self):
        for wrong in ("0", "-1", "many", "nan"):
            code, told = self.compare(self.build, self.build, "--seconds", wrong)
            self.assertEqual(code, 2, told)

    def test_terminated_while_it_measures(self):
        process = self.start("bench/compare.py", self.build, self.build)
        deadline, below = time.monotonic() + 60, []
        while time.monotonic() < deadline and not running("weir-load")(below):
            time.sleep(0.01)
            below = ending.descendants(process.pid)
        self.addCleanup(self.kill, below)
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[0]
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, told)
        self.assertGreaterEqual(len(below), 5, "two sinks, two gateways and a load")
        self.assertEqual([one for one in below if os.path.exists(f"/proc/{one}")], [], told)
        self.assertEqual(os.listdir(self.folder), [], told)


class Numbers(unittest.TestCase):
    """What the comparison makes of its rounds."""

    def test_ratios_are_of_the_pairs_and_not_of_the_medians(self):
        self.assertEqual(compare.paired([100, 200, 400], [110, 220, 200]), (1.1, 0.8, 1.1))

    def test_a_single_round_has_no_spread(self):
        self.assertEqual(compare.paired([2.0], [3.0]), (1.5, 1.5, 1.5))

    def test_a_round_in_which_old_had_nothing_is_left_out(self):
        self.assertEqual(compare.paired([0, 2.0], [1.0, 3.0]), (1.5, 1.5, 1.5))
        self.assertIsNone(compare.paired([0, 0], [1, 2]))

    def test_a_thread_that_one_of_them_lacks(self):
        base = {compare.CPU: 1000.0, compare.KERNEL: 0.0, compare.RATE: 5000.0}
        told = compare.rows([base], [base | {"  weir-helper": 10.0, "  weir-idle": 1.0}])
        self.assertIn(("  weir-helper", "0.00", "10.0", "", ""), told)
        self.assertNotIn("  weir-idle", [row[0] for row in told])
        self.assertIn(compare.KERNEL, [row[0] for row in told])
        self.assertIn((compare.RATE, "5,000", "5,000", "1.000", "1.000 .. 1.000"), told)


if __name__ == "__main__":
    case.main()
