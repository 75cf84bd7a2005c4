#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A supervisor: readiness, signs of life, stops, a second instance, and the files for systemd."""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

from weirtest import case, points, program
from weirtest.case import WeirCase
from weirtest.program import Weir

PTRACE_ATTACH, PTRACE_DETACH = 16, 17


class Supervisor:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(0.1)
        self.heard = []

    def listen(self):
        """Takes what is there."""
        try:
            while True:
                self.heard.append((time.monotonic(), self.socket.recv(4096).decode()))
        except TimeoutError:
            pass

    def wait(self, word, count=1, seconds=20):
        """Whether `count` messages with this line have come in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.listen()
            if sum(word in text.split("\n") for _, text in self.heard) >= count:
                return True
        return False


class Descriptors(WeirCase):
    """What a supervisor leaves open, or does not."""

    def test_closed_ones_are_no_files_of_ours(self):
        supervisor = Supervisor(os.path.join(self.folder, "notify"))
        self.addCleanup(supervisor.socket.close)
        spool = os.path.join(self.folder, "spool")
        path = program.write_configuration(
            os.path.join(self.folder, "weir.yaml"), program.configuration(
                "http://127.0.0.1:9", memory_limit="64MiB", spool={
                    "durability": "disk", "directory": spool, "limit": "1GiB"}))
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program.binary(), "serve", "-c", path],
            env=program.environment(NOTIFY_SOCKET=supervisor.address))
        self.addCleanup(process.kill)
        self.assertTrue(supervisor.wait("READY=1"), supervisor.heard)
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        for folder, _, names in os.walk(spool):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(b'"event"', file.read(), name)


class Notify(WeirCase):
    """The protocol of sd_notify."""

    def start(self, address, watchdog=None, **change):
        """The program under a supervisor of ours."""
        supervisor = Supervisor(address)
        self.addCleanup(supervisor.socket.close)
        extra = {"NOTIFY_SOCKET": address}
        if watchdog is not None:
            extra["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        weir = Weir(program.configuration(self.receiver().url, **change), self.folder, **extra)
        self.addCleanup(self.end_weir, weir)
        return supervisor, weir

    def test_ready_alive_stopping(self):
        for address in (os.path.join(self.folder, "notify"), f"@weir-e2e-{os.getpid()}"):
            with self.subTest(address):
                supervisor, weir = self.start(address, watchdog=2)
                self.assertTrue(supervisor.wait("READY=1"), supervisor.heard)
                self.assertTrue(supervisor.wait("WATCHDOG=1", 2), supervisor.heard)
                self.assertEqual(weir.stop(), 0)
                self.assertTrue(supervisor.wait("STOPPING=1", 1, 2), supervisor.heard)
                # 20 s of drain.deadline and ten to close
                self.assertTrue(supervisor.wait("EXTEND_TIMEOUT_USEC=30000000", 1, 2))

    def test_a_reload_is_told(self):
        supervisor, weir = self.start(os.path.join(self.folder, "notify"))
        self.assertTrue(supervisor.wait("READY=1"))
        weir.process.send_signal(signal.SIGHUP)
        self.assertTrue(supervisor.wait("READY=1", 2), supervisor.heard)
        told = [text for _, text in supervisor.heard if text.startswith("RELOADING=1")]
        self.assertEqual(len(told), 1, supervisor.heard)
        usec = int(told[0].split("\n")[1].removeprefix("MONOTONIC_USEC="))
        self.assertLess(abs(time.monotonic() * 1e6 - usec), 30e6)

    def test_nobody_asked(self):
        supervisor, weir = self.start(os.path.join(self.folder, "notify"))
        self.assertTrue(supervisor.wait("READY=1"))
        self.assertEqual(weir.stop(), 0)
        supervisor.listen()
        self.assertFalse(any("WATCHDOG" in text for _, text in supervisor.heard))

    def test_an_address_that_is_none_keeps_nobody_from_serving(self):
        weir = Weir(program.configuration(self.receiver().url), self.folder,
                    NOTIFY_SOCKET="nonsense")
        self.addCleanup(self.end_weir, weir)
        self.assertEqual(len(weir.events("no word to the supervisor")), 1)

    @unittest.skipIf(program.sanitized(), "a sanitizer's own signals and stops in between")
    def test_a_stuck_thread_is_told_and_not_covered_up(self):
        supervisor, weir = self.start(os.path.join(self.folder, "notify"), watchdog=1,
                                      core_dumps=True)
        libc = ctypes.CDLL(None, use_errno=True)
        self.assertTrue(supervisor.wait("WATCHDOG=1"))
        stuck = None
        for task in os.listdir(f"/proc/{weir.process.pid}/task"):
            with open(f"/proc/{weir.process.pid}/task/{task}/comm", encoding="ascii") as file:
                stuck = int(task) if file.read().strip() == "weir-export" else stuck
        if libc.ptrace(PTRACE_ATTACH, stuck, None, None) != 0:
            self.skipTest("this user may not stop a thread")
        self.assertTrue(weir.wait_metric(lambda: weir.events("thread stuck")), weir.log_text())
        self.assertEqual(weir.events("thread stuck")[0]["thread"], "weir-export")
        supervisor.listen()
        before = len(supervisor.heard)
        time.sleep(1)  # two feeds' time, in which none may come
        supervisor.listen()
        self.assertEqual(supervisor.heard[before:], [])
        os.waitpid(stuck, 0x40000000)  # __WALL: it has stopped
        libc.ptrace(PTRACE_DETACH, stuck, None, None)
        self.assertTrue(supervisor.wait("WATCHDOG=1", 2 + before))
        self.assertTrue(weir.wait_metric(lambda: weir.events("threads move again")))


class Second(WeirCase):
    """One instance an address, one a spool."""

    def refused(self, **change):
        """The words of a start that must fail."""
        folder = os.path.join(self.folder, "second")
        os.makedirs(folder, exist_ok=True)
        path = program.write_configuration(
            os.path.join(folder, "weir.yaml"),
            program.configuration("http://127.0.0.1:9", **change))
        code, _, log = self.run_weir("serve", "-c", path)
        self.assertEqual(code, 1, log)
        failed = [json.loads(line) for line in log.splitlines() if '"start failed"' in line]
        self.assertEqual(len(failed), 1, log)
        return failed[0]

    def test_the_same_port(self):
        for host in ("127.0.0.1", "[::1]"):
            with self.subTest(host):
                first = self.weir("http://127.0.0.1:9", ingest={"listen": [host + ":0"]})
                words = self.refused(ingest={"listen": [f"{host}:{first.port}"]})
                self.assertEqual(words["what"], "ingest")
                self.assertEqual(words["address"], f"{host}:{first.port}")
                self.assertEqual(words["reason"], "the address is in use")
                words = self.refused(admin={"listen": [f"127.0.0.1:{first.ports['admin']}"]})
                self.assertEqual(words["what"], "admin")
                self.assertEqual(words["reason"], "the address is in use")
                first.stop()

    def test_the_same_spool(self):
        spool = {"durability": "disk", "directory": os.path.join(self.folder, "spool"),
                 "limit": "1GiB"}
        self.weir("http://127.0.0.1:9", spool=spool, memory_limit="64MiB")
        words = self.refused(spool=spool, memory_limit="64MiB")
        self.assertEqual(words["reason"], "it is locked")
        self.assertIn("another weir has it", words["do"])

    def test_many_at_once_on_one_port(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        processes = []
        for number in range(6):
            folder = os.path.join(self.folder, str(number))
            os.mkdir(folder)
            path = program.write_configuration(
                os.path.join(folder, "weir.yaml"),
                program.configuration("http://127.0.0.1:9", admin={"listen": []},
                                      ingest={"listen": [f"127.0.0.1:{port}"]}))
            processes.append(subprocess.Popen(
                [program.binary(), "serve", "-c", path], cwd=folder, stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, env=program.environment()))
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and \
                    sum(process.poll() is None for process in processes) > 1:
                time.sleep(0.05)
            living = [process for process in processes if process.poll() is None]
            self.assertEqual(len(living), 1)
            self.assertEqual({p.returncode for p in processes if p not in living}, {1})
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
                process.wait(30)


class Health(WeirCase):
    """`weir health`, for containers."""

    def test_it_asks(self):
        weir = self.weir(self.receiver(), drain={"grace": "5s"})
        address = f"127.0.0.1:{weir.ports['admin']}"
        self.assertEqual(self.run_weir("health", address)[:2], (0, "ok\n"))
        self.assertEqual(self.run_weir("health", "--ready", address)[:2], (0, "ready\n"))
        weir.signal(signal.SIGTERM)
        self.assertTrue(weir.wait_metric(lambda: weir.events("stopping")))
        self.assertEqual(self.run_weir("health", address)[0], 0)  # alive all the same
        self.assertEqual(self.run_weir("health", "--ready", address)[:2],
                         (1, "not ready: draining\n"))

    def test_nobody_is_there(self):
        for address in ("127.0.0.1:9", "[::1]:9", "nonsense", "a:b", ":1", "127.0.0.1:"):
            self.assertEqual(self.run_weir("health", address)[0], 1, address)
        self.assertEqual(self.run_weir("health", "a", "b")[0], 2)
        self.assertEqual(self.run_weir("health", "--nonsense")[0], 2)


class Files(unittest.TestCase):
    """What is in deploy/."""

    def test_the_unit_exposes_little(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not there")
        unit = os.path.join(case.ROOT, "deploy/systemd/weir.service")
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15",
                               unit], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Overall exposure level", done.stdout)

    def test_the_image_writes_only_its_volume(self):
        with open(os.path.join(case.ROOT, "deploy/container/Containerfile"),
                  encoding="utf-8") as file:
            lines = file.read().splitlines()
        self.assertEqual([line for line in lines if line.startswith("FROM")],
                         ["FROM debian:bookworm-slim AS build", "FROM debian:bookworm-slim"])
        self.assertIn("USER 65532:65532", lines)
        self.assertEqual([line for line in lines if line.startswith("VOLUME")],
                         ["VOLUME /var/lib/weir"])
        self.assertTrue(any(line.startswith("HEALTHCHECK") for line in lines))

    @unittest.skipIf(program.binary() is None, "WEIR_BIN names no program")
    def test_the_images_configuration_is_sound(self):
        config = os.path.join(case.ROOT, "deploy/container/weir.yaml")
        key = os.path.join("/tmp", f"weir-e2e-key-{os.getpid()}")
        with open(key, "w", encoding="ascii") as file:
            file.write("a-key-of-the-image")
        os.chmod(key, 0o600)
        try:
            done = subprocess.run(
                [program.binary(), "check", "-c", config], capture_output=True, text=True,
                check=False, timeout=60,
                env=program.environment(WEIR_ENDPOINT="https://otlp.example.com",
                                        WEIR_ACCESS_KEY_FILE=key))
        finally:
            os.unlink(key)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("a-key-of-the-image", done.stdout + done.stderr)


if __name__ == "__main__":
    case.main()
