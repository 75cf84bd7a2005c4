# SPDX-License-Identifier: Apache-2.0
"""What the bars are measured with: weir, weir-sink and weir-load on loopback, and what /proc and
/metrics say of the gateway.

Only the gateway's own processor time counts (it has no children), from a moment at which it has
nothing to do to the next such moment, so that no work is left out: the kernel's part of it, the
syncs, the export of the last point.
"""
import contextlib
import glob
import http.server
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time

import ending

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from weirtest import program  # noqa: E402  pylint: disable=wrong-import-position

POINTS = 11600  # what fills Firehose's buffer of 3 MiB in OTLP 1.0
WORLD = ("--namespaces", "40", "--resources", "4")
MIB = 1 << 20


class Broken(Exception):
    """A measurement that did not come about; the message says why."""


class Settings:
    """Where things are, how long they may take, and which ports they use."""

    def __init__(self, build, directory, quick, port):
        self.build, self.directory, self.quick, self.port = build, directory, quick, port
        self.window = 2 if quick else 4  # seconds of load that count
        self.warm = 2 if quick else 5  # some 300 MiB: segments made, regions warm
        self.rounds = 1 if quick else 3

    def binary(self, name):
        """The path of one of our programs."""
        return os.path.join(self.build, name)

    def next_port(self):
        """A port of its own for each sink: one in TIME_WAIT is in nobody's way."""
        self.port += 1
        return self.port

    def folder(self):
        """A folder on the disk that is measured, gone afterwards."""
        return ending.folder(self.directory)


class Host:
    """What a virtual machine's host has taken of its processors since this was made."""

    def __init__(self):
        self.since = self.now()

    @staticmethod
    def now():
        """(stolen, all) ticks of all processors."""
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(one) for one in file.readline().split()[1:9]]
        return ticks[7], sum(ticks)

    def stolen(self):
        """The share of all processor time."""
        stolen, total = (b - a for a, b in zip(self.since, self.now()))
        return stolen / max(1, total)


class Gateway(program.Weir):
    """The program under test, and what it has used."""
    SETTLE = 0.3  # seconds until its threads sleep
    destinations = 1

    def peak_reset(self):
        """Lets the kernel's high-water mark begin anew."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def peak(self):
        """The high-water mark of resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024

    def kernel(self):
        """(the kernel's part of the processor time used so far, pages faulted in so far)."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            parts = file.read().rsplit(") ", 1)[1].split()
        return int(parts[12]) / os.sysconf("SC_CLK_TCK"), int(parts[7])

    def thread_seconds(self):
        """Processor time so far by the threads' names, {"thread weir-lane": seconds, ...}; those
        of one name together."""
        found = {}
        for folder in glob.glob(f"/proc/{self.process.pid}/task/*"):
            with open(f"{folder}/comm", encoding="ascii") as name, \
                    open(f"{folder}/schedstat", encoding="ascii") as times:
                key = "thread " + name.read().strip()
                found[key] = found.get(key, 0) + int(times.read().split()[0]) / 1e9
        return found

    def ended_points(self):
        """Points whose export has come to an end."""
        return int(self.metric("weir_export_points_total"))

    def counters(self):
        """What a window is measured by, all at one moment."""
        found = {}
        for (name, labels), value in self.metrics().items():
            for key in (name, *((name, *pair) for pair in labels)):
                found[key] = found.get(key, 0) + value
        kernel, faults = self.kernel()
        threads = self.thread_seconds()
        return {"cpu": self.cpu_seconds(), "kernel": kernel, "faults": faults, **threads,
                # reads back, and decodes again, what was not in memory
                "backlog": threads.get("thread weir-backlog", 0),
                "received": found.get("weir_points_received_total", 0),
                "ended": found.get("weir_export_points_total", 0),
                "sent": found.get(("weir_export_bytes_total", "encoding", "sent"), 0),
                "identity": found.get(("weir_export_bytes_total", "encoding", "identity"), 0),
                "requests": found.get(("weir_requests_total", "code", "200"), 0)}

    def drained(self, seconds=60):
        """Waits until nothing is under way; then until the threads have gone to sleep."""
        if not self.wait_metric(lambda: self.metric("weir_points_received_total") *
                                self.destinations == self.ended_points(), seconds,
                                0.2):
            raise Broken("the gateway still holds points; its log ends: " + self.log_text()[-600:])
        time.sleep(self.SETTLE)


def configuration(url, folder, **change):
    """The defaults but for what a measurement must not wait for; every destination is `url`."""
    config = program.merged({
        "ingest": {"listen": ["127.0.0.1:0"],
                   "access_keys": [{"name": "bench", "value": program.KEY}]},
        "spool": {"directory": os.path.join(folder, "spool"), "limit": "4GiB"},
        "buffer": {"interval": "500ms"},
        "drain": {"grace": "0s", "deadline": "60s"},
        "destinations": [{"name": "sink", "endpoint": url, "compression": "gzip"}],
        "admin": {"listen": ["127.0.0.1:0"]},
        "log": {"level": "info", "format": "json"},  # which tells the ports
    }, change)
    for one in config["destinations"]:
        one["endpoint"] = url
    return config


class Sink:
    """A weir-sink; `arguments` as on its command line."""

    def __init__(self, settings, *arguments):
        self.port = settings.next_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            [settings.binary("weir-sink"), "--listen", f"127.0.0.1:{self.port}", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answers = False
        try:
            answers = self.answers()
        finally:
            if not answers:
                self.stop()

    def answers(self):
        """Waits until it does; Broken when it does not."""
        for _ in range(100):
            if self.process.poll() is not None:
                raise Broken(f"weir-sink ended with {self.process.returncode}")
            try:
                self.ask("/accounts")
                return True
            except OSError:
                time.sleep(0.05)
        raise Broken("weir-sink does not answer")

    def ask(self, path, body=None):
        """A GET, or a PUT of `body`; the answer's text."""
        import urllib.request  # pylint: disable=import-outside-toplevel
        request = urllib.request.Request(self.url + path, data=body,
                                         method="GET" if body is None else "PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return answer.read().decode()

    def stop(self):
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def sink(settings, *arguments):
    """A sink for as long as the block takes."""
    one = Sink(settings, *arguments)
    try:
        yield one
    finally:
        one.stop()


@contextlib.contextmanager
def gateway(settings, url, **change):
    """A gateway with an empty spool on the measured disk, for as long as the block takes."""
    with settings.folder() as folder:
        config = configuration(url, folder, **change)
        os.environ["WEIR_BIN"] = settings.binary("weir")
        one = Gateway(config, folder)
        one.destinations = len(config["destinations"])
        try:
            yield one
        finally:
            one.kill()


def load(settings, weir, *arguments, seconds=None, may_fail=False):
    """Runs weir-load to its end: its result, a dict."""
    duration = f"{1000 * (seconds or settings.window):.0f}ms"
    command = [settings.binary("weir-load"), "--json", "--retry-window", "20s", *arguments,
               "--duration", duration, f"http://127.0.0.1:{weir.port}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400,
                          env=program.environment(WEIR_ACCESS_KEY=program.KEY))
    if done.returncode not in ((0, 1) if may_fail else (0,)):
        raise Broken(f"{' '.join(command)}: {done.returncode}: {done.stderr[-600:]}")
    return json.loads(done.stdout)


def window(settings, weir, *arguments, seconds=None):
    """One load, from idle to idle: what it took of the gateway, a dict of differences. Its rate is
    that of points which have also left, so what piled up meanwhile does not make it faster."""
    weir.drained()
    before = weir.counters()
    told = load(settings, weir, *arguments, seconds=seconds)
    begun = time.monotonic()
    weir.drained()
    behind = time.monotonic() - begun - weir.SETTLE - 0.5  # what is due with the interval is not
    took = told["seconds"] + max(0.0, behind)
    after = weir.counters()
    used = {name: after[name] - before.get(name, 0) for name in after}
    used["points_per_s"] = used["ended"] / took
    used["requests_per_s"] = used["requests"] / took
    used["load"] = told
    if used["ended"] == 0:
        raise Broken("no point arrived")
    return used


def bodies(settings, folder, form, count=8, points=POINTS, world=WORLD):
    """Bodies of the same world as weir-load's, as files: the paths."""
    os.makedirs(folder, exist_ok=True)
    names = {"otlp10": "1.0", "otlp07": "0.7", "json": "json"}
    command = [settings.binary("weir-bench"), "bodies", "--out", folder, "--count", str(count),
               "--points", str(points), "--format", names[form], "--gzip", "6", *world]
    run(command)
    return sorted(glob.glob(os.path.join(folder, "*")))


def limit(settings, body_files, batch_files=(), seconds=0.4):
    """What libdeflate alone needs: weir-bench's answer, a dict."""
    command = [settings.binary("weir-bench"), "limit", "--seconds", str(seconds), "--level", "1",
               "--bodies", *body_files]
    if batch_files:
        command += ["--batches", *batch_files]
    return json.loads(run(command))


def run(command, **how):
    """A program's standard output; Broken when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **how)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command[:6]))}: {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def percentile(values, share):
    """The value that `share` of all do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def syncs(settings, size, seconds):
    """Times of writing `size` bytes and one fdatasync each, into a file that was filled before, as
    the spool's segments are: a list of seconds."""
    with settings.folder() as folder:
        path = os.path.join(folder, "file")
        room = max(64 * MIB, 2 * size)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            for at in range(0, room, MIB):
                os.pwrite(descriptor, bytes(MIB), at)
            os.fsync(descriptor)
            data, times, at = os.urandom(size), [], 0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                at = 0 if at + size > room else at
                begun = time.perf_counter()
                os.pwrite(descriptor, data, at)
                os.fdatasync(descriptor)
                times.append(time.perf_counter() - begun)
                at += size
            return times
        finally:
            os.close(descriptor)


class ProbeHandler(http.server.BaseHTTPRequestHandler):
    """One connection of the exporter."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Silence."""

    def do_POST(self):  # pylint: disable=invalid-name
        """Notes when each probe came; decodes nothing, so that Python keeps up."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        now = time.monotonic()
        for found in re.findall(rb"probe-\d{6}", body):
            self.server.seen.setdefault(found.decode(), now)
        self.server.bytes += len(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class ProbeSink:
    """A backend that looks for probes and for nothing else; the gateway sends uncompressed."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ProbeHandler)
        self.server.daemon_threads, self.server.seen, self.server.bytes = True, {}, 0
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def middle(values):
    """Median, and how far the extremes are apart as a share of it."""
    median = statistics.median(values)
    return median, (max(values) - min(values)) / median if median else 0.0
