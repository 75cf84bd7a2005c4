# SPDX-License-Identifier: Apache-2.0
"""The real program: configuration in a temporary folder, ports of the kernel's choice, its log."""
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time

SANITIZER = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
KEY = "test-key"


def binary():
    """The whole path of the program under test (it runs in folders of its own), or None."""
    path = os.environ.get("WEIR_BIN", "")
    return os.path.abspath(path) if path and os.access(path, os.X_OK) else None


def sanitized():
    """Whether the program carries a sanitizer (its memory is then no measure)."""
    return bool(os.environ.get("WEIR_SANITIZE"))


def environment(**extra):
    """The program's environment: nothing of the caller's OTEL_* or proxy settings."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith("OTEL_") and "proxy" not in name.lower()}
    return kept | extra


def merged(base, change):
    """`base` with `change` laid over it, mapping by mapping; None takes a key out."""
    result = dict(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def configuration(endpoint, **change):
    """A whole configuration for tests: quick buffers and retries, everything on loopback. A
    destination with an empty endpoint gets this one."""
    config = merged({
        "ingest": {"listen": ["127.0.0.1:0"], "threads": 2,
                   "access_keys": [{"name": "test", "value": KEY}]},
        "spool": {"durability": "memory"},
        "buffer": {"interval": "200ms"},
        "retry": {"initial": "100ms", "max": "300ms"},
        "drain": {"grace": "0s", "deadline": "20s"},
        "destinations": [{"name": "backend", "endpoint": endpoint}],
        "admin": {"listen": ["127.0.0.1:0"]},
        "log": {"level": "info", "format": "json"},
    }, change)
    for destination in config["destinations"]:
        if destination.get("endpoint") == "":
            destination["endpoint"] = endpoint
    return config


def write_configuration(path, config):
    """Writes it as JSON, which is YAML as well."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    return path


class Weir:
    """A running `weir serve`."""

    def __init__(self, config, folder, **extra_environment):
        self.log, self.ports, self.signalled, self.ready = [], {}, False, False
        self.changed = threading.Condition()
        path = write_configuration(os.path.join(folder, "weir.yaml"), config)
        self.process = subprocess.Popen(
            [binary(), "serve", "-c", path], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**extra_environment))
        self.out = []
        self.threads = [threading.Thread(target=self.read_log, daemon=True),
                        threading.Thread(target=self.read_out, daemon=True)]
        for thread in self.threads:
            thread.start()
        started = False
        try:
            with self.changed:
                self.changed.wait_for(lambda: self.ready or self.ended(), 30)
                started = self.ready and not self.ended()
        finally:
            if not started:  # nor when a signal's handler raised: nobody else could end it
                self.kill()
        if not started:
            raise AssertionError("weir did not start:\n" + self.log_text())

    def read_log(self):
        """Keeps the lines of standard error and learns the ports from them."""
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            with self.changed:
                self.log.append(line)
                self.learn(line)
                self.changed.notify_all()
        self.process.wait()  # whoever waits for `ready` looks whether the process has ended
        with self.changed:
            self.changed.notify_all()

    def learn(self, line):
        """A `listening` event names one address; `ready` comes when all are there and served."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if event.get("event") == "listening" and "address" in event:
            self.ports.setdefault(event["kind"], int(event["address"].rsplit(":", 1)[1]))
        self.ready = self.ready or event.get("event") == "ready"

    def read_out(self):
        """Keeps the lines of standard output (a stdout destination writes there)."""
        for raw in self.process.stdout:
            self.out.append(raw.decode(errors="replace").rstrip("\n"))

    def ended(self):
        """Whether the process is gone."""
        return self.process.poll() is not None

    def log_text(self):
        """Everything on standard error so far."""
        return "\n".join(self.log)

    def events(self, name):
        """The log's events of one name."""
        found = []
        for line in list(self.log):
            if line.startswith("{") and json.loads(line).get("event") == name:
                found.append(json.loads(line))
        return found

    @property
    def port(self):
        """The ingest port."""
        return self.ports["ingest"]

    def admin(self, path):
        """(status, headers, body text) of a GET on the admin listener."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["admin"], timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """The samples of /metrics: {(name, frozenset of label pairs): value}."""
        return samples(self.admin("/metrics")[2])

    def metric(self, name, **labels):
        """The sum of a family's samples that carry these labels."""
        wanted = set(labels.items())
        return sum(value for (family, pairs), value in self.metrics().items()
                   if family == name and wanted <= pairs)

    def wait_metric(self, condition, seconds=20, every=0.05):
        """Whether `condition()` comes true in time, asked every 50 ms."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(every)
        return False

    def resident(self):
        """The process's resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        return int(found.group(1)) * 1024

    def cpu_seconds(self):
        """Processor time used so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            parts = file.read().rsplit(") ", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number=signal.SIGTERM):
        """Sends a signal; `stop` then sends none, because a second one means: at once."""
        self.signalled = True
        self.process.send_signal(number)

    def stop(self, seconds=60):
        """SIGTERM (unless it has had a signal), and the exit code; an AssertionError when it does
        not end in time."""
        if not self.ended() and not self.signalled:
            self.signal()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            self.kill()
            raise AssertionError(f"no end {seconds} s after SIGTERM:\n{self.log_text()}") from late
        self.close()
        return code

    def kill(self):
        """Ends it at once."""
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self):
        """Reads its output to the end."""
        for thread in self.threads:
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def sanitizer_report(self):
        """What a sanitizer wrote, or None."""
        text = self.log_text()
        return text if SANITIZER.search(text) else None


LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text):
    """Prometheus text as {(name, frozenset of label pairs): value}."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name, _, labels = series.partition("{")
            found[(name, frozenset(LABEL.findall(labels)))] = float(value)
    return found
