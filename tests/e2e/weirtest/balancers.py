# SPDX-License-Identifier: Apache-2.0
"""HAProxy and nginx as processes of a test, with the configurations of deploy/ and other ports."""
import os
import re
import shutil
import socket
import subprocess
import threading
import time

DEPLOY = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../deploy"))


def program(name):
    """Where a program is, or None; those of /usr/sbin are not on everybody's path."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port():
    """A port that nobody listened on a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def replaced(text, pattern, new):
    """The text with the only match of this pattern replaced; no match is a failure."""
    result, count = re.subn(pattern, lambda _: new, text, flags=re.MULTILINE)
    if count != 1:
        raise AssertionError(f"{count} times in the configuration: {pattern}")
    return result


class Balancer:
    """A running balancer on `port`. `forwarded()` counts what it has sent on, by its own log."""
    name = None

    def __init__(self, folder, ports, options=""):
        self.folder, self.port, self.lines = folder, free_port(), []
        self.process = subprocess.Popen(
            self.command(self.configure(ports, options)), cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 15
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.name} did not start:\n" + "\n".join(self.lines))
            time.sleep(0.02)

    def listens(self):
        """Whether somebody is there."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def read(self):
        """Keeps what it says."""
        for raw in self.process.stdout:
            self.lines.append(raw.decode(errors="replace").rstrip("\n"))

    def stop(self):
        """Ends it at once."""
        self.process.kill()
        self.process.wait()
        self.thread.join(10)
        if not self.process.stdout.closed:
            self.process.stdout.close()

    def path(self, name):
        """A file in the test's folder."""
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Writes one."""
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)


class Haproxy(Balancer):
    """deploy/haproxy/weir.cfg; `options` go behind each server. `ports` are ports, or addresses."""
    name = "haproxy"

    def configure(self, ports, options):
        """The file with this test's addresses, without TLS."""
        with open(os.path.join(DEPLOY, "haproxy/weir.cfg"), encoding="utf-8") as file:
            text = file.read()
        text = replaced(text, r"^    bind :443 .*$", f"    bind 127.0.0.1:{self.port}")
        text = replaced(text, r"^    default-server check inter 1s",
                        f"    default-server {options} check inter 100ms")
        text = replaced(text, r"mod\(3\)", f"mod({len(ports)})")
        for n in range(1, 4):
            if n <= len(ports):
                address = ports[n - 1] if ":" in str(ports[n - 1]) else f"127.0.0.1:{ports[n - 1]}"
                text = replaced(text, rf"192\.0\.2\.1{n}:8080", address)
            else:
                text = replaced(text, rf"^    server weir-{n} .*$", "")
                text = replaced(text, rf"^    http-request sc-set-gpt0\(0\) {n} .*$", "")
        return self.write("haproxy.cfg", text)

    def command(self, path):
        """In the foreground."""
        return [program("haproxy"), "-db", "-f", path]

    def forwarded(self, path=""):
        """Lines of requests that reached a server, those with this in their target."""
        return sum(" weir/weir-" in line and path in line for line in self.lines)


class Nginx(Balancer):
    """deploy/nginx/weir.conf inside the least of an nginx.conf."""
    name = "nginx"

    def configure(self, ports, options):
        """The file with this test's addresses, without TLS."""
        with open(os.path.join(DEPLOY, "nginx/weir.conf"), encoding="utf-8") as file:
            text = file.read()
        text = replaced(text, r"^    listen 443 ssl;$", f"    listen 127.0.0.1:{self.port};")
        text = re.sub(r"^    ssl_.*\n", "", text, flags=re.MULTILINE)
        for n, port in enumerate(ports, 1):
            text = replaced(text, rf"192\.0\.2\.1{n}:8080", f"127.0.0.1:{port}")
        if len(ports) == 1:
            text = replaced(text, r"^    server 192\.0\.2\.12.*$", "")
        self.write("weir.conf", text)
        temporary = "".join(f"{kind}_temp_path {self.path('nginx-' + kind)};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return self.write("nginx.conf", f"""
daemon off;
master_process off;
pid {self.path('nginx.pid')};
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
log_format forwarded '$upstream_status for "$request"';
access_log /dev/stdout forwarded;
{temporary}
include {self.path('weir.conf')};
}}
""")

    def command(self, path):
        """In the foreground, in one process."""
        return [program("nginx"), "-e", "stderr", "-c", path]

    def forwarded(self, path=""):
        """Lines of requests that an upstream answered, those with this in their target."""
        return sum(re.match(r"\d{3} for ", line) is not None and path in line
                   for line in self.lines)
