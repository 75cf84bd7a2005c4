#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real faults on real file systems: a full one, an fsync that fails, a directory that is taken."""
import os
import shutil
import subprocess
import time

from weirtest import case, points, program
from weirtest.durable import DurableCase, Ledger
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

FAILSYNC = os.environ.get("WEIR_FAILSYNC", "")  # tests/e2e/failsync.c


class SmallDisk(DurableCase):
    """A file system of 64 MiB under a spool that believes it may have 256 MiB."""

    def mount(self, size_mib):
        """Makes and mounts it, or skips the test, saying why."""
        image, where = os.path.join(self.folder, "image"), os.path.join(self.folder, "spool")
        os.mkdir(where)
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            self.skipTest("needs root and mkfs.ext4")
        with open(image, "wb") as file:
            file.truncate(size_mib << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        done = subprocess.run(["mount", "-o", "loop", image, where], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a loop device here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", where], check=False)
        os.chmod(where, 0o700)

    def test_the_file_system_is_full(self):
        self.mount(64)
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        weir = self.durable(receiver)
        sent, refused, number = [], [], 0
        deadline = time.monotonic() + 60
        client = Firehose(weir.port)
        while len(refused) < 3 and time.monotonic() < deadline:
            more = points.series(100, 100 * number,
                                 dimensions={"Padding": os.urandom(1500).hex()})
            number += 1
            response = client.post(envelope([points.as_otlp10(more)], f"request-{number}"))
            if response.status == 200:
                sent += more
                continue
            self.assertEqual(response.status, 503, response.body)
            refused.append(response)
            client.close()
            client = Firehose(weir.port)
        client.close()
        self.assertEqual(len(refused), 3, "the file system never became full")
        self.assertGreater(len(sent), 1000)
        up.append(True)
        self.assert_each_once(receiver, sent, 90)
        self.assertTrue(weir.wait_metric(
            lambda: self.accepts(weir), 30, 0.5), "room again, and still refused")
        self.assertEqual(weir.stop(), 0)

    def accepts(self, weir):
        """Whether a small request is taken now."""
        with Firehose(weir.port) as client:
            return client.post(envelope([b""])).status == 200


class FailingSync(DurableCase):
    """fdatasync says EIO (a preloaded library stands for the disk)."""

    def start(self, receiver, **fault):
        """The program on a disk with a fault."""
        if not os.path.exists(FAILSYNC):
            self.skipTest("WEIR_FAILSYNC does not name the library to preload")
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        weir = program.Weir(program.configuration(receiver.url, **self.settings({})), self.folder,
                            LD_PRELOAD=FAILSYNC, ASAN_OPTIONS=options, **fault)
        self.addCleanup(self.end_weir, weir)
        return weir

    def test_now_and_then(self):
        """A commit that fails goes to another file: nobody is told, nothing is lost or repeated."""
        receiver = self.receiver()
        weir = self.start(receiver, WEIR_FAILSYNC_EVERY="7")
        ledger = Ledger(3)
        with Firehose(weir.port) as client:
            for _ in range(100):
                self.assertTrue(ledger.post(client, ledger.make()))
        self.assertEqual(ledger.refused, {})
        self.assert_each_once(receiver, ledger.acked)
        self.assertGreater(weir.metric("weir_spool_failures_total", file="segment"), 3)
        self.assertEqual(weir.admin("/readyz")[0], 200)
        self.assertEqual(weir.stop(), 0)
        again = self.durable(receiver)
        self.assertEqual(again.events("spool opened")[-1]["lost_records"], 0)
        self.assertEqual(again.stop(), 0)
        self.assert_each_once(receiver, ledger.acked)

    def test_for_good(self):
        """The disk breaks: 503, and the program ends with a code that says so; what was answered
        200 before is still there."""
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        weir = self.start(receiver, WEIR_FAILSYNC_FROM="30")
        ledger = Ledger(5)
        deadline = time.monotonic() + 60
        while not weir.ended() and time.monotonic() < deadline:
            try:
                with Firehose(weir.port) as client:
                    while ledger.post(client, ledger.make()):
                        pass
            except OSError:
                time.sleep(0.05)
        self.assertEqual(weir.process.wait(60), 1, weir.log_text()[-3000:])
        weir.close()
        weir.process.returncode = 0  # as it should be
        self.assertLessEqual(set(ledger.refused), {503, None})
        self.assertGreater(len(ledger.acked), 0)
        self.assertRegex(weir.log_text(), "spool.*failed")
        again = self.durable(receiver)
        up.append(True)
        ledger.settle(again.port)
        self.assert_each_once(receiver, ledger.acked)
        self.assertEqual(again.stop(), 0)
        self.assert_each_once(receiver, ledger.acked)


class Directory(DurableCase):
    """Whose directory it is."""

    def test_a_second_instance_is_refused(self):
        receiver = self.receiver()
        weir = self.durable(receiver)
        path = os.path.join(self.folder, "weir.yaml")
        code, _, err = self.run_weir("serve", "-c", path)
        self.assertEqual(code, 1)
        self.assertIn(os.path.join(self.folder, "spool"), err)
        self.assertRegex(err, "another|in use")
        sent = points.series(3)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(receiver, sent)

    def test_modes(self):
        weir = self.durable(self.receiver())
        with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as status:
            self.assertRegex(status.read(), r"\nUmask:\s+0077\n")
        self.deliver(weir, [points.as_json(points.series(3))])
        for folder, _, files in os.walk(os.path.join(self.folder, "spool")):
            self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700, folder)
            for name in files:
                mode = os.stat(os.path.join(folder, name)).st_mode & 0o777
                self.assertEqual(mode, 0o600, name)

    def test_no_secret_on_the_disk(self):
        weir = self.durable(self.receiver(lambda _: Answer(503)), drain={"deadline": "200ms"})
        self.deliver(weir, [points.as_json(points.series(3))])
        self.assertEqual(weir.stop(), 0)
        for folder, _, files in os.walk(os.path.join(self.folder, "spool")):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(program.KEY.encode(), file.read(), name)


if __name__ == "__main__":
    case.main()
