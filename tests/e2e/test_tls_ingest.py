#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS on the ingest listener: versions, certificates, resumption, renewal, and crooked peers."""
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

from weirtest import case, certs, points
from weirtest.case import WeirCase
from weirtest.firehose import Firehose, envelope

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class TlsFirehose(Firehose):
    """Firehose over TLS."""

    def __init__(self, port, context, name="localhost", session=None, **how):
        super().__init__(port, **how)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=name, session=session)
        except OSError:
            self.socket.close()
            raise


class TlsIngest(WeirCase):
    """The program with an RSA and an ECDSA certificate for localhost."""

    def setUp(self):
        super().setUp()
        self.authority = certs.Authority(self.folder)
        self.rsa = self.authority.issue(kind="rsa", file="rsa")
        self.ecdsa = self.authority.issue(kind="ecdsa", file="ecdsa")

    def start(self, *certificates, receiver=None, **ingest):
        """(weir, receiver); `ingest` lies over ingest's configuration."""
        tls = ingest.pop("tls", {})
        certificates = certificates or (self.rsa, self.ecdsa)
        tls = {"certificates": [each.config() for each in certificates]} | tls
        receiver = receiver or self.receiver()
        return self.weir(receiver, ingest={"tls": tls} | ingest), receiver

    def connect(self, weir, name="localhost", session=None, context=None, **how):
        """A connection with its hands shaken."""
        client = TlsFirehose(weir.port, context or self.authority.context(**how), name, session)
        self.addCleanup(client.close)
        return client

    def serial(self, client):
        """The number of the certificate that the server showed."""
        shown = client.socket.getpeercert()["serialNumber"]
        return shown

    def outcomes(self, weir, outcome):
        """weir_tls_handshakes_total of one outcome."""
        return weir.metrics().get(
            ("weir_tls_handshakes_total", frozenset({("outcome", outcome)})), 0)

    def assert_served(self, weir, **how):
        """A request is answered 200 on a connection of its own."""
        client = self.connect(weir, **how)
        self.assert_reply(client.post(envelope([points.as_json(points.series(1))])), 200)
        client.close()

    def assert_refused(self, weir, reason, **how):
        """No hands are shaken, and the log says why."""
        with self.assertRaises(OSError):
            self.connect(weir, **how)
        self.assertTrue(weir.wait_metric(lambda: any(
            reason in event["reason"] for event in weir.events("tls handshake failed"))),
            weir.log_text())

    def s_client(self, weir, version, script):
        """openssl's client, that is typed the pieces of `script` one after the other: its output.
        A piece follows what the client says to the one before; one that has ended gets no more."""
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{weir.port}", version, "-CAfile",
             self.authority.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        output, deadline = b"", time.monotonic() + 20
        says = {b"": b"Verify return code", b"R": b"RENEGOTIATING", b"K": b"KEYUPDATE",
                b"k": b"KEYUPDATE", b"G": b'{"status"'}
        for piece in [b"", *script]:
            try:
                os.write(process.stdin.fileno(), piece)
            except BrokenPipeError:
                break
            seen = len(output)
            while says[piece[:1]] not in output[seen:] and time.monotonic() < deadline:
                if select.select([process.stdout], [], [], 0.2)[0]:
                    more = os.read(process.stdout.fileno(), 65536)
                    if not more:
                        break
                    output += more
        process.stdin.close()
        output += process.stdout.read()
        process.stdout.close()
        process.wait(10)
        return output


class Requests(TlsIngest):
    """What works without TLS works with it."""

    def test_versions_bodies_keep_alive(self):
        """A body byte by byte, one of 3 MiB, one of 64 MiB (with a sanitizer not), 1.2 and 1.3."""
        weir, receiver = self.start()
        sent = []
        for version in (V12, V13):
            client = self.connect(weir, version=version)
            small = points.series(3, seed=len(sent))
            sent += small
            self.assert_reply(client.post(envelope([points.as_json(small)]), piece=1), 200)
            for mib in (3, 3 if case.program.sanitized() else 64):
                one = points.series(1, seed=len(sent))
                sent += one
                padding = b" " * 65535 + b"\n"
                records = [points.as_json(one)] + [padding] * (mib * 12)
                self.assert_reply(client.post(envelope(records)), 200)
        self.assert_arrived(receiver, sent)

    def test_pipelined_with_the_handshake(self):
        """Two requests, the first of them in the same segment as the handshake's end."""
        weir, receiver = self.start()
        sent = points.series(2)
        bodies = [envelope([points.as_json([one])]) for one in sent]
        for version in (V12, V13):
            raw = socket.create_connection(("127.0.0.1", weir.port), timeout=10)
            self.addCleanup(raw.close)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.authority.context(version).wrap_bio(
                incoming, outgoing, server_hostname="localhost")
            client = Firehose.__new__(Firehose)
            client.key, client.path, client.buffer = "test-key", "/", b""
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65536))
            tls.write(b"".join(client.request(body) for body in bodies))
            raw.sendall(outgoing.read())
            answers = b""
            while answers.count(b'"requestId"') < 2:
                try:
                    answers += tls.read(65536)
                except ssl.SSLWantReadError:
                    more = raw.recv(65536)
                    self.assertTrue(more, answers)
                    incoming.write(more)
            self.assertEqual(answers.count(b"HTTP/1.1 200 "), 2)
        self.assert_arrived(receiver, sent)

    def test_goodbyes(self):
        """A refused request is answered and followed by TLS's own end; ours is understood."""
        weir, _ = self.start()
        client = self.connect(weir)
        client.key = "wrong"
        self.assert_reply(client.post(envelope([b"x"])), 401)
        self.assertEqual(client.socket.recv(100), b"")  # an end without a goodbye would raise
        client = self.connect(weir, context=self.authority.context())
        client.socket.settimeout(10)
        client.socket.unwrap().close()  # waits for the answer to our goodbye
        self.assert_served(weir)


class Agreement(TlsIngest):
    """What is agreed on, and with whom nothing is."""

    def test_refused(self):
        """Old versions, suites without AEAD, plain HTTP; each is told why, and counted."""
        weir, _ = self.start()
        self.assert_refused(weir, "unsupported protocol", version=ssl.TLSVersion.TLSv1_1,
                            ciphers="ALL:@SECLEVEL=0")
        for suite in ("ECDHE-RSA-AES128-SHA256", "AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256"):
            self.assert_refused(weir, "no shared cipher", version=V12, ciphers=suite)
        with Firehose(weir.port) as plain:
            plain.send(plain.request(envelope([b"x"])))
            self.assertTrue(plain.closed() or plain.buffer == b"")
        self.assertTrue(weir.wait_metric(lambda: "a plain HTTP request" in weir.log_text()))
        self.assertEqual(self.outcomes(weir, "failed"), 5)
        self.assert_served(weir)
        self.assertEqual(self.outcomes(weir, "complete"), 1)

    def test_only_1_3(self):
        """min_version."""
        weir, _ = self.start(tls={"min_version": "1.3"})
        self.assert_refused(weir, "unsupported protocol", version=V12)
        self.assert_served(weir, version=V13)

    def test_certificates_by_kind_and_name(self):
        """RSA and ECDSA side by side; names; who asks for none gets the first; only HTTP/1.1."""
        other = self.authority.issue("other.example.com", "*.wild.example.com")
        weir, _ = self.start(self.rsa, self.ecdsa, other)
        for ciphers, expected in (("ECDHE+aRSA", self.rsa), ("ECDHE+aECDSA", self.ecdsa)):
            client = self.connect(weir, version=V12, ciphers=ciphers)
            self.assertEqual(self.serial(client), expected.serial())
        for name in ("other.example.com", "a.wild.example.com"):
            self.assertEqual(self.serial(self.connect(weir, name)), other.serial())
        context = self.authority.context(version=V12, ciphers="ECDHE+aRSA")
        context.check_hostname = False
        for name in (None, "nobody.example.com"):
            self.assertEqual(self.serial(self.connect(weir, name, context=context)),
                             self.rsa.serial())
        context = self.authority.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = self.connect(weir, context=context)
        self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
        context.set_alpn_protocols(["h2"])
        self.assertIsNone(self.connect(weir, context=context).socket.selected_alpn_protocol())

    def test_a_client_that_does_not_trust_us(self):
        """Its alert is what the log says."""
        weir, _ = self.start()
        with self.assertRaises(ssl.SSLError):
            self.connect(weir, context=ssl.create_default_context())
        self.assertTrue(weir.wait_metric(lambda: "unknown ca" in weir.log_text()), weir.log_text())

    def test_resumption(self):
        """Tickets, with both versions, also across a renewal; none where they are off."""
        weir, _ = self.start()
        contexts = [self.authority.context(version) for version in (V12, V13)]
        sessions = []
        for context in contexts:
            client = self.connect(weir, context=context)
            self.assert_reply(client.post(envelope([points.as_json(points.series(1))])), 200)
            sessions.append(client.socket.session)
        self.authority.issue(kind="rsa", file="rsa")
        self.assertTrue(weir.wait_metric(lambda: len(weir.events("certificate")) == 4))
        for context, session in zip(contexts, sessions):
            client = self.connect(weir, context=context, session=session)
            self.assertTrue(client.socket.session_reused)
        self.assertTrue(weir.wait_metric(lambda: self.outcomes(weir, "resumed") == 2))
        weir, _ = self.start(tls={"session_tickets": "0s"})
        for context in contexts:
            client = self.connect(weir, context=context)
            self.assert_reply(client.post(envelope([points.as_json(points.series(1))])), 200)
            again = self.connect(weir, context=context, session=client.socket.session)
            self.assertFalse(again.socket.session_reused)


class Crooked(TlsIngest):
    """Peers that renegotiate, stall, vanish."""

    def test_renegotiation_and_key_updates(self):
        """R, K and k of openssl's client: what comes of the connection is its own trouble."""
        weir, _ = self.start()
        health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertIn(b'{"status"', self.s_client(weir, "-tls1_2", [health]))
        self.s_client(weir, "-tls1_2", [health, b"R\n", health])
        output = self.s_client(weir, "-tls1_3", [health, b"k\n", health])
        self.assertEqual(output.count(b'{"status"'), 2, output)  # one that asks for nothing is fine
        output = self.s_client(weir, "-tls1_3", [health, b"K\n", health, b"K\n", health])
        self.assertEqual(output.count(b'{"status"'), 3, output)  # answered ahead of what follows
        output = self.s_client(weir, "-tls1_3", [health, b"K\n", b"K\n", health])
        self.assertEqual(output.count(b'{"status"'), 1, output)  # the second finds one unanswered
        for version in (V12, V13):
            self.assert_served(weir, version=version)

    def test_slow_half_closed_and_reset(self):
        """Handshakes that do not go on end in their time; what is half there ends nothing else."""
        weir, _ = self.start(timeouts={"handshake": "500ms"})
        hello = self.hello()
        for data in (b"", hello[:1], hello[:100], hello):
            with Firehose(weir.port) as slow:
                slow.send(data)
                slow.socket.settimeout(10)
                while slow.socket.recv(65536):
                    pass
        self.assertEqual(self.outcomes(weir, "timeout"), 4)
        with Firehose(weir.port) as half:
            half.send(hello[:50])
            half.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(half.closed())
        with Firehose(weir.port) as reset:
            reset.send(hello)
            reset.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.assertTrue(weir.wait_metric(lambda: self.outcomes(weir, "gone") == 2))
        with Firehose(weir.port) as garbage:
            garbage.send(os.urandom(4096))
            self.assertTrue(garbage.closed() or True)
        self.assertTrue(weir.wait_metric(lambda: self.outcomes(weir, "failed") == 1))
        self.assert_served(weir)

    def hello(self):
        """A ClientHello."""
        outgoing = ssl.MemoryBIO()
        tls = self.authority.context().wrap_bio(ssl.MemoryBIO(), outgoing,
                                                server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    def test_a_flood_of_handshakes(self):
        """200 that never finish: the oldest are cut, others are served at once."""
        weir, _ = self.start(connections_max=80, threads=1, timeouts={"handshake": "60s"})
        hello, flood = self.hello(), []
        for _ in range(200):
            one = socket.create_connection(("127.0.0.1", weir.port), timeout=10)
            self.addCleanup(one.close)
            one.sendall(hello)
            flood.append(one)
        self.assertTrue(weir.wait_metric(lambda: self.outcomes(weir, "crowded") == 180))
        self.assert_served(weir)


class Renewal(TlsIngest):
    """Certificates that change while requests come."""

    def test_no_request_fails(self):
        """Renewed several times under load; old connections live on; new ones see the new one."""
        weir, receiver = self.start(self.rsa)
        old = self.connect(weir)
        stop, failures, sent = threading.Event(), [], []

        def load(number):
            context = self.authority.context()
            at = 0
            while not stop.is_set():
                one = points.series(1, seed=number * 100_000 + at)
                at += 1
                try:
                    with TlsFirehose(weir.port, context) as client:
                        if client.post(envelope([points.as_json(one)])).status != 200:
                            failures.append("not 200")
                    sent.extend(one)
                except OSError as error:
                    failures.append(repr(error))

        threads = [threading.Thread(target=load, args=(number,)) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for renewal in range(2):
            new = self.authority.issue(kind="rsa", file="rsa")
            self.assertTrue(weir.wait_metric(
                lambda wanted=renewal + 2: len(weir.events("certificate")) == wanted))
        stop.set()
        for thread in threads:
            thread.join(30)
        self.assertEqual(failures, [])
        self.assertEqual(self.serial(self.connect(weir)), new.serial())
        self.assert_reply(old.post(envelope([points.as_json(points.series(1))])), 200)
        expiry = weir.metrics()[("weir_tls_certificate_expiry_timestamp_seconds",
                                 frozenset({("certificate", self.rsa.certificate)}))]
        self.assertEqual(expiry, certs.expiry(new))
        self.assert_arrived(receiver, sent + points.series(1))

    def test_a_symbolic_link_that_switches(self):
        """As certbot and Kubernetes do it; a file that is no good changes nothing."""
        new = self.authority.issue(kind="rsa", file="second")
        link = os.path.join(self.folder, "live")
        for number, each in enumerate((self.rsa, new)):
            folder = os.path.join(self.folder, f"v{number}")
            os.mkdir(folder)
            shutil.copy(each.certificate, os.path.join(folder, "crt"))
            shutil.copy(each.key, os.path.join(folder, "key"))
        os.symlink("v0", link)
        live = certs.Certificate(os.path.join(link, "crt"), os.path.join(link, "key"), [])
        weir, _ = self.start(live)
        self.assertEqual(self.serial(self.connect(weir)), self.rsa.serial())
        os.symlink("v1", link + ".new")
        os.replace(link + ".new", link)
        self.assertTrue(weir.wait_metric(lambda: len(weir.events("certificate")) == 2))
        self.assertEqual(self.serial(self.connect(weir)), new.serial())


class Check(TlsIngest):
    """What `weir check` and a start say of certificates."""

    def check(self, certificate):
        """(exit code, standard output, standard error)."""
        path = os.path.join(self.folder, "check.yaml")
        config = self.configuration(certificate)
        case.program.write_configuration(path, config)
        return self.run_weir("check", "-c", path)

    def configuration(self, certificate):
        """With one certificate."""
        return case.program.configuration("http://127.0.0.1:1", ingest={
            "tls": {"certificates": [certificate.config()]}})

    def test_warnings(self):
        """Expired, soon expired, a key that others may read; a good one is told without."""
        code, told, said = self.check(self.rsa)
        self.assertEqual((code, said), (0, ""))
        self.assertRegex(told, r"# +RSA +expires 20\d\d-.*Z +localhost\n")
        for certificate, words in (
                (self.authority.issue("old.example.com", days=-2), "example.com has expired on"),
                (self.authority.issue(days=13), "expires within 14 days")):
            code, _, said = self.check(certificate)
            self.assertEqual(code, 0)
            self.assertIn(words, said)
        os.chmod(self.rsa.key, 0o644)
        self.assertIn("chmod 600", self.check(self.rsa)[2])

    def test_errors(self):
        """Nothing starts with a key of another certificate, with a passphrase, with no file."""
        wrong = certs.Certificate(self.rsa.certificate, self.ecdsa.key, [])
        self.assertIn("is not that of the certificate", self.check(wrong)[2])
        certs.seal(self.ecdsa, "secret")
        code, _, said = self.check(self.ecdsa)
        self.assertEqual(code, 1)
        self.assertIn("a passphrase protects", said)
        os.unlink(self.rsa.key)
        self.assertIn("there is no such file", self.check(self.rsa)[2])
        self.assertIn("ingest.tls.certificates[0]", self.check(self.rsa)[2])

    def test_a_weak_key(self):
        """What the system's security level refuses is found at the start."""
        self.assertIn("key too small", self.check(self.authority.issue(kind="rsa1024"))[2])


class Providers(TlsIngest):
    """OpenSSL's providers are the configuration's."""

    def test_providers_of_openssl_cnf(self):
        """An openssl.cnf that activates `default` and `base` by name is what is used."""
        path = os.path.join(self.folder, "openssl.cnf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("openssl_conf=init\n[init]\nproviders=all\n[all]\ndefault=on\nbase=on\n"
                      "[on]\nactivate=1\n")
        receiver = self.receiver()
        weir = case.program.Weir(case.program.configuration(receiver.url, ingest={
            "tls": {"certificates": [self.rsa.config()]}}), self.folder, OPENSSL_CONF=path)
        self.addCleanup(self.end_weir, weir)
        self.assert_served(weir)

    def test_without_what_is_needed(self):
        """One that has no cryptography at all: a start that says so, and no crash."""
        path = os.path.join(self.folder, "openssl.cnf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("openssl_conf=init\n[init]\nproviders=all\n[all]\nbase=on\n[on]\n"
                      "activate=1\n")
        config = os.path.join(self.folder, "weir.yaml")
        case.program.write_configuration(config, case.program.configuration(
            "http://127.0.0.1:1", ingest={"tls": {"certificates": [self.rsa.config()]}}))
        code, _, said = self.run_weir("check", "-c", config, OPENSSL_CONF=path)
        self.assertEqual(code, 1)
        self.assertIn("ingest.tls.certificates[0]", said)


if __name__ == "__main__":
    case.main()
