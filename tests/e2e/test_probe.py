#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weir probe` against the program itself, and against endpoints that break one rule each: every
one must be found."""
import json
import os
import time

from weirtest import case, program
from weirtest.endpoint import KEY, ProbeCase


class Probe(ProbeCase):
    """Without TLS."""

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
        self.assertEqual(weir.metric("weir_points_received_total"), 0)
        self.assertEqual(weir.metric("weir_records_quarantined_total"), 0)

    def test_a_metric_only_where_it_is_asked_for(self):
        receiver = self.receiver()
        weir = self.weir(receiver)
        for number, form in enumerate(("json", "otlp-1.0"), 1):
            code, lines, out = self.probe(f"http://127.0.0.1:{weir.port}/", "--plain-http",
                                          "--send-metric", form, key=program.KEY)
            self.assertEqual((code, lines["metric"][0]), (0, "ok"), out)
            self.assertIn("left behind: 1 point of weir.probe", out)
            self.assertTrue(receiver.wait_count(number, 20))
            self.assertEqual(weir.metric("weir_points_received_total"), number)

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

    def test_a_web_page_is_told_from_the_endpoint(self):
        _, lines, out = self.probe_plain(raw=b"<html>no</html>",
                                         headers={"Content-Type": "text/html; charset=utf-8"})
        self.assertIn("a web page", lines["wrong key"][1], out)

    def test_an_endless_answer(self):
        begun = time.monotonic()
        code, lines, out = self.probe_plain(endless=True,
                                            headers={"Content-Length": "1" + "0" * 15})
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

    def test_a_key_longer_than_the_head(self):
        path = os.path.join(self.folder, "key")
        with open(path, "w", encoding="utf-8") as file:
            file.write("k" * 4096)
        code, _, out = self.probe_plain("--head", "2KiB", "--key-file", path, key=None,
                                        only_key="k" * 4096)
        self.assertEqual(code, 0, out)
        with open(path, "a", encoding="utf-8") as file:
            file.write("k")
        self.assertEqual(self.probe_plain("--key-file", path, key=None)[0], 2)

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
        self.assertEqual((code, lines["gzip"][0], lines["largest body"][0]),
                         (1, "fail", "fail"), out)

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


if __name__ == "__main__":
    case.main()
