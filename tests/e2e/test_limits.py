#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits on connections: who may connect, how slow a peer may be, and what a PROXY header may say.
Each limit is met by a peer that breaks it while a good sender is served, and counted by reason."""
import os
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from weirtest import case, certs, points, program
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
RECORD = points.as_json([points.Point(sum=1.0)])
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\n"
SLOWHTTPTEST = shutil.which("slowhttptest")


def v2(source="192.0.2.7", command=0x21, rest=b""):
    """A header of version 2 over IPv4."""
    body = (socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
            + struct.pack(">HH", 4660, 443) + rest)
    return SIGNATURE + bytes([command, 0x11]) + struct.pack(">H", len(body)) + body


class LimitsCase(WeirCase):
    """Weir with short times."""

    def start(self, **ingest):
        """The program, with these keys of `ingest`."""
        self.backend = self.receiver()
        return self.weir(self.backend, ingest=ingest)

    def connect(self, weir):
        """A plain socket."""
        sock = socket.create_connection(("127.0.0.1", weir.port), timeout=10)
        self.addCleanup(sock.close)
        return sock

    def post(self, weir, before=b""):
        """The status of a good request on a connection of its own."""
        with Firehose(weir.port, timeout=10) as client:
            client.send(before + client.request(envelope([RECORD])))
            return client.response().status

    def ends(self, sock):
        """What the socket got until the other side ended it."""
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got

    def assert_counted(self, weir, name, reason, least=1):
        """The series of this reason comes to that much."""
        self.assertTrue(weir.wait_metric(lambda: weir.metric(name, reason=reason) >= least, 10),
                        f"{name}{{{reason}}} {weir.metric(name, reason=reason)}")


class Proxy(LimitsCase):
    """PROXY headers: from named networks required, from elsewhere unknown."""

    def test_both_versions_whole_and_bytewise(self):
        weir = self.start(proxy_protocol={"networks": ["127.0.0.0/8"]})
        for header in (V1, v2(), v2(rest=b"\x04\0\x02ab"), b"PROXY UNKNOWN\r\n",
                       SIGNATURE + b"\x20\0\0\0"):
            self.assertEqual(self.post(weir, header), 200, header)
        with Firehose(weir.port) as client:
            client.send(v2() + client.request(envelope([RECORD])), piece=1)
            self.assertEqual(client.response().status, 200)
            self.assertEqual(client.post(envelope([RECORD])).status, 200)  # only once
        client = self.client(weir)
        client.send(V1 + client.request(b"x", request_id="bad"))
        self.assertEqual(client.response().status, 400)
        self.assertTrue(weir.wait_metric(lambda: weir.events("request refused")))
        self.assertEqual(weir.events("request refused")[0]["peer"], "192.0.2.7:4660")

    def test_without_or_with_a_damaged_one(self):
        weir = self.start(proxy_protocol={"networks": ["127.0.0.1"], "timeout": "500ms"})
        good = self.client(weir).request(envelope([RECORD]))
        for data in (good, V1.lower() + good, V1.replace(b"\r", b"") + good,
                     v2(command=0x22) + good, V1.replace(b" 443", b" 65536") + good,
                     b"PROXY " + b"x" * 200):
            sock = self.connect(weir)
            sock.sendall(data)
            self.assertEqual(self.ends(sock), b"", data[:40])
        self.assert_counted(weir, "weir_connections_refused_total", "proxy_header", 6)
        late = [self.connect(weir) for _ in range(2)]
        late[1].sendall(V1[:20])
        for sock in late:
            self.assertEqual(self.ends(sock), b"")
        self.assert_counted(weir, "weir_connections_refused_total", "proxy_timeout", 2)
        self.assertEqual(weir.metric("weir_requests_total"), 0)
        half = self.connect(weir)
        begun = weir.cpu_seconds()
        half.sendall(v2()[:17])
        self.assertEqual(self.ends(half), b"")
        if not program.sanitized():
            self.assertLess(weir.cpu_seconds() - begun, 0.3, "half a header must not spin")

    def test_ahead_of_tls(self):
        """The header is read off the raw socket; the handshake comes behind it."""
        authority = certs.Authority(self.folder)
        weir = self.start(proxy_protocol={"networks": ["127.0.0.0/8"], "timeout": "2s"},
                          tls={"certificates": [authority.issue().config()]})
        context = ssl.create_default_context(cafile=authority.file)
        for header, piece in ((V1, 0), (v2(), 0), (v2(rest=b"\x04\0\x02ab"), 1)):
            client = self.client(weir)
            client.send(header, piece)
            client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
            self.assertEqual(client.post(envelope([RECORD])).status, 200)
            self.assertEqual(client.post(b"x", request_id="t").status, 400)
        self.assertTrue(weir.wait_metric(lambda: weir.events("request refused")))
        self.assertEqual({e["peer"] for e in weir.events("request refused")}, {"192.0.2.7:4660"})
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(self.connect(weir), server_hostname="localhost")
        self.assert_counted(weir, "weir_connections_refused_total", "proxy_header")

    def test_from_elsewhere_it_is_a_bad_request(self):
        for networks in (None, ["10.0.0.0/8", "::1/128"]):
            weir = self.start(**({"proxy_protocol": {"networks": networks}} if networks else {}))
            for header in (V1, v2()):
                self.assertEqual(self.post(weir, header), 400)
            self.assertEqual(self.post(weir), 200)
            self.assertEqual(weir.metric("weir_requests_total", reason="bad_head"), 2)

    def test_forwarded_for_is_a_field_of_the_log(self):
        weir = self.start(connections_per_source=50)
        for value, seen in (("1.2.3.4, 203.0.113.9", "203.0.113.9"), ("x" * 200, "x" * 64),
                            ('"}\\{', '"}\\{')):
            client = self.client(weir, key="no")
            client.send(client.head(5, x_forwarded_for=value))
            self.assert_reply(client.response(), 401)
            self.assertTrue(weir.wait_metric(lambda s=seen: any(
                e.get("forwarded_for") == s for e in weir.events("request refused"))))


class Sources(LimitsCase):
    """So many connections from one address."""

    def test_of_the_peer(self):
        weir = self.start(connections_per_source=3)
        held = [self.client(weir) for _ in range(3)]
        for client in held:
            self.assertEqual(client.post(envelope([RECORD])).status, 200)
        self.assertEqual(self.ends(self.connect(weir)), b"")
        self.assert_counted(weir, "weir_connections_refused_total", "source_limit")
        held.pop().close()
        self.assertTrue(weir.wait_metric(lambda: self.tries(weir) == 200, 10))

    def tries(self, weir):
        """The status of a request, or 0 where the connection was closed."""
        try:
            return self.post(weir)
        except ConnectionError:
            return 0

    def test_of_whom_the_balancer_tells(self):
        weir = self.start(connections_per_source=2,
                          proxy_protocol={"networks": ["127.0.0.0/8"]})
        held = []
        for source in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"):
            held.append(self.client(weir))
            held[-1].send(v2(source) + held[-1].request(envelope([RECORD])))
            self.assertEqual(held[-1].response().status, 200)
        sock = self.connect(weir)
        sock.sendall(v2("192.0.2.1"))
        self.assertEqual(self.ends(sock), b"")
        self.assertEqual(self.post(weir, v2("192.0.2.3")), 200)


class Slow(LimitsCase):
    """Each kind of slowness ends in its time."""

    def test_heads_bodies_and_idle_ones(self):
        weir = self.start(body_rate="1MiB", timeouts={
            "head": "500ms", "idle": "700ms", "body": "2s", "body_grace": "300ms"})
        idle, head, body, dripping = (self.client(weir) for _ in range(4))
        head.send(b"POST / HTTP/1.1\r\nhost: ")
        body.send(body.head(5_000_000, request_id="s") + b"x")
        dripping.send(dripping.head(0, content_length=None, transfer_encoding="chunked"))
        stop = threading.Event()

        def drip():
            while not stop.wait(0.05):
                try:
                    head.socket.send(b"x")
                    dripping.socket.send(b"1\r\nx\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        self.assertEqual(self.post(weir), 200)
        self.assert_reply(head.response(), 408)
        self.assert_reply(body.response(), 408, "s")
        self.assert_reply(dripping.response(), 408)
        self.assertTrue(idle.closed())
        self.assertEqual(self.post(weir), 200)
        stop.set()
        thread.join()
        for reason, count in (("idle", 1), ("slow_head", 1), ("slow_body", 2)):
            self.assert_counted(weir, "weir_connections_cut_total", reason, count)

    def test_a_reader_that_does_not_read(self):
        weir = self.start(timeouts={"write": "500ms"})
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", weir.port))
        sock.settimeout(0.2)
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 500
        deadline = time.monotonic() + 20
        cut = lambda: weir.metric("weir_connections_cut_total", reason="slow_reader")
        while time.monotonic() < deadline and not cut():
            try:
                sock.send(request)
            except TimeoutError:
                pass
            except OSError:
                break
        self.assert_counted(weir, "weir_connections_cut_total", "slow_reader")
        self.assertEqual(self.post(weir), 200)

    def test_too_much_ahead(self):
        """Answers that come late let a peer send ahead; what waits is bounded for all together."""
        weir = self.start()
        senders = []
        for _ in range(8):
            sock = self.connect(weir)
            sock.setblocking(False)
            senders.append(sock)
        block = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2000
        base = weir.resident()
        for _ in range(30):
            for sock in senders:
                try:
                    sock.send(block)
                except OSError:
                    pass
        self.assertEqual(self.post(weir), 200)
        if not program.sanitized():
            self.assertLess(weir.resident() - base, 48 << 20)


class Descriptors(LimitsCase):
    """No descriptors: connections wait, the process does not spin, and goes on."""

    def test_no_descriptors(self):
        weir = self.start(connections_max=1000)
        fds = len(os.listdir(f"/proc/{weir.process.pid}/fd"))
        resource.prlimit(weir.process.pid, resource.RLIMIT_NOFILE, (fds + 20, fds + 20))
        held = [self.connect(weir) for _ in range(60)]  # the kernel's queue has the rest
        self.assert_counted_late(weir, fds)
        begun, cpu = time.monotonic(), weir.cpu_seconds()
        while time.monotonic() - begun < 1.5:
            time.sleep(0.1)  # a span to measure over, not a wait for something
        self.assertLess(weir.cpu_seconds() - cpu, 0.5)
        for sock in held:
            sock.close()
        self.assertTrue(weir.wait_metric(lambda: self.post(weir) == 200, 10))
        self.assert_counted(weir, "weir_accept_pauses_total", "descriptors")

    def assert_counted_late(self, weir, fds):
        """All descriptors are taken (the admin listener has none left to tell with)."""
        deadline = time.monotonic() + 10
        while len(os.listdir(f"/proc/{weir.process.pid}/fd")) < fds + 20:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_connections_max(self):
        weir = self.start(connections_max=4, threads=1)
        held = [self.client(weir) for _ in range(4)]
        for client in held:
            self.assertEqual(client.post(envelope([RECORD])).status, 200)
        waiting = self.client(weir)
        waiting.send(waiting.request(envelope([RECORD])))
        self.assert_counted(weir, "weir_accept_pauses_total", "connections_max")
        cpu = weir.cpu_seconds()
        held.pop().close()
        self.assertEqual(waiting.response().status, 200)
        if not program.sanitized():
            self.assertLess(weir.cpu_seconds() - cpu, 0.5)


@unittest.skipIf(SLOWHTTPTEST is None, "slowhttptest is not installed")
class SlowHttpTest(LimitsCase):
    """The well-known tool, its three kinds, while a good sender is served."""

    def attack(self, weir, *how):
        """Starts it; its connections are 40, its own end after 8 s."""
        attack = subprocess.Popen(
            [SLOWHTTPTEST, "-c", "40", "-r", "40", "-l", "8", "-p", "3",
             "-u", f"http://127.0.0.1:{weir.port}/", *how], cwd=self.folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(attack.wait)
        self.addCleanup(attack.kill)
        return attack

    def run_kind(self, reason, *how, **ingest):
        """All 40 are cut for this reason, and requests are answered meanwhile."""
        weir = self.start(access_keys="none", **ingest)
        attack = self.attack(weir, *how)
        deadline = time.monotonic() + 20
        cut = lambda: weir.metric("weir_connections_cut_total", reason=reason)
        while cut() < 40 and time.monotonic() < deadline:
            self.assertEqual(self.post(weir), 200)
            time.sleep(0.05)
        self.assertGreaterEqual(cut(), 40)
        attack.kill()
        self.assertTrue(weir.wait_metric(lambda: weir.metric("weir_connections") == 0, 15))

    def test_slow_headers(self):
        self.run_kind("slow_head", "-H", "-i", "1", timeouts={"head": "1s"})

    def test_slow_bodies(self):
        self.run_kind("slow_body", "-B", "-i", "1", "-s", "8192",
                      body_rate="64KiB", timeouts={"body": "1s", "body_grace": "500ms"})

    def test_slow_readers(self):
        self.run_kind("idle", "-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "1",
                      timeouts={"idle": "1s", "write": "1s"})


if __name__ == "__main__":
    case.main()
