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

FIU = ("/usr/lib/fiu/fiu_run_preload.so", "/usr/lib/fiu/fiu_posix_preload.so")


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
        with Firehose(weir.port) as client:
            while len(refused) < 3 and time.monotonic() < deadline:
                more = points.series(100, 100 * number,
                                     dimensions={"Padding": os.urandom(1500).hex()})
                number += 1
                response = client.post(envelope([points.as_otlp10(more)], f"request-{number}"))
                if response.status == 200:
                    sent += more
                else:
                    self.assertEqual(response.status, 503, response.body)
                    refused.append(response)
                    client.close()
                    client = Firehose(weir.port)
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
    """fdatasync says EIO (libfiu's preloaded library stands for the disk)."""

    def start(self, receiver, fault):
        """The program with a fault in its system calls."""
        if program.sanitized() or not all(map(os.path.exists, FIU)):
            self.skipTest("needs libfiu's preload library, and a program without sanitizers")
        url = receiver.url
        weir = program.Weir(program.configuration(url, **self.settings({})), self.folder,
                            LD_PRELOAD=" ".join(FIU), FIU_ENABLE=fault)
        self.addCleanup(self.end_weir, weir)
        return weir

    def test_now_and_then(self):
        """One commit in some fails and goes to another file: nobody is told, nothing is lost."""
        receiver = self.receiver()
        weir = self.start(receiver, "enable_random name=posix/io/sync/fdatasync,probability=0.02,"
                                    "failinfo=5")
        ledger = Ledger(3)
        with Firehose(weir.port) as client:
            for _ in range(150):
                if not ledger.post(client, ledger.make()):
                    break
        weir.stop()
        weir.process.returncode = 0  # two failures in a row are a failed disk: it may have stopped
        again = self.durable(receiver)
        ledger.settle(again.port)
        self.assert_each_once(receiver, ledger.acked)
        self.assertEqual(again.stop(), 0)

    def test_always(self):
        """The disk breaks for good: 503, not ready, and the program ends with a code that says so;
        what was answered 200 before is still there."""
        receiver = self.receiver()
        weir = self.start(receiver, "enable_random name=posix/io/sync/fdatasync,probability=0.5,"
                                    "failinfo=5")
        ledger = Ledger(5)
        deadline = time.monotonic() + 30
        while not weir.ended() and time.monotonic() < deadline:
            try:
                with Firehose(weir.port) as client:
                    ledger.post(client, ledger.make())
            except OSError:
                time.sleep(0.05)
        self.assertEqual(weir.process.wait(30), 1, weir.log_text()[-3000:])
        weir.process.returncode = 0
        self.assertIn("spool", weir.log_text())
        again = self.durable(receiver)
        ledger.settle(again.port)
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
