#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line: check, decode, send, version, and errors a person can act on."""
import json
import os

from weirtest import case, points, program
from weirtest.case import WeirCase
from weirtest.firehose import envelope


class Commands(WeirCase):
    """Exit codes: 0 done, 1 failed, 2 usage."""

    def file(self, name, data):
        """A file in the test's folder."""
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def test_version(self):
        code, out, _ = self.run_weir("version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^weir \d+\.\d+\.\d+")

    def test_usage(self):
        self.assertEqual(self.run_weir("fly")[0], 2)
        self.assertEqual(self.run_weir("check", "--no-such-option")[0], 2)
        self.assertEqual(self.run_weir("serve", "-c")[0], 2)
        self.assertEqual(self.run_weir("decode", "--as", "poem", "x")[0], 2)
        self.assertIn("takes a value: --timeout", self.run_weir("send", "--timeout")[2])
        self.assertEqual(self.run_weir("help", "fly")[0], 2)
        code, out, _ = self.run_weir("--help")
        self.assertEqual(code, 0)
        for command in ("serve", "check", "decode", "send", "version"):
            self.assertIn(command, out)
            self.assertEqual(self.run_weir(command, "--help")[0], 0, command)

    def test_check(self):
        config = program.configuration("http://127.0.0.1:4318", ingest={
            "access_keys": [{"name": "k", "value": "${env:THE_KEY}"}]})
        path = self.file("good.yaml", json.dumps(config))
        code, out, err = self.run_weir("check", "-c", path, THE_KEY="very-secret")
        self.assertEqual(code, 0, err)
        self.assertIn("http://127.0.0.1:4318", out)
        self.assertNotIn("very-secret", out + err)

    def test_check_tells_how_long_the_spool_lasts(self):
        where = os.path.join(self.folder, "spool")
        config = program.configuration("http://127.0.0.1:4318", memory_limit="64MiB", spool={
            "durability": "disk", "directory": where, "limit": "1GiB"})
        path = self.file("disk.yaml", json.dumps(config))
        code, out, err = self.run_weir("check", "-c", path)
        self.assertEqual(code, 0, err)
        self.assertRegex(out, r"# spool: 1GiB, of which \d+MiB stay free")
        self.assertRegex(out, r"it lasts \d+ minutes")
        self.assertIn(f"{where}: not there yet", out)
        self.assertFalse(os.path.exists(where))
        again = self.file("again.yaml", out)
        self.assertIn("dead_letter:", out)
        code, _, err = self.run_weir("check", "-c", again)
        self.assertIn("***", out)
        self.assertEqual(code, 0, err)

    def test_check_names_file_line_and_key(self):
        for text, line, key in (
                ("ingest:\n  pathh: /\n", 2, "ingest.pathh"),
                ("nonsense: 1\n", 1, "nonsense"),
                ("buffer:\n  size: 3MiB\n  interval: soon\n", 3, "buffer.interval"),
                ("buffer: {size: -3MiB}\n", 1, "buffer.size"),
                ("memory_limit: 1KiB\n", 1, "memory_limit"),
                ("spool:\n  limit: 2MiB\n", 2, "spool.limit"),
                ("dead_letter: {when_full: shrug}\n", 1, "dead_letter.when_full"),
                ("ingest: [1]\n", 1, "ingest"),
                ("destinations:\n  - {name: a, endpoint: 'ftp://x'}\n", 2, "endpoint"),
                ("destinations:\n  - {name: a, type: file}\n", 2, "path"),
                ("log:\n  level: ${env:NO_SUCH_THING}\n", 2, "log.level"),
                ("ingest:\n  listen: ['nowhere']\n", 2, "ingest.listen")):
            with self.subTest(text):
                path = self.file("bad.yaml", text)
                code, _, err = self.run_weir("check", "-c", path)
                self.assertEqual(code, 1, err)
                self.assertIn(f"bad.yaml:{line}", err)
                self.assertIn(key, err)

    def test_check_bad_yaml_and_no_file(self):
        path = self.file("bad.yaml", "a: [1,\nb: {")
        code, _, err = self.run_weir("check", "-c", path)
        self.assertEqual(code, 1)
        self.assertIn("bad.yaml:", err)
        code, _, err = self.run_weir("check", "-c", "/no/such.yaml")
        self.assertEqual(code, 1)
        self.assertIn("/no/such.yaml", err)

    def test_keys_are_required_beyond_loopback(self):
        text = "ingest: {listen: ['0.0.0.0:8080'], access_keys: []}\n"
        self.assertNotEqual(self.run_weir("check", "-c", self.file("a.yaml", text))[0], 0)
        text = text.replace("[]", "none")
        self.assertEqual(self.run_weir("check", "-c", self.file("a.yaml", text))[0], 0)

    def test_decode_points(self):
        sent = points.series(10)
        for name, encode in points.ENCODINGS.items():
            with self.subTest(name):
                path = self.file(name, envelope([encode(sent)]))
                code, out, err = self.run_weir("decode", path)
                self.assertEqual(code, 0, err)
                for point in sent:
                    self.assertIn(point.metric, out)

    def test_decode_otlp_json(self):
        path = self.file("body", envelope([points.as_otlp07(points.series(10))]))
        code, out, err = self.run_weir("decode", "--as", "otlp-json", path)
        self.assertEqual(code, 0, err)
        count = 0
        for line in out.splitlines():
            for resource in json.loads(line)["resourceMetrics"]:
                for scope in resource["scopeMetrics"]:
                    count += sum(len(m["summary"]["dataPoints"]) for m in scope["metrics"])
        self.assertEqual(count, 10)

    def test_decode_what_is_no_body(self):
        code, _, err = self.run_weir("decode", self.file("x", b"\x1f\x8bgarbage"))
        self.assertEqual(code, 1)
        self.assertIn("x", err)
        self.assertEqual(self.run_weir("decode", "/no/such/file")[0], 1)

    def test_decode_of_nothing_says_so(self):
        for name, data in (("empty", b""), ("body", envelope([])), ("text", b"hello\n")):
            with self.subTest(name):
                code, out, err = self.run_weir("decode", self.file(name, data))
                self.assertEqual((code, out), (0, ""))
                self.assertIn("no data point in it", err)

    def test_send(self):
        sent = points.series(20)
        receiver = self.receiver()
        weir = self.weir(receiver)
        url = f"http://127.0.0.1:{weir.port}/"
        path = self.file("body", envelope([points.as_json(sent)]))
        code, _, err = self.run_weir("send", url, path, WEIR_ACCESS_KEY=program.KEY)
        self.assertEqual(code, 0, err)
        self.assert_arrived(receiver, sent)
        code, out, err = self.run_weir("send", url, path, WEIR_ACCESS_KEY="wrong")
        self.assertEqual(code, 1)
        self.assertIn("401", out + err)
        self.assertEqual(self.run_weir("send", "http://127.0.0.1:9/", path)[0], 1)
        code, _, err = self.run_weir("send", path, url)
        self.assertEqual(code, 2)
        self.assertIn("the URL comes first", err)

    def test_serve_refuses_a_bad_configuration(self):
        code, _, err = self.run_weir("serve", "-c", self.file("bad.yaml", "buffer: 7\n"))
        self.assertEqual(code, 1)
        self.assertIn("bad.yaml:1", err)

    def test_debug_log_is_json(self):
        weir = self.weir(self.receiver(), log={"level": "debug"})
        self.assertEqual(weir.stop(), 0)
        for line in weir.log:
            json.loads(line)


if __name__ == "__main__":
    case.main()
