#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""design.md's table of answers, each row as Firehose (or somebody hostile) would meet it."""
import json
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.firehose import envelope

RECORD = points.as_json([points.Point(sum=1.0)])
BODY = envelope([RECORD])
KEYS = [
    {"name": "now", "value": "key-now"},
    {"name": "old", "value": "key-old", "not_after": "2020-01-01T00:00:00Z"},
    {"name": "early", "value": "key-early", "not_before": "2199-01-01T00:00:00Z"},
    {"name": "theirs", "value": "key-theirs", "accounts": ["999999999999"]},
    {"name": "ours", "value": "key-ours", "accounts": ["123456789012"]}]


class AnswersCase(WeirCase):
    """One program and receiver a test; `post` a request on a connection of its own."""

    def setUp(self):
        super().setUp()
        self.backend = self.receiver()
        self.running = self.weir(self.backend, ingest={
            "access_keys": KEYS, "path": "/", "body_limit": "8MiB"}, memory_limit="256MiB")

    def open(self, key="key-now", **how):
        """A connection with a good key."""
        return self.client(self.running, key=key, **how)

    def post(self, body, key="key-now", path="/", **how):
        """One request, one answer."""
        with self.open(key, path=path) as client:
            return client.post(body, **how)

    def raw(self, data):
        """Bytes as they are, and the answer."""
        with self.open() as client:
            client.send(data)
            return client.response()


class Accepted(AnswersCase):
    """200, and the connection stays."""

    def test_reply(self):
        self.assert_reply(self.post(BODY), 200, json.loads(BODY)["requestId"])

    def test_keep_alive(self):
        client = self.open()
        for _ in range(20):
            body = envelope([RECORD])
            self.assert_reply(client.post(body), 200, json.loads(body)["requestId"])
        self.assertTrue(self.backend.wait_count(20))

    def test_pipelining(self):
        client = self.open()
        bodies = [envelope([RECORD]) for _ in range(10)]
        client.send(b"".join(client.request(body) for body in bodies))
        for body in bodies:
            self.assert_reply(client.response(), 200, json.loads(body)["requestId"])

    def test_expect_continue(self):
        client = self.open()
        client.send(client.head(len(BODY), request_id="e-1", expect="100-continue"))
        status, _ = client.read_head()
        self.assertEqual(status, 100)
        client.send(BODY)
        self.assert_reply(client.response(), 200, "e-1")

    def test_chunked(self):
        self.assert_reply(self.post(BODY, chunk=7), 200)
        self.assert_reply(self.post(BODY, chunk=7, compressed=True), 200)

    def test_ids_that_differ(self):
        self.assert_reply(self.post(BODY, request_id="from-the-head"), 200, "from-the-head")
        self.assertEqual(self.running.metric("weir_request_id_mismatches_total"), 1)

    def test_unknown_members_and_order(self):
        body = b'{"later":[1,{"a":null}],"records":[],"timestamp":1,"requestId":"o"}'
        body = body.replace(b"[]", json.dumps(json.loads(BODY)["records"]).encode())
        self.assert_reply(self.post(body), 200, "o")
        self.assertTrue(self.backend.wait_count(1))

    def test_empty_record(self):
        self.assert_reply(self.post(envelope([b"", RECORD, b""])), 200)
        self.assertTrue(self.backend.wait_count(1))

    def test_two_gzip_members(self):
        import gzip
        half = len(BODY) // 2
        packed = gzip.compress(BODY[:half]) + gzip.compress(BODY[half:])
        self.assert_reply(self.post(packed, content_encoding="gzip"), 200)
        self.assertTrue(self.backend.wait_count(1))

    def test_header_names_in_any_case(self):
        client = self.open()
        request = client.request(BODY).replace(b"x-amz-firehose-access-key",
                                               b"X-AMZ-Firehose-Access-KEY")
        client.send(request)
        self.assert_reply(client.response(), 200)

    def test_largest_head_of_firehose(self):
        common = {f"{n:03}" + "k" * 253: "v" * 1024 for n in range(50)}
        text = json.dumps({"commonAttributes": common})
        self.assert_reply(self.post(BODY, x_amz_firehose_common_attributes=text), 200)

    def test_health_for_balancers(self):
        client = self.open()
        client.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        self.assertEqual(client.response().status, 200)
        self.assertEqual(self.running.metric("weir_requests_total"), 0)


class Refused(AnswersCase):
    """401 comes before the body."""

    def refuse(self, **head):
        """A head that announces a body, which is never sent, is refused at once."""
        client = self.open(head.pop("key", "key-now"))
        begun = time.monotonic()
        client.send(client.head(7_000_000, request_id="r-1", **head))
        self.assert_reply(client.response(), 401, "r-1")
        self.assertLess(time.monotonic() - begun, 5)

    def test_no_key(self):
        self.refuse(key=None)

    def test_wrong_keys(self):
        for key in ("wrong", "key-no", "key-nowx", "KEY-NOW", "x" * 4096):
            with self.subTest(key[:10]):
                self.refuse(key=key)

    def test_expired_and_not_yet(self):
        self.refuse(key="key-old")
        self.refuse(key="key-early")

    def test_accounts(self):
        self.refuse(key="key-theirs")
        self.refuse(key="key-ours", x_amz_firehose_source_arn=None)
        self.assert_reply(self.post(BODY, key="key-ours"), 200)

    def test_no_continue_without_key(self):
        client = self.open(None)
        client.send(client.head(len(BODY), expect="100-continue"))
        response = client.response()
        self.assert_reply(response, 401)
        self.assertEqual(response.interim, [])

    def test_answer_survives_a_body_in_flight(self):
        client = self.open(None)
        try:
            client.send(client.request(b"x" * 4_000_000, request_id="f"))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the answer must be readable all the same
        self.assert_reply(client.response(), 401, "f")

    def test_no_key_in_log(self):
        self.refuse(key="secret-guess-1")
        self.post(BODY)
        self.assertEqual(self.running.stop(), 0)
        self.assertNotIn("secret-guess-1", self.running.log_text())
        self.assertNotIn("key-now", self.running.log_text())


class Malformed(AnswersCase):
    """400, 404, 405: never 413, and the key's owner can read why."""

    def test_method_and_path(self):
        self.assert_reply(self.post(BODY, method="PUT"), 405)
        self.assert_reply(self.post(b"", method="GET", content_length=None), 405)
        for path in ("/x", "//", "/?a=b", "/./", "/%2f"):
            with self.subTest(path):
                self.assert_reply(self.post(BODY, path=path), 404)

    def test_framing(self):
        good = self.open().request(BODY)
        for what, old, new in (
                ("length and chunked", b"content-length:",
                 b"transfer-encoding: chunked\r\ncontent-length:"),
                ("two lengths", b"content-length:", b"content-length: 5\r\ncontent-length:"),
                ("signed length", b"content-length: ", b"content-length: +"),
                ("no host", b"host: weir.example.com\r\n", b""),
                ("two hosts", b"host:", b"host: b\r\nhost:"),
                ("space before colon", b"host:", b"host :"),
                ("folded line", b"user-agent: ", b"user-agent: a\r\n b"),
                ("bare line feed", b"\r\nuser-agent", b"\nuser-agent"),
                ("control character", b"user-agent: ", b"user-agent: \x01"),
                ("unknown transfer coding", b"content-length:",
                 b"transfer-encoding: gzip\r\nx-length:"),
                ("HTTP/2 preface", good, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")):
            with self.subTest(what):
                response = self.raw(good.replace(old, new, 1))
                self.assertEqual(response.status, 400, response.body)
                self.assertEqual(response.headers["content-type"], "application/json")

    def test_chunks(self):
        client = self.open()
        head = client.head(0, content_length=None, transfer_encoding="chunked")
        for chunk in (b"3zz\r\nabc\r\n", b"-1\r\n", b"\r\n", b"3\nabc", b"3\r\nabcd\r\n",
                      b"fffffffffffffffff\r\n"):
            with self.subTest(chunk):
                self.assert_reply(self.raw(head + chunk), 400)

    def test_head_too_large(self):
        response = self.raw(self.open().head(5, x_long="y" * 140_000))
        self.assertIn(response.status, (400, 431))

    def test_too_many_fields(self):
        fields = {f"x_{n}": "y" for n in range(120)}
        self.assertIn(self.raw(self.open().head(5, **fields)).status, (400, 431))

    def test_damaged_bodies(self):
        whole = json.loads(BODY)
        cases = {
            "empty": b"", "no JSON": b"hello", "cut": BODY[:-5], "more": BODY + b"x",
            "no records": b'{"requestId":"a","timestamp":1}',
            "records no list": b'{"requestId":"a","records":{}}',
            "record no object": b'{"requestId":"a","records":[1]}',
            "not base64": b'{"requestId":"a","records":[{"data":"a*=="}]}',
            "base64 cut": b'{"requestId":"a","records":[{"data":"abc"}]}',
            "array": json.dumps([whole]).encode(),
            "not UTF-8": BODY.replace(b'"timestamp"', b'"\xff\xfe"'),
            "deep": b'{"a":' + b"[" * 100 + b"]" * 100 + BODY.replace(b"{", b",", 1)}
        for what, body in cases.items():
            with self.subTest(what):
                self.assert_reply(self.post(body, request_id="d"), 400, "d")

    def test_damaged_gzip(self):
        import gzip
        packed = bytearray(gzip.compress(BODY))
        cases = {"plain": BODY, "cut": bytes(packed[:-9]), "tail": bytes(packed) + b"junk",
                 "crc": bytes(packed[:-8]) + b"\0\0\0\0" + bytes(packed[-4:])}
        for what, body in cases.items():
            with self.subTest(what):
                self.assert_reply(self.post(body, content_encoding="gzip"), 400)

    def test_unknown_encoding(self):
        self.assertIn(self.post(BODY, content_encoding="br").status, (400, 415))

    def test_over_a_limit(self):
        self.assert_reply(self.post(envelope([b"x" * 9_000_000])), 400)
        self.assert_reply(self.post(envelope([b" " * 12_000_000]), compressed=True), 400)
        self.assert_reply(self.post(envelope([b"{}\n" * 341_334])), 400)  # 1,024,002 bytes
        self.assert_reply(self.post(envelope([b""] * 10_001)), 400)
        self.assert_reply(self.post(envelope([b""] * 10_000)), 200)

    def test_all_or_nothing(self):
        good = json.loads(BODY)["records"][0]
        body = json.dumps({"requestId": "n", "records": [good, {"data": "*"}]}).encode()
        self.assert_reply(self.post(body), 400)
        self.assert_reply(self.post(BODY), 200)
        self.assertTrue(self.backend.wait_count(1))
        self.running.stop()
        self.assertEqual(self.backend.accepted_count(), 1)

    def test_counted_by_code(self):
        self.post(BODY)
        self.post(b"x")
        self.post(BODY, key="no")
        for code in ("200", "400", "401"):
            self.assertEqual(self.running.metric("weir_requests_total", code=code), 1, code)


class Quarantined(AnswersCase):
    """Intact, but no metric: 200, counted with a reason, and the rest goes through."""

    def test_with_and_without_a_metric(self):
        for junk in (b'{"TICKER":"X","PRICE":1}', b"hello\n", b"\x80", b"\x05\x0a\x01", b"\0" * 50):
            with self.subTest(junk):
                before = self.backend.accepted_count()
                self.assert_reply(self.post(envelope([junk])), 200)
                self.assert_reply(self.post(envelope([junk, RECORD])), 200)
                self.assertTrue(self.backend.wait_count(before + 1))
        self.assertGreaterEqual(self.running.metric("weir_records_quarantined_total"), 10)


if __name__ == "__main__":
    case.main()
