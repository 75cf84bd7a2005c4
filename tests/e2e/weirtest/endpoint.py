# SPDX-License-Identifier: Apache-2.0
"""An endpoint that takes Firehose's deliveries and breaks the rules it is told to, TLS in front of
a plain port, and the case that probes them with `weir probe`."""
import gzip
import http.server
import json
import re
import socket
import threading
import time
import zlib

from .case import WeirCase

KEY = "s3cret-of-the-endpoint"
LINE = re.compile(r"^(ok|warn|fail|skip) +(.+?) +-- (.*)$", re.M)


class Endpoint(http.server.BaseHTTPRequestHandler):
    """A receiver that keeps all of Firehose's rules, but for what `rules` of its server say."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, -1

    def log_message(self, *_):
        """Says nothing."""

    def body(self):
        """The request's body as it was sent."""
        if self.headers.get("Expect") == "100-continue" and "no_100" not in self.server.rules:
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        if self.headers.get("Transfer-Encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def verdict(self, raw):
        """(status, words) of a delivery."""
        rules = self.server.rules
        if len(raw) > rules.get("body_max", 1 << 40):
            return rules.get("too_large", 413), "too large"
        if sum(len(k) + len(v) for k, v in self.headers.items()) > rules.get("head_max", 1 << 40):
            return 431, "head too large"
        key = self.headers.get("X-Amz-Firehose-Access-Key")
        is_let_in = "any_key" in rules or (key is None and "optional_key" in rules)
        if key != rules.get("only_key", KEY) and not is_let_in:
            return rules.get("unauthorized", 401), f"not {KEY}"
        try:
            packed = self.headers.get("Content-Encoding") == "gzip"
            if packed and "no_gzip" in rules:
                return 400, "no gzip here"
            body = json.loads(gzip.decompress(raw) if packed else raw)
        except (ValueError, OSError, EOFError, zlib.error):
            return rules.get("damaged", 400), "damaged"
        if not body["records"] and "no_empty" in rules:
            return 400, "no records"
        seen = body["requestId"] in self.server.ids
        self.server.ids.add(body["requestId"])
        self.server.records += body["records"]
        return (409, "known") if seen and "once" in rules else (200, "")

    def reply(self, status, words):
        """(headers, body) as Firehose wants them, and then not."""
        body = {"requestId": self.headers.get("X-Amz-Firehose-Request-Id", ""),
                "timestamp": int(time.time() * 1000)}
        body |= {"errorMessage": words} if words else {}
        change = self.server.rules.get("error_body" if status != 200 else "body", {})
        body = {key: value for key, value in (body | change).items() if value is not None}
        data = self.server.rules.get("raw", json.dumps(body).encode())
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        headers |= self.server.rules.get("headers", {})
        return {key: value for key, value in headers.items() if value is not None}, data

    def do_POST(self):
        """One delivery."""
        self.server.count += 1
        rules = self.server.rules
        self.server.ended.wait(rules.get("delay", 0))
        if int(self.headers.get("Content-Length", 0)) > rules.get("early_max", 1 << 40):
            status, words, self.close_connection = 413, "early", True  # the body stays unread
        elif "redirect" in rules:
            status, words, _ = 302, "elsewhere", self.body()
        else:
            status, words = self.verdict(self.body())
        headers, data = self.reply(status, words)
        self.send_response_only(status)
        if "redirect" in rules:
            headers["Location"] = rules["redirect"]
        for name, value in headers.items():
            self.send_header(name, value)
        if "closes" in rules:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        while "endless" in rules:
            self.wfile.write(b"x" * 65536)

    def do_GET(self):
        """Nothing for Firehose."""
        self.send_response_only(405)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    """An Endpoint on a port of its own, with `rules`, in front of TLS when it has a context."""
    daemon_threads = True

    def __init__(self, rules, context=None):
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.rules, self.count, self.ids, self.records = rules, 0, set(), []
        self.ended = threading.Event()
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        """A probe that hangs up is no error."""


class Terminator:
    """TLS in front of a plain port: what a balancer does."""

    def __init__(self, context, port):
        self.context, self.port = context, port
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """A thread for each connection."""
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        """The handshake, then bytes in both directions."""
        try:
            inside = self.context.wrap_socket(client, server_side=True)
            outside = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        inside.settimeout(0.02)  # one thread may use an SSL object at a time: turn by turn
        outside.setblocking(False)
        try:
            while self.turn(inside, outside):
                pass
        except OSError:
            pass
        inside.close()
        outside.close()

    @staticmethod
    def turn(inside, outside):
        """Moves what there is; False at an end."""
        try:
            if not (data := inside.recv(1 << 18)):
                return False
            outside.setblocking(True)
            outside.sendall(data)
            outside.setblocking(False)
        except TimeoutError:
            pass
        try:
            if not (data := outside.recv(1 << 18)):
                return False
            inside.settimeout(10)
            inside.sendall(data)
            inside.settimeout(0.02)
        except BlockingIOError:
            pass
        return True


class ProbeCase(WeirCase):
    """Runs `weir probe`: what it prints, and its exit code."""

    def probe(self, url, *options, key=KEY, body="64KiB"):
        """(exit code, {check: (level, found)}, all output)."""
        extra = {"WEIR_PROBE_KEY": key} if key else {}
        code, out, err = self.run_weir("probe", "--private", "--body", body, "--timeout", "10s",
                                       *options, url, **extra)
        if key:
            self.assertNotIn(key, out + err)
        self.assertTrue((out + err).isascii())
        return code, {what: (level, found) for level, what, found in LINE.findall(out)}, out + err

    def server(self, context=None, **rules):
        """A running Endpoint."""
        server = Server(rules, context)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(server.ended.set)
        return server

    def probe_plain(self, *options, key=KEY, **rules):
        """Probes an endpoint without TLS that breaks these rules."""
        server = self.server(**rules)
        return self.probe(f"http://127.0.0.1:{server.server_port}/", "--plain-http", *options,
                          key=key)

    def assert_finds(self, level, what, words, *options, key=KEY, **rules):
        """Exactly the check `what` is not ok."""
        code, lines, out = self.probe_plain(*options, key=key, **rules)
        self.assertIn(what, lines, out)
        self.assertEqual(lines[what][0], level, out)
        self.assertIn(words, lines[what][1])
        self.assertEqual(code, 1 if level == "fail" else 0, out)
        others = {name for name, line in lines.items() if line[0] in ("warn", "fail")} - {what}
        self.assertEqual(others, set(), out)
