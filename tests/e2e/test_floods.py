#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Floods, each from its own kind of stranger: handshakes, heads, bodies without a key, and with one
gzip bombs, deep JSON, deep attribute values, names without end. During each a good sender gets a
200 for every request, and the process stays within its memory."""
import gzip
import http.client
import random
import socket
import ssl
import struct
import threading
import uuid

from weirtest import case, certs, points, program, wire
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope

MIB = 1 << 20
LIMIT = 128 * MIB
PROGRAM = 64 * MIB  # what the program itself may take, above memory_limit
DEEP = 40_000


class Good(threading.Thread):
    """Firehose as it should be, on connections of its own, from before a flood until after it."""

    def __init__(self, weir, context=None):
        super().__init__(daemon=True)
        self.weir, self.context = weir, context
        self.statuses, self.sent, self.highest = [], [], weir.resident()
        self.over = threading.Event()
        self.start()

    def one(self, number):
        """The status of one request on a new connection."""
        mine = points.series(1, seed=number)
        for _ in range(20):
            try:
                status = self.post(envelope([points.as_json(mine)]))
                break
            except OSError as error:
                if self.context is None:
                    raise
                last = error
        else:
            raise last
        self.sent += mine if status == 200 else []
        return status

    def post(self, body):
        """The status on a connection of its own. One of which the hands are still shaken while a
        quarter of all connections come anew may be let go of for them, which a client of TLS 1.3
        learns when it reads; then that is tried again, as Firehose does. (A request that had been
        taken would be seen twice by the backend.)"""
        with Firehose(self.weir.port, timeout=20) as client:
            if self.context is not None:
                client.socket = self.context.wrap_socket(client.socket,
                                                         server_hostname="localhost")
            return client.post(body).status

    def run(self):
        while not self.over.wait(0.01):
            try:
                self.statuses.append(self.one(len(self.statuses)))
            except OSError as error:
                self.statuses.append(repr(error))
            self.highest = max(self.highest, self.resident())

    def resident(self):
        """The program's memory; 0 where it has been ended already."""
        try:
            return self.weir.resident()
        except (OSError, AttributeError):
            return 0

    def end(self):
        """Stops it, and gives what it was told."""
        self.over.set()
        self.join(30)
        return self.statuses


class FloodCase(WeirCase):
    """Weir with little memory, and a good sender beside the flood."""

    def start(self, context=None, **ingest):
        """The program, and the good sender."""
        self.backend = self.receiver()
        self.gateway = self.weir(self.backend, memory_limit=f"{LIMIT // MIB}MiB",
                                 ingest={"body_limit": "16MiB"} | ingest)
        self.good = Good(self.gateway, context)
        self.assertTrue(self.gateway.wait_metric(lambda: len(self.good.statuses) >= 3))
        return self.gateway

    def assert_others_served(self, least=5):
        """The good sender got 200 and nothing else, all of its points arrived, and memory held."""
        told = len(self.good.statuses)
        self.assertTrue(self.gateway.wait_metric(lambda: len(self.good.statuses) >= told + least))
        statuses = self.good.end()
        self.assertEqual(set(statuses), {200})
        self.assert_arrived(self.backend, self.good.sent)
        if not program.sanitized():
            self.assertLess(self.good.highest, LIMIT + PROGRAM)

    def post(self, body, **head):
        """The status that a request with a key gets. (Its head says its id: no JSON reader of ours
        goes as deep as some of these bodies.)"""
        with Firehose(self.gateway.port, timeout=30) as client:
            client.send(client.head(len(body), request_id=str(uuid.uuid4()), **head) + body)
            return client.response().status

    def plain(self, count):
        """So many connections of nobody in particular."""
        sockets = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", self.gateway.port), timeout=10)
            self.addCleanup(one.close)
            sockets.append(one)
        return sockets

    def counted(self, name, least=1, **labels):
        """Waits until the metric shows that much, and gives it."""
        self.gateway.wait_metric(lambda: self.gateway.metric(name, **labels) >= least, 10)
        return self.gateway.metric(name, **labels)


class Strangers(FloodCase):
    """Who has no key."""

    def test_handshakes(self):
        """Hands that are never shaken to the end, and hellos that are none."""
        authority = certs.Authority(self.folder)
        self.start(authority.context(), connections_max=200, threads=1,
                   tls={"certificates": [authority.issue().config()]},
                   timeouts={"handshake": "60s"})
        outgoing = ssl.MemoryBIO()
        half = authority.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        self.assertRaises(ssl.SSLWantReadError, half.do_handshake)
        hello = outgoing.read()
        for one in self.plain(150):
            one.sendall(hello)
        for one in self.plain(50):
            one.sendall(b"\x16\x03\x01" + struct.pack(">H", 500) + b"x" * 500)
        self.assertGreater(self.counted("weir_tls_handshakes_total", 51, outcome="crowded"), 50)
        self.assertGreaterEqual(self.counted("weir_tls_handshakes_total", outcome="failed"), 1)
        self.assert_others_served()

    def test_heads_without_an_end(self):
        """Just under the head's limit, and never finished."""
        self.start()
        piece = b"POST / HTTP/1.1\r\nhost: x\r\n" + b"x-pad: " + b"y" * 100_000
        for one in self.plain(300):
            one.setblocking(False)
            try:
                one.send(piece)
            except OSError:
                pass
        self.assert_others_served()

    def test_bodies_without_a_key(self):
        """Each is told 401 before its body is looked at."""
        self.start()
        for number in range(200):
            client = self.client(self.gateway, key=None if number % 2 else f"guess-{number}")
            client.send(client.head(16 * MIB) + b"x" * 50_000)
            self.assertEqual(client.response().status, 401)
        for reason in ("key_absent", "key_unknown"):
            self.assertEqual(
                self.counted("weir_requests_total", 100, code="401", reason=reason), 100)
        series = [name for name, _ in self.gateway.metrics() if name == "weir_requests_total"]
        self.assertLess(len(series), 10)  # by reason, not by what was presented
        self.assert_others_served()


class Neighbours(FloodCase):
    """Who reaches the admin listener, which is for operators."""

    def test_the_admin_listener(self):
        """More connections and larger requests than it takes: they cost ingest nothing, and end."""
        weir = self.start()
        port, held, refused = weir.ports["admin"], [], 0
        for number in range(200):
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            self.addCleanup(one.close)
            try:
                one.sendall(b"GET /metrics HTTP/1.1\r\nx: " + b"y" * (number * 100))
                one.settimeout(0.01)
                refused += one.recv(1) == b""
            except TimeoutError:
                held.append(one)
            except OSError:
                refused += 1
        self.assertGreater(refused, 100)
        self.assertLessEqual(len(held), 64)
        for one in held:
            one.close()
        self.assertTrue(weir.wait_metric(lambda: self.alive(weir), 10))
        with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
            one.sendall(b"POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
            one.sendall(b"z" * 10)
            self.assertRegex(one.recv(100), rb"^HTTP/1.1 4\d\d |^$")
        self.assert_others_served()

    def alive(self, weir):
        """Whether the listener has room again."""
        try:
            return weir.admin("/healthz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False


class Thieves(FloodCase):
    """Who has a key, and means no good."""

    def many(self, times, *requests):
        """Each (body, head, status), so often, from four connections at a time."""
        told = []

        def run():
            for _ in range(times):
                for body, head, wanted in requests:
                    told.append((self.post(body, **head), wanted))

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(len(told), 4 * times * len(requests))
        for status, wanted in told:
            self.assertIn(status, wanted)

    def test_gzip_bombs(self):
        """Far over the limit; with a trailer that lies; of many members; one inside another."""
        self.start()
        packed = {"content_encoding": "gzip"}
        bomb = gzip.compress(b"\0" * (64 * MIB), 9)
        liar = bomb[:-4] + struct.pack("<I", 10)
        members = gzip.compress(b" " * MIB, 9) * 40
        empty = gzip.compress(b"", 9) * 50_000
        spaces = envelope([b""]).replace(b"[", b"[" + b" " * (12 * MIB), 1)
        nested = envelope([gzip.compress(gzip.compress(b"\0" * (32 * MIB), 9), 9)] * 10)
        self.many(3, (bomb, packed, {400, 503}), (liar, packed, {400, 503}),
                  (members, packed, {400, 503}), (empty, packed, {400}),
                  (gzip.compress(spaces, 9), packed, {200, 503}), (nested, {}, {200}))
        refused = self.counted("weir_requests_total", code="400", reason="over_limit")
        self.assertGreater(refused, 0)
        self.assertEqual(self.counted("weir_records_quarantined_total", 120, reason="gzip"), 120)
        self.assert_others_served()

    def test_deep_json(self):
        """In the envelope it is damage; in a record a line that is none of ours."""
        self.start()
        lists, objects = b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP
        sound = envelope([b""])
        deep = [(sound[:-1] + b',"more":' + value + b"}", {}, {400}) for value in (lists, objects)]
        lines = [points.as_json([points.Point()]).replace(b'"dimensions":{}',
                                                          b'"dimensions":' + value)
                 for value in (lists, objects)]
        inside = [(envelope([record] * 3), {}, {200}) for record in (lists, objects, *lines)]
        self.many(3, (lists, {}, {400}), (objects, {}, {400}), *deep, *inside)
        self.assertEqual(self.counted("weir_records_quarantined_total", 144), 144)
        self.assert_others_served()

    def test_parts_without_end(self):
        """Blank lines, empty messages, empty points: as small as they come, as many as fit."""
        self.start()
        packed = {"content_encoding": "gzip"}
        metric = wire.message(2, wire.message(11, wire.message(1, b"") * 300_000))
        message = wire.message(1, wire.message(2, metric))
        for piece in (b"\n" * 900_000, b"\0" * 900_000, wire.varint(len(message)) + message):
            self.many(3, (gzip.compress(envelope([piece] * 5), 1), packed, {400, 503}))
        self.assertGreater(self.counted("weir_requests_total", code="400", reason="too_many"), 0)
        self.assert_others_served()

    def test_deep_attribute_values(self):
        """Lists and maps inside one another, in each place that holds attributes."""
        self.start()
        lists, maps = [(5, b""), (1, b"")], [(6, b""), (1, b""), (2, wire.message(1, "k"))]
        requests = []
        for levels in (lists, maps):
            pair = wire.message(1, "deep") + wire.message(2, self.inside(levels))
            point = points.point10(points.Point()) + wire.message(7, pair)
            metric = wire.message(2, wire.message(1, "m") + wire.message(
                11, wire.message(1, point)))
            resource = wire.message(1, wire.message(1, pair))
            plain = wire.message(2, wire.message(1, "m") + wire.message(
                11, wire.message(1, points.point10(points.Point()))))
            for inside in (wire.message(2, metric), resource + wire.message(2, plain)):
                body = wire.message(1, inside)
                requests.append((envelope([wire.varint(len(body)) + body]), {}, {200}))
        self.many(3, *requests)
        self.assertEqual(self.counted(
            "weir_records_quarantined_total", 48, reason="otlp_message"), 48)
        self.assert_others_served()

    def inside(self, levels):
        """An AnyValue in another, DEEP times: each level is these (field, bytes before it)."""
        parts = [wire.message(1, "x")]
        size = len(parts[0])
        for _ in range(DEEP):
            for number, before in reversed(levels):
                parts.append(before + wire.varint(number << 3 | 2) + wire.varint(size))
                size += len(parts[-1])
        return b"".join(reversed(parts))

    def test_names_without_end(self):
        """Random streams, accounts, regions and namespaces: series are capped, and what is over is
        counted; nothing of what was sent is lost."""
        weir, rand, sent = self.start(), random.Random(20), []
        word = lambda size: "".join(rand.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(size))
        with Firehose(weir.port, timeout=30) as client:
            for _ in range(400):
                mine = [points.Point(namespace=f"Flood/{word(12)}", region=word(9),
                                     account=f"{rand.randrange(10 ** 12):012}") for _ in range(4)]
                arn = (f"arn:aws:firehose:{word(9)}:{rand.randrange(10 ** 12):012}"
                       f":deliverystream/{word(20)}")
                body = envelope([points.as_json([point]) for point in mine])
                client.send(client.request(body, x_amz_firehose_source_arn=arn))
                self.assertEqual(client.response().status, 200)
                sent += mine
        text = weir.admin("/metrics")[2]
        samples = program.samples(text)
        families = {}
        for name, _ in samples:
            families[name] = families.get(name, 0) + 1
        for name, most in (("weir_stream_last_request_timestamp_seconds", 257),
                           ("weir_account_points_total", 513),
                           ("weir_points_received_total", 1026),
                           ("weir_newest_point_timestamp_seconds", 1026)):
            self.assertLessEqual(families[name], most, name)
        for family in ("weir_stream_last_request_timestamp_seconds", "weir_account_points_total"):
            self.assertGreater(weir.metric("weir_metrics_overflow_total", family=family), 0)
        self.assertGreater(weir.metric("weir_namespace_overflow_points_total"), 0)
        self.assertLess(len(samples), 10_000)
        self.assertLess(len(text), 2 * MIB)
        self.assertTrue(self.backend.wait_count(len(sent), 30), self.backend.accepted_count())
        told = len(self.good.statuses)
        self.assertTrue(weir.wait_metric(lambda: len(self.good.statuses) >= told + 5))
        self.assertEqual(set(self.good.end()), {200})
        if not program.sanitized():
            self.assertLess(self.good.highest, LIMIT + PROGRAM)


if __name__ == "__main__":
    case.main()
