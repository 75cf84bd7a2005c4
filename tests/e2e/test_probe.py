#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weir probe` against the program itself, plain and behind TLS, and against endpoints that break
one rule each: every one must be found."""
import gzip
import http.server
import json
import os
import re
import socket
import ssl
import threading
import time
import zlib

from weirtest import case, certs, program
from weirtest.case import WeirCase

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
        if key != KEY and not (key is None and "optional_key" in rules) and "any_key" not in rules:
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
        if self.server.count > rules.get("breaks_after", 1 << 40):
            return 500, "broken"
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


class Probe(WeirCase):
    """What it prints, and its exit code."""

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

    # -- what is fit ---------------------------------------------------------------------------

    def test_weir_is_fit(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        code, lines, out = self.probe(f"http://127.0.0.1:{weir.port}/", "--plain-http", "--large",
                                      key=program.KEY, body="4MiB")
        self.assertEqual(code, 0, out)
        self.assertEqual({line[0] for line in lines.values()}, {"ok", "skip"}, out)
        for what in ("delivery", "answer", "wrong key", "no key", "errors", "gzip", "damaged JSON",
                     "damaged gzip", "repetition", "keep-alive", "GET", "100-continue", "chunked",
                     "largest head", "largest body", "largest body, plain", "largest body, base64"):
            self.assertEqual(lines[what][0], "ok", out)
        self.assertIn("left behind: nothing", out)
        self.assertEqual(weir.metric("weir_points_total"), 0)
        self.assertEqual(weir.metric("weir_quarantined_total"), 0)

    def test_a_metric_only_where_it_is_asked_for(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        for number, form in enumerate(("json", "otlp-1.0"), 1):
            code, lines, out = self.probe(f"http://127.0.0.1:{weir.port}/", "--plain-http",
                                          "--send-metric", form, key=program.KEY)
            self.assertEqual((code, lines["metric"][0]), (0, "ok"), out)
            self.assertIn("left behind: 1 point of weir.probe", out)
            self.assertTrue(receiver.wait_count(number, 20))

    def test_weir_behind_tls_is_fit(self):
        weir = self.weir(self.receiver())
        authority = certs.Authority(self.folder)
        context = self.context(authority.issue(kind="rsa"))
        front = Terminator(context, weir.port)
        self.addCleanup(front.listener.close)
        code, lines, out = self.probe(
            "https://localhost/", "--connect-to", f"127.0.0.1:{front.listener.getsockname()[1]}",
            "--ca-file", authority.file, key=program.KEY)
        self.assertEqual(code, 0, out)
        self.assertIn("ECDHE-RSA-AES128-GCM-SHA256", lines["TLS 1.2"][1])
        for what in ("TLS 1.2", "TLS 1.3", "certificate chain", "certificate name",
                     "certificate dates", "certificate key", "largest head", "largest body"):
            self.assertEqual(lines[what][0], "ok", out)

    def test_json(self):
        server = self.server()
        code, out, _ = self.run_weir(
            "probe", "--private", "--plain-http", "--json", "--body", "64KiB",
            f"http://127.0.0.1:{server.server_port}/?token=hidden", WEIR_PROBE_KEY=KEY)
        found = json.loads(out)
        self.assertEqual((code, found["fit"]), (0, True))
        self.assertNotIn("hidden", out)
        self.assertEqual(found["sent"]["metrics_left_behind"], 0)
        self.assertEqual(found["sent"]["requests"], server.count + 1)  # and the GET
        self.assertIn({"level": "ok", "what": "GET", "found": "405, harmless"}, found["checks"])

    def test_the_key_from_a_file(self):
        path = os.path.join(self.folder, "key")
        with open(path, "w", encoding="utf-8") as file:
            file.write(KEY + "\n")
        code, _, out = self.probe_plain("--key-file", path, key=None)
        self.assertEqual(code, 0, out)
        self.assertNotIn(KEY, out)

    # -- one broken rule each ------------------------------------------------------------------

    def test_answers(self):
        for words, rules in (
                ("no requestId", {"body": {"requestId": None}}),
                ("not the request's", {"body": {"requestId": "other"}}),
                ("is a text", {"body": {"timestamp": "1767225600000"}}),
                ("the field status", {"body": {"status": "ok"}}),
                ("Content-Type is text/html", {"headers": {"Content-Type": "text/html"}}),
                ("Content-Encoding", {"headers": {"Content-Encoding": "gzip"}})):
            with self.subTest(words):
                self.assert_finds_answer("fail", words, **rules)
        self.assert_finds_answer("warn", "seconds", body={"timestamp": int(time.time())})

    def assert_finds_answer(self, level, words, **rules):
        """The check `answer`; what is in the headers is wrong of errors as well."""
        code, lines, out = self.probe_plain(**rules)
        self.assertEqual(lines["answer"][0], level, out)
        self.assertIn(words, lines["answer"][1])
        self.assertEqual(code, 1 if level == "fail" else 0)
        others = {name for name, line in lines.items() if line[0] in ("warn", "fail")}
        self.assertLessEqual(others, {"answer", "errors"}, out)

    def test_an_answer_that_is_no_json(self):
        _, lines, out = self.probe_plain(raw=b"\x1b[31mOK\r\n")
        self.assertEqual(lines["answer"][0], "fail", out)
        self.assertIn("\\x1b[31mOK\\x0d\\x0a", lines["answer"][1])
        self.assertNotIn("\x1b", out)

    def test_an_endless_answer(self):
        begun = time.monotonic()
        code, lines, out = self.probe_plain(endless=True, headers={"Content-Length": "1" + "0" * 15})
        self.assertEqual(code, 1)
        self.assertIn("longer than 1 MiB", lines["answer"][1], out)
        self.assertLess(time.monotonic() - begun, 50)

    def test_keys(self):
        for what, rules in (("no key", {"optional_key": True}),
                            ("no key", {"any_key": True})):
            code, lines, out = self.probe_plain(**rules)
            self.assertEqual((code, lines[what][0]), (1, "fail"), out)
            self.assertIn("anybody", lines[what][1])
        self.assertEqual(lines["wrong key"][0], "fail")
        code, lines, out = self.probe_plain(key=None, any_key=True)
        self.assertEqual((code, lines["no key"][0]), (1, "fail"), out)
        code, lines, out = self.probe_plain(key=None)
        self.assertEqual(code, 1)
        self.assertIn("--key-file", lines["delivery"][1], out)
        code, lines, out = self.probe_plain(unauthorized=403)
        self.assertEqual((code, lines["wrong key"][0], lines["no key"][0]), (0, "warn", "warn"))
        code, lines, out = self.probe_plain(unauthorized=413)
        self.assertEqual((code, lines["wrong key"][0]), (1, "fail"), out)

    def test_errors_without_an_id(self):
        self.assert_finds("warn", "errors", "no requestId", error_body={"requestId": None})

    def test_bodies(self):
        self.assert_finds("fail", "largest body", "without S3", body_max=3000)
        self.assert_finds("fail", "largest body", "passes: 8 KiB", body_max=3000)
        self.assert_finds("fail", "largest body", "retry duration", body_max=3000, too_large=400)

    def test_a_body_refused_before_its_end(self):
        server = self.server(early_max=100000)
        code, lines, out = self.probe(f"http://127.0.0.1:{server.server_port}/", "--plain-http",
                                      body="16MiB")
        self.assertEqual((code, lines["largest body"][0]), (1, "fail"), out)
        self.assertIn("413", lines["largest body"][1])

    def test_a_key_that_comes_back_cut(self):
        long_key = "k" * 300
        _, _, out = self.probe_plain(key=long_key, error_body={"errorMessage": "not " + long_key})
        self.assertNotIn("kkk", out)

    def test_heads(self):
        self.assert_finds("fail", "largest head", "passes: 8 KiB", head_max=9000)
        self.assert_finds("fail", "largest head", "passes: none", head_max=1000)
        code, _, out = self.probe_plain("--head", "8KiB", head_max=9000)
        self.assertEqual(code, 0, out)

    def test_redirects(self):
        code, lines, out = self.probe_plain(redirect="https://elsewhere.example.com/")
        self.assertEqual(code, 1)
        self.assertIn("no redirect", lines["delivery"][1], out)
        self.assertIn("elsewhere.example.com", lines["redirect"][1])

    def test_damage(self):
        code, lines, out = self.probe_plain(damaged=200)
        self.assertEqual(code, 0, out)
        self.assertEqual((lines["damaged JSON"][0], lines["damaged gzip"][0]), ("warn", "warn"))
        code, lines, out = self.probe_plain(damaged=413)
        self.assertEqual((code, lines["damaged JSON"][0]), (1, "fail"), out)

    def test_no_gzip(self):
        code, lines, out = self.probe_plain(no_gzip=True)
        self.assertEqual((code, lines["gzip"][0], lines["largest body"][0]), (1, "fail", "fail"), out)

    def test_repetition(self):
        self.assert_finds("fail", "repetition", "409", once=True)

    def test_connections(self):
        self.assert_finds("warn", "keep-alive", "handshake", closes=True)

    def test_clock(self):
        self.assert_finds("warn", "clock", "NTP", headers={"Date": "Sat, 01 Jan 2022 00:00:00 GMT"})

    def test_slow(self):
        server = self.server(delay=30)
        code, lines, out = self.probe(f"http://127.0.0.1:{server.server_port}/", "--plain-http",
                                      "--timeout", "500ms")
        self.assertEqual(code, 1)
        self.assertIn("no answer", lines["delivery"][1], out)
        self.assertEqual(lines["the rest"][0], "skip")

    def test_an_endpoint_that_takes_no_empty_delivery(self):
        code, lines, out = self.probe_plain(no_empty=True)
        self.assertEqual(code, 1)
        self.assertIn("--send-metric", lines["delivery"][1], out)
        server = self.server(no_empty=True)
        code, lines, out = self.probe(f"http://127.0.0.1:{server.server_port}/", "--plain-http",
                                      "--send-metric", "json")
        self.assertEqual(code, 0, out)
        self.assertIn(f"left behind: {len(server.records)} points", out)

    # -- the way -------------------------------------------------------------------------------

    def test_plain_http(self):
        server = self.server()
        code, lines, out = self.probe(f"http://127.0.0.1:{server.server_port}/")
        self.assertEqual((code, lines["TLS"][0], lines["requests"][0]), (1, "fail", "skip"), out)
        self.assertEqual(server.count, 0)

    def test_a_private_address(self):
        server = self.server()
        code, out, _ = self.run_weir("probe", "--plain-http", "--body", "64KiB",
                                     f"http://localhost:{server.server_port}/", WEIR_PROBE_KEY=KEY)
        self.assertEqual(code, 1)
        self.assertRegex(out, r"(?m)^fail +name .*127\.0\.0\.1.*public")

    def test_usage(self):
        for arguments in ((), ("a", "b"), ("ftp://x/",), ("--key", "x", "https://x/"),
                          ("--connect-to", "x", "https://x/"), ("--body", "1", "https://x/"),
                          ("--send-metric", "xml", "https://x/"), ("--timeout", "0", "https://x/")):
            with self.subTest(arguments):
                self.assertEqual(self.run_weir("probe", *arguments)[0], 2)

    # -- certificates --------------------------------------------------------------------------

    def context(self, certificate, **limits):
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(certificate.certificate, certificate.key)
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    def probe_tls(self, certificate, ca_file, host="localhost", **limits):
        """(exit code, lines, output, how many requests came) of an endpoint with TLS."""
        server = self.server(self.context(certificate, **limits))
        url = f"https://{host}/"
        result = self.probe(url, "--connect-to", f"127.0.0.1:{server.server_port}", "--ca-file",
                            ca_file)
        return *result, server.count

    def assert_distrusts(self, what, words, certificate, ca_file, **how):
        """This line fails, alone, and no request is sent."""
        code, lines, out, count = self.probe_tls(certificate, ca_file, **how)
        self.assertEqual(code, 1)
        self.assertEqual(lines[what][0], "fail", out)
        self.assertIn(words, lines[what][1])
        self.assertEqual([name for name, line in lines.items() if line[0] == "fail"], [what], out)
        self.assertEqual(count, 0)
        self.assertEqual(lines["requests"][0], "skip")

    def test_certificates(self):
        authority = certs.Authority(self.folder)
        other = certs.Authority(self.folder, "other")
        self.assert_distrusts("certificate dates", "expired",
                              authority.issue(kind="rsa", days=-1), authority.file)
        self.assert_distrusts("certificate name", "not for localhost",
                              authority.issue("elsewhere.example.com", kind="rsa"), authority.file)
        self.assert_distrusts("certificate chain", "incomplete", authority.issue(kind="rsa"),
                              other.file)
        self.assert_distrusts("certificate chain", "not trusted here",
                              authority.issue(kind="rsa", issuer_too=True), other.file)
        self.assert_distrusts("certificate key", "too weak", authority.issue(kind="rsa1024"),
                              authority.file)
        own = certs.Certificate(authority.file, authority.key, ())
        code, lines, out, _ = self.probe_tls(own, other.file)
        self.assertIn("self-signed", lines["certificate chain"][1], out)
        self.assertEqual(code, 1)

    def intermediate(self, authority):
        """An authority that `authority` has signed."""
        below = certs.Authority(self.folder, "below")
        request, extension = (os.path.join(self.folder, name) for name in ("b.csr", "b.cnf"))
        certs.openssl("req", "-new", "-key", below.key, "-out", request, "-subj", "/CN=below")
        with open(extension, "w", encoding="utf-8") as file:
            file.write("basicConstraints=critical,CA:TRUE\n")
        certs.openssl("x509", "-req", "-in", request, "-CA", authority.file, "-CAkey",
                      authority.key, "-CAcreateserial", "-days", "30", "-extfile", extension,
                      "-out", below.file)
        return below

    def test_a_missing_intermediate(self):
        authority = certs.Authority(self.folder)
        below = self.intermediate(authority)
        code, lines, out, count = self.probe_tls(
            below.issue(kind="rsa", issuer_too=True), authority.file)
        self.assertEqual((code, lines["certificate chain"][0]), (0, "ok"), out)
        self.assertIn("2 certificates", lines["certificate chain"][1])
        self.assertGreater(count, 10)
        self.assert_distrusts("certificate chain", "fullchain.pem", below.issue(kind="rsa"),
                              authority.file)

    def test_what_firehose_can_live_with(self):
        authority = certs.Authority(self.folder)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="rsa", days=5), authority.file)
        self.assertEqual((code, lines["certificate dates"][0]), (0, "warn"), out)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="ecdsa"), authority.file)
        self.assertEqual((code, lines["TLS 1.2"][0], lines["certificate key"][0]),
                         (0, "warn", "warn"), out)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="rsa"), authority.file,
                                             maximum_version=ssl.TLSVersion.TLSv1_2)
        self.assertEqual((code, lines["TLS 1.3"][0]), (0, "warn"), out)

    def test_tls_13_only(self):
        authority = certs.Authority(self.folder)
        self.assert_distrusts("TLS 1.2", "Allow TLS 1.2", authority.issue(kind="rsa"),
                              authority.file, minimum_version=ssl.TLSVersion.TLSv1_3)

    def test_no_tls_at_all(self):
        server = self.server()
        code, lines, out = self.probe("https://localhost/", "--connect-to",
                                      f"127.0.0.1:{server.server_port}")
        self.assertEqual((code, lines["TLS 1.2"][0], lines["requests"][0]), (1, "fail", "skip"), out)


if __name__ == "__main__":
    case.main()
