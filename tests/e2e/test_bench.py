#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The measuring programs of bench/: that a signal ends them with all that they started."""
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from weirtest import case, load, program

sys.path.insert(0, os.path.join(case.ROOT, "bench"))
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


if __name__ == "__main__":
    case.main()
