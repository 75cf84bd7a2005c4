#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OTLP/gRPC to grpcio's server: each point comes once, whatever the server says or does."""
import shutil
import socket
import subprocess
import time
import unittest

from weirtest import case, grpc_receiver, otlp, points
from weirtest.case import WeirCase
from weirtest.durable import DurableCase
from weirtest.grpc_receiver import GrpcAnswer, GrpcReceiver

grpc_receiver.use_system_python()
STUBS = grpc_receiver.stubs()
RETRYABLE = {1: "cancelled", 4: "deadline_exceeded", 10: "aborted", 11: "out_of_range",
             14: "unavailable", 15: "data_loss"}
BLOCKED = {5: "not_found", 7: "permission_denied", 12: "unimplemented", 16: "unauthenticated"}
REFUSED = {2: "unknown", 3: "invalid_argument", 6: "already_exists", 8: "resource_exhausted",
           9: "failed_precondition", 13: "internal"}


def first(count, answer):
    """A rule: this answer to the first `count` requests, then success."""
    return lambda batch: answer if batch.number <= count else None


@unittest.skipIf(STUBS is None, "python3-grpcio or protobuf-compiler-grpc is missing")
class GrpcCase(WeirCase):
    """With a gRPC backend."""

    def backend(self, rule=None, port=0, options=(), tls=None):
        """A server; what it could not decode fails the test at its end."""
        receiver = GrpcReceiver(STUBS, rule, port, options, tls)
        self.addCleanup(self.end_receiver, receiver)
        return receiver

    def certificate(self):
        """(key, certificate) of localhost, self-signed; the latter in cert.pem too."""
        key, certificate = f"{self.folder}/key.pem", f"{self.folder}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key,
                        "-out", certificate], check=True, capture_output=True)
        with open(key, "rb") as first, open(certificate, "rb") as second:
            return first.read(), second.read()

    def assert_answered(self, weir, points):
        """The program knows that they arrived: the server may go."""
        self.assertTrue(weir.wait_metric(lambda: weir.metric(
            "weir_export_points_total", outcome="delivered") >= points))

    def grpc_weir(self, receiver, destination=None, **change):
        """The program, sending to it."""
        to = {"name": "backend", "endpoint": receiver.url, "protocol": "grpc"}
        return self.weir(receiver, **({"destinations": [to | (destination or {})]} | change))

    def check(self, rule=None, destination=None, sent=None, options=(), **change):
        """Sends points in two requests; all must arrive once. The backend and the program."""
        sent = sent or points.series(40)
        receiver = self.backend(rule, options=options)
        weir = self.grpc_weir(receiver, destination, **change)
        half = len(sent) // 2
        self.deliver(weir, [points.as_json(sent[:half])])
        self.deliver(weir, [points.as_otlp10(sent[half:])])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assert_arrived(receiver, sent)
        return receiver, weir


class Delivered(GrpcCase):
    """What a success is, and what a request looks like."""

    def test_metadata(self):
        receiver, _ = self.check(destination={
            "headers": {"Authorization": "Bearer t-1", "X-Scope": "a b"}, "timeout": "7s"})
        for batch in receiver.batches:
            self.assertEqual(batch.headers["authorization"], "Bearer t-1")
            self.assertEqual(batch.headers["x-scope"], "a b")
            self.assertRegex(batch.headers["user-agent"], "^Weir/")
            self.assertTrue(5 < batch.headers["timeout"] <= 7.1, batch.headers["timeout"])

    def test_compressions(self):
        """The server inflates; bytes sent tell that there was something to inflate."""
        sent = points.series(2000)
        sizes = {}
        for coding in ("none", "gzip"):
            receiver = self.backend()
            weir = self.grpc_weir(receiver, {"compression": coding}, buffer={"interval": "1s"})
            self.deliver(weir, [points.as_otlp10(sent)])
            self.assert_arrived(receiver, sent)
            sizes[coding] = weir.metric("weir_export_bytes_total", destination="backend",
                                        encoding="sent")
        self.assertGreater(sizes["none"], 3 * sizes["gzip"])

    def test_one_connection_many_streams(self):
        """With TLS: without it libcurl before 8.0 cannot use a connection twice."""
        sent = points.series(400)
        receiver = self.backend(lambda b: GrpcAnswer(delay=0.3), tls=self.certificate())
        weir = self.grpc_weir(receiver, {"endpoint": f"https://localhost:{receiver.port}",
                                         "tls": {"ca_file": f"{self.folder}/cert.pem"}},
                              buffer={"interval": "50ms", "max_points": 20}, export_threads=1)
        for part in range(0, 400, 40):
            self.deliver(weir, [points.as_otlp10(sent[part:part + 40])])
        self.assert_arrived(receiver, sent)
        self.assertEqual(len(receiver.peers), 1)
        times = [b.time for b in receiver.batches]
        self.assertTrue(any(b - a < 0.2 for a, b in zip(times, times[1:])), "requests overlap")

    def test_partial_success(self):
        sent = points.series(10)
        receiver = self.backend(first(1, GrpcAnswer(rejected=3, text="three were odd")))
        weir = self.grpc_weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(receiver.wait_count(10))
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_requests_total", outcome="partial") == 1))
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(max(receiver.attempts().values()), 1, "partial success is final")
        self.assertIn("three were odd", weir.log_text())

    def test_all_rejected_is_a_refusal(self):
        sent = points.series(10)
        receiver = self.backend(lambda b: GrpcAnswer(rejected=10, text="no summaries"))
        weir = self.grpc_weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 10))
        self.assertEqual(max(receiver.attempts().values()), 1)


class Codes(GrpcCase):
    """Each code does what OTLP's table says."""

    def test_retried(self):
        for code, reason in RETRYABLE.items():
            with self.subTest(reason):
                receiver, _ = self.check(first(3, GrpcAnswer(code=code, text="later")))
                self.assertGreaterEqual(len(receiver.batches), 4)
                self.assertEqual(receiver.batches[0].body, receiver.batches[1].body)

    def test_retry_info(self):
        info = grpc_receiver.retry_info(1, 500_000_000)
        for code in (8, 14):
            with self.subTest(code):
                receiver, _ = self.check(first(1, GrpcAnswer(code=code, details=info)))
                waited = receiver.batches[1].time - receiver.batches[0].time
                self.assertGreaterEqual(waited, 1.45)
                self.assertLess(waited, 8)

    def test_exhausted_without_retry_info_where_told_to(self):
        self.check(first(2, GrpcAnswer(code=8, text="quota")), retry={"also_on": [8]})

    def test_blocked(self):
        for code, reason in BLOCKED.items():
            with self.subTest(reason):
                sent, good = points.series(30), []
                receiver = self.backend(
                    lambda b, c=code, g=good: None if g else GrpcAnswer(code=c, text="no%20entry"))
                weir = self.grpc_weir(receiver, retry={"window": "1s"})
                self.deliver(weir, [points.as_otlp10(sent)])
                self.assertTrue(weir.wait_metric(lambda w=weir, r=reason: w.metric(
                    "weir_destination_blocked", destination="backend", reason=r) == 1))
                time.sleep(1.5)
                good.append(True)
                self.assert_arrived(receiver, sent)
                self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)

    def test_refused(self):
        for code, reason in REFUSED.items():
            with self.subTest(reason):
                poison = points.series(4, metric="Poison", namespace="Poison")
                sent = points.series(20)
                receiver = self.backend(lambda b, c=code: GrpcAnswer(
                    code=c, text="bad thing: \u00e4\n") if b.holds("Poison") else None)
                weir = self.grpc_weir(receiver)
                self.deliver(weir, [points.as_json(poison)])
                self.assertTrue(weir.wait_metric(lambda w=weir: w.metric(
                    "weir_dead_letter_points_total", destination="backend") == 4))
                self.deliver(weir, [points.as_json(sent)])
                self.assert_arrived(receiver, sent)
                self.assertEqual(weir.stop(), 0)
                self.assertIn("bad thing: \u00e4", weir.log_text())
                self.assertEqual(
                    sum(b.holds("Poison") for b in receiver.batches), 1, "it is not retried")


class Letters(GrpcCase, DurableCase):
    """What is refused is in the dead letter as the request itself, without gRPC's prefix."""

    def test_refused_kept_and_replayed(self):
        for coding in ("gzip", "none"):
            with self.subTest(coding):
                mended = []
                receiver = self.backend(lambda b, m=mended: None if m else GrpcAnswer(code=3))
                weir = self.durable(receiver, destinations=[
                    {"name": "grpc", "endpoint": receiver.url, "protocol": "grpc",
                     "compression": coding}])
                poison = points.series(8, metric=f"Poison{coding}")
                folder = f"{self.folder}/spool/dead-letter"
                self.deliver(weir, [points.as_otlp10(poison)])
                self.assertTrue(weir.wait_metric(lambda w=weir: w.metric(
                    "weir_dead_letter_points_total", destination="grpc") == 8))
                mended.append(True)
                code, out, err = self.run_weir("replay", "-c", f"{self.folder}/weir.yaml", folder)
                self.assertEqual(code, 0, out + err)
                self.assert_arrived(receiver, poison)
                self.assertEqual(weir.stop(), 0)
                shutil.rmtree(folder)


class Large(GrpcCase):
    """The server has a limit."""

    def test_a_message_over_the_limit_is_split(self):
        sent = points.series(3000)
        for coding in ("none", "gzip"):
            with self.subTest(coding):
                receiver, weir = self.check(
                    destination={"compression": coding}, sent=sent, buffer={"interval": "1s"},
                    options=(("grpc.max_receive_message_length", 50_000),))
                self.assertGreater(len(receiver.batches), 10)
                self.assertTrue(all(len(b.body) <= 50_000 for b in receiver.batches))
                self.assertNotIn("dead letter", weir.log_text())

    def test_the_default_limit(self):
        """grpcio's own 4 MiB, and batches that are larger."""
        sent = points.series(700, dimensions={"D": "x" * 9_000})
        receiver = self.backend()
        weir = self.grpc_weir(receiver, buffer={"interval": "5s", "size": "8MiB"},
                              memory_limit="1GiB")
        self.deliver(weir, [points.as_otlp10(sent[part:part + 70]) for part in range(0, 700, 70)])
        self.assert_arrived(receiver, sent)
        self.assertGreater(max(len(b.body) for b in receiver.batches), 1_000_000)
        self.assertTrue(all(len(b.body) <= 4 << 20 for b in receiver.batches))


class Restarts(GrpcCase):
    """The server goes away, politely or not."""

    def test_goaway_by_age(self):
        receiver = self.backend(options=(("grpc.max_connection_age_ms", 500),
                                         ("grpc.max_connection_age_grace_ms", 5000)))
        weir = self.grpc_weir(receiver, buffer={"interval": "20ms"})
        sent = points.series(400)
        for part in range(0, 400, 10):
            self.deliver(weir, [points.as_otlp10(sent[part:part + 10])])
            time.sleep(0.08)
        self.assert_arrived(receiver, sent)
        self.assertGreater(len(receiver.peers), 2)

    def restart(self, grace):
        """Restarts the server again and again while points come in. (backend, points, weir)"""
        receiver = self.backend(lambda b: GrpcAnswer(delay=0.05))
        weir = self.grpc_weir(receiver, buffer={"interval": "20ms"})
        sent = points.series(300)
        for part in range(0, 300, 10):
            self.deliver(weir, [points.as_otlp10(sent[part:part + 10])])
            if part % 50 == 0:
                receiver.stop(grace)
                time.sleep(0.2)
                receiver.start()
            time.sleep(0.05)
        return receiver, sent, weir

    def check_restarts(self, grace):
        """Nothing is lost; only what was taken and not answered with success comes again."""
        receiver, sent, weir = self.restart(grace)
        wanted = set(otlp.multiset([p.canonical() for p in sent]))
        self.assertTrue(weir.wait_metric(
            lambda: set(otlp.multiset(receiver.points())) == wanted, 30), weir.log_text()[-4000:])
        again = sum(count - 1 for count in receiver.attempts().values())
        self.assertLessEqual(again, weir.metric("weir_export_requests_total", outcome="retryable"))

    def test_restarts_with_grace(self):
        self.check_restarts(5)

    def test_restarts_without_grace(self):
        self.check_restarts(None)

    def test_nobody_listens_at_first(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        sent = points.series(10)
        weir = self.weir(f"http://127.0.0.1:{port}", destinations=[
            {"name": "backend", "endpoint": "", "protocol": "grpc"}])
        self.deliver(weir, [points.as_otlp07(sent)])
        time.sleep(1)
        receiver = self.backend(port=port)
        self.assert_arrived(receiver, sent)
        self.assert_answered(weir, 10)


class Elsewhere(GrpcCase):
    """Something else listens there."""

    def test_an_unknown_service_blocks(self):
        receiver = self.backend()
        weir = self.grpc_weir(receiver, {"metrics_endpoint": receiver.url + "/other.Service/Do",
                                         "endpoint": None}, drain={"deadline": "1s"})
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assertTrue(weir.wait_metric(lambda: weir.metric(
            "weir_destination_blocked", destination="backend", reason="unimplemented") == 1))
        self.assertEqual(receiver.batches, [])
        weir.kill()
        weir.process.returncode = 0  # what it held is not this test's matter

    def test_an_http1_server_gets_nothing_and_nothing_is_lost(self):
        receiver = self.receiver()
        weir = self.grpc_weir(receiver, drain={"deadline": "1s"})
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assertTrue(weir.wait_metric(lambda: weir.metric(
            "weir_export_requests_total", outcome="retryable") >= 1))
        self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)
        self.assertEqual(receiver.batches, [])
        weir.kill()
        weir.process.returncode = 0  # as above

    def test_check_connect(self):
        receiver = self.backend()
        for url, good in ((receiver.url, True), (receiver.url + "/base", False)):
            with open(f"{self.folder}/c.yaml", "w", encoding="ascii") as file:
                file.write("ingest: {access_keys: none}\nspool: {durability: memory}\n"
                           "destinations:\n"
                           f"- {{name: g, endpoint: '{url}', protocol: grpc}}\n")
            code, _, said = self.run_weir("check", "-c", f"{self.folder}/c.yaml", "--connect")
            self.assertEqual(code == 0, good, said)
            # grpcio resets the stream with its answer, which libcurl then loses now and then
            self.assertRegex(said, "ok" if good else "unimplemented|HTTP/2 framing")


if __name__ == "__main__":
    case.main()
