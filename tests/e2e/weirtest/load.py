# SPDX-License-Identifier: Apache-2.0
"""weir-load and weir-sink, the two programs of bench/, as a test runs them."""
import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading

from . import program


def path(name):
    """The whole path of `weir-load` or `weir-sink`, or None where it was not built."""
    found = os.environ.get(name.upper().replace("-", "_") + "_BIN", "")
    return os.path.abspath(found) if found and os.access(found, os.X_OK) else None


class Sink:
    """A running weir-sink on a port of the kernel's choice."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [path("weir-sink"), "--listen", "127.0.0.1:0", *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=program.environment())
        self.errors = []
        for line in self.process.stderr:
            if line.startswith('{"event":"ready"'):
                break
            self.errors.append(line)
        else:
            self.close()
            self.process.stderr.close()
            raise AssertionError("weir-sink did not start:\n" + "".join(self.errors))
        self.address = json.loads(line)["listen"]
        self.url = "http://" + self.address
        self.reader = threading.Thread(target=self.read_errors, daemon=True)
        self.reader.start()

    def read_errors(self):
        """Keeps the rest of standard error."""
        self.errors.extend(self.process.stderr)

    def close(self):
        """Reads its output to the end: the exit code."""
        self.process.stdout.read()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def ask(self, method, where, body=None):
        """(status, text) of a control request."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, where, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def accounts(self):
        """What it has so far."""
        return json.loads(self.ask("GET", "/accounts")[1])

    def faults(self, spec):
        """From now on these."""
        status, text = self.ask("PUT", "/faults", spec)
        if status != 200:
            raise AssertionError(f"PUT /faults {spec}: {status} {text}")

    def stop(self):
        """Ends it: (exit code, standard error)."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.close()
        self.reader.join(10)
        self.process.stderr.close()
        return code, "".join(self.errors)


def load(*arguments, **environment):
    """Runs weir-load to its end: (exit code, standard output, standard error)."""
    done = subprocess.run(
        [path("weir-load"), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False, env=program.environment(**environment))
    return done.returncode, done.stdout, done.stderr


class Running:
    """weir-load beside the test, until `end` interrupts it."""

    def __init__(self, *arguments, **environment):
        self.files = [tempfile.TemporaryFile("w+") for _ in range(2)]
        self.process = subprocess.Popen(
            [path("weir-load"), "--json", "--duration", "10m", *arguments],
            stdin=subprocess.DEVNULL, stdout=self.files[0], stderr=self.files[1],
            env=program.environment(**environment))

    def end(self, seconds=60):
        """It begins nothing new, brings what it began to its end, and asks for the verdict:
        (exit code, its result or None, standard error). Ends it in any case."""
        try:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(seconds)
            out, errors = ([file.seek(0), file.read()][1] for file in self.files)
        finally:
            self.kill()
        return self.process.returncode, json.loads(out) if out else None, errors

    def kill(self):
        """Ends it at once, if it has not ended, and forgets what it said."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for file in self.files:
            file.close()
