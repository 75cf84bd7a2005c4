#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HAProxy and nginx in front of Weir, as deploy/ configures them: what Firehose sends passes them
unchanged, and what is crooked never becomes more requests than were sent."""
import concurrent.futures
import json
import os
import socket
import threading
import time

from weirtest import balancers, case, points
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope

MIB = 1 << 20
RECORD = points.as_json([points.Point(sum=1.0)])
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: weir\r\n\r\n"
KEY = b"x-amz-firehose-access-key: test-key\r\n"

# Ways to say, or nearly say, that the body is chunked, beside a Content-Length.
ENCODINGS = (
    b"transfer-encoding: chunked\r\n", b"Transfer-Encoding: Chunked\r\n",
    b"transfer-encoding : chunked\r\n", b" transfer-encoding: chunked\r\n",
    b"transfer-encoding:\tchunked\r\n", b"transfer-encoding: \x0bchunked\r\n",
    b"transfer-encoding: xchunked\r\n", b"transfer-encoding: chunked, identity\r\n",
    b"transfer-encoding: identity, chunked\r\n", b"transfer-encoding: identity\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: x\r\n", b"transfer_encoding: chunked\r\n",
    b"transfer-encoding: x\r\ntransfer-encoding: chunked\r\n", 
    b"transfer-encoding:\r\n chunked\r\n",
    b"x: y\ntransfer-encoding: chunked\r\n", b"x: y\rtransfer-encoding: chunked\r\n",
    b"transfer-encoding: chunked\0\r\n", b"transfer-encoding: \"chunked\"\r\n",
    b"transfer-encoding\0: chunked\r\n", b"transfer-encoding: chunked;q=1\r\n")
# Lengths that readers may take for different ones.
LENGTHS = (b"content-length: 4\r\ncontent-length: %d\r\n",
           b"content-length: %d\r\ncontent-length: 4\r\n",
           b"content-length: 4, %d\r\n", b"content-length: +%d\r\n", b"content-length: %d 4\r\n",
           b"content-length : %d\r\n", b"content-length: 4\r\nContent-Length: %d\r\n",
           b"content-length: 0\r\n x: %d\r\n", b"content-length: -%d\r\n",
           b"content_length: %d\r\n",
           b"content-length: 0x%x\r\n", b"content-length: %d\x0b\r\n",
           b"content-length\0: %d\r\n")
# Framings of chunks that readers may end elsewhere.
CHUNKS = (b"0\n\n", b"0\r\n\n", b"0\n\r\n", b"0 \r\n\r\n", b"+0\r\n\r\n", b"0x0\r\n\r\n",
          b"-0\r\n\r\n",
          b"00000000000000000\r\n\r\n", b"0;\n\r\n\r\n", b"0;a\rb\r\n\r\n", b"0\r\nx: y\r\n\r\n",
          b"2\r\nab0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n", b"3\r\nab\r\n0\r\n\r\n", b"\r\n0\r\n\r\n",
          b"2;\xff\r\nab\r\n0\r\n\r\n", b"10000000000000000\r\n\r\n", b"2\nab\n0\n\n")


def crooked():
    """What to send: in each, a second request hides that only a second opinion on framing sees."""
    start = b"POST / HTTP/1.1\r\nhost: weir\r\n" + KEY
    ended = b"0\r\n\r\n" + SMUGGLED
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    for line in ENCODINGS:
        yield start + line + b"content-length: %d\r\n\r\n" % len(ended) + ended
        yield start + b"content-length: %d\r\n" % len(ended) + line + b"\r\n" + ended
        yield start + b"content-length: 4\r\n" + line + b"\r\n" + whole
    for line in LENGTHS:
        yield start + line % (len(SMUGGLED) + 4) + b"\r\n" + b"abcd" + SMUGGLED
    for framing in CHUNKS:
        size = b"%x\r\n" % (len(framing) + len(SMUGGLED))
        for body in (size + framing + SMUGGLED + b"\r\n0\r\n\r\n", framing):
            yield start + b"transfer-encoding: chunked\r\n\r\n" + body


class Behind(WeirCase):
    """What holds behind each balancer."""
    balancer = None

    def setUp(self):
        super().setUp()
        if self.balancer is None or balancers.program(self.balancer.name) is None:
            self.skipTest("not installed")
        self.backend = self.receiver()

    def start(self, count=1, options="", **ingest):
        """So many Weirs and the balancer before them; the folders are their own."""
        self.weirs = []
        for n in range(count):
            home, folder = self.folder, os.path.join(self.folder, f"weir-{n}")
            os.mkdir(folder)
            self.folder = folder
            self.weirs.append(self.weir(self.backend, ingest=ingest, memory_limit="512MiB",
                                        drain={"grace": "2s"}))
            self.folder = home
        front = self.balancer(self.folder, [weir.port for weir in self.weirs], options)
        self.addCleanup(front.stop)
        self.wait_up(front)
        return front

    def wait_up(self, front):
        """Until it finds its Weirs well."""
        self.assertTrue(self.weirs[0].wait_metric(lambda: self.tried(front) == 200, 15),
                        "\n".join(front.lines[-20:]))

    def tried(self, front):
        """The status of a good request, 0 where there is none."""
        try:
            return self.post(front, envelope([RECORD])).status
        except (ConnectionError, ValueError, KeyError):
            return 0

    def post(self, front, body, **how):
        """One request through the balancer."""
        with Firehose(front.port, key=how.pop("key", "test-key")) as client:
            return client.post(body, **how)

    def test_sixty_four_mebibytes(self):
        front = self.start()
        body = envelope([RECORD], request_id="large")
        body = body[:-1] + b" " * (64 * MIB - len(body)) + body[-1:]
        self.assertEqual(len(body), 64 * MIB)
        self.assert_reply(self.post(front, body), 200, "large")
        other = body.replace(b"large", b"2arge")
        self.assert_reply(self.post(front, other, chunk=MIB), 200, "2arge")
        # Refused before the body, and the refusal arrives: also where much is on its way.
        self.assert_reply(self.refused_early(front, body[:8 * MIB]), 401, "w")

    def refused_early(self, front, body):
        """The answer to a wrong key. Whoever is still sending may find that the balancer has closed
        the connection, before the answer was read; or that a health check came late while a Weir
        with a sanitizer was busy with the large ones, and nobody is there: then once more."""
        for _ in range(20):
            with Firehose(front.port, key="wrong") as client:
                try:
                    client.send(client.request(body, request_id="w"))
                except ConnectionError:
                    pass
                try:
                    response = client.response()
                except ConnectionError:
                    continue
            if response.status != 503 or b"No server is available" not in response.body:
                return response
            time.sleep(0.5)
        return self.fail("the refusal never arrived")

    def test_heads_and_answers(self):
        front = self.start()
        common = json.dumps({"commonAttributes": {
            f"{n:03}" + "k" * 253: "v" * 1024 for n in range(49)}})
        self.assertGreater(len(common), 62_000)
        body = envelope([RECORD], request_id="head")
        answer = self.post(front, body, x_amz_firehose_common_attributes=common)
        self.assert_reply(answer, 200, "head")
        self.assert_reply(self.post(front, b"{}", request_id="d"), 400, "d")
        with Firehose(front.port) as client:  # one connection, kept
            for n in range(20):
                answer = client.post(envelope([RECORD], request_id=f"k-{n}"))
                self.assert_reply(answer, 200, f"k-{n}")
            client.send(client.request(envelope([RECORD]), request_id="e", expect="100-continue"))
            self.assert_reply(client.response(), 200, "e")

    def test_an_id_goes_to_one_weir(self):
        front = self.start(count=2)
        before = [weir.metric("weir_requests_total") for weir in self.weirs]
        for n in range(12):
            for _ in range(3):
                self.assertEqual(
                    self.post(front, envelope([RECORD], request_id=f"i-{n}")).status, 200)
        seen = [weir.metric("weir_requests_total") - was for weir, was in zip(self.weirs, before)]
        again = [weir.metric("weir_requests_deduplicated_total") for weir in self.weirs]
        self.assertEqual(sum(seen), 36)
        self.assertEqual(sum(again), 24, "each repeat came to the Weir that knew it")
        self.assertTrue(all(seen), "both were used")

    def test_one_stops(self):
        front = self.start(count=2)
        statuses, done = [], threading.Event()

        def pour():
            while not done.is_set():
                statuses.append(self.tried(front))

        thread = threading.Thread(target=pour)
        thread.start()
        self.weirs[0].signal()
        self.assertEqual(self.weirs[0].stop(30), 0)
        self.assertTrue(self.weirs[1].wait_metric(
            lambda: self.weirs[1].metric("weir_requests_total", code="200") > 3))
        done.set()
        thread.join()
        self.assertGreater(len(statuses), 3)
        self.assert_while_one_stopped(statuses)

    def assert_while_one_stopped(self, statuses):
        """It notices by itself, so nobody else does."""
        self.assertEqual(set(statuses), {200})

    def send(self, front, data):
        """Sends it and listens until the end, or until nothing comes for a while: some of these
        are not whole, and an end from our side would be another matter."""
        with socket.create_connection(("127.0.0.1", front.port), timeout=1) as sock:
            sock.sendall(data)
            try:
                while sock.recv(65536):
                    pass
            except OSError:
                pass

    def test_crooked_requests(self):
        front = self.start()
        weir = self.weirs[0]
        forwarded, before = front.forwarded(), weir.metric("weir_requests_total")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda data: self.send(front, data), crooked()))
        self.assertEqual(self.post(front, envelope([RECORD])).status, 200)
        seen = lambda: weir.metric("weir_requests_total") - before
        sent_on = lambda: front.forwarded() - forwarded
        # HAProxy also counts one of which it found the first chunk bad before it sent anything.
        self.assertTrue(weir.wait_metric(lambda: 1 < seen() <= sent_on() <= seen() + 2, 10),
                        f"Weir saw {seen()}, sent on were {sent_on()}")
        # The second request of a few cases is one (content_length is no length): both say so.
        self.assertEqual(weir.metric("weir_requests_total", reason="not_found"),
                         front.forwarded("/smuggled"))


class Haproxy(Behind):
    """And its PROXY headers."""
    balancer = balancers.Haproxy

    def test_proxy_headers(self):
        for options in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"):
            with self.subTest(options):
                self.folder_of(options)
                front = self.start(options=options,
                                   proxy_protocol={"networks": ["127.0.0.0/8"]})
                with Firehose(front.port) as client:
                    own = client.socket.getsockname()[1]
                    self.assertEqual(client.post(envelope([RECORD])).status, 200)
                    self.assertEqual(client.post(b"x", request_id="p").status, 400)
                weir = self.weirs[0]
                self.assertTrue(weir.wait_metric(lambda w=weir: w.events("request refused")))
                event = weir.events("request refused")[0]
                self.assertEqual(event["peer"], f"127.0.0.1:{own}")
                self.assertEqual(event["forwarded_for"], "127.0.0.1")
                refused = weir.metric("weir_connections_refused_total")
                self.assertEqual(refused, 0, "health checks send the header, too")

    def folder_of(self, name):
        """A folder of its own for each start in one test."""
        self.folder = os.path.join(self.folder, name.replace(" ", "-"))
        os.mkdir(self.folder)


class Nginx(Behind):
    """Without health checks of its own: it notices by requests that fail."""
    balancer = balancers.Nginx

    def assert_while_one_stopped(self, statuses):
        """While it drains, a Weir answers 503, and where it closes a connection that nginx has just
        written to, nginx says 502: both are Firehose's to send again; nothing else."""
        self.assertLessEqual(set(statuses), {200, 502, 503})
        self.assertEqual(statuses[-1], 200)


del Behind
if __name__ == "__main__":
    case.main()
