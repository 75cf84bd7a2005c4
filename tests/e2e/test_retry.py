#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backends that fail: what is retried, held, blocked, split or given up; each point comes once."""
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.receiver import Answer, Receiver, partial_success


def first(count, answer):
    """A rule: this answer to the first `count` requests, then success."""
    return lambda batch: answer if batch.number <= count else None


class Retried(WeirCase):
    """Failures that pass: every point arrives, and is accepted once."""

    def check(self, rule, sent=None, **change):
        """Sends points through a backend with this rule; all must arrive once. The backend."""
        sent = sent or points.series(40)
        receiver = self.receiver(rule)
        weir = self.weir(receiver, **change)
        half = len(sent) // 2
        self.deliver(weir, [points.as_json(sent[:half])])
        self.deliver(weir, [points.as_otlp10(sent[half:])])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assert_arrived(receiver, sent)
        return receiver

    def test_retryable_statuses(self):
        for status in (429, 502, 503, 504):
            with self.subTest(status):
                receiver = self.check(first(3, Answer(status)))
                self.assertGreaterEqual(len(receiver.batches), 4)

    def test_same_bytes_at_each_attempt(self):
        receiver = self.check(first(2, Answer(503)), buffer={"interval": "1s"})
        self.assertEqual(receiver.batches[0].body, receiver.batches[1].body)

    def test_reset_connections(self):
        self.check(first(3, Answer(reset=True)))

    def test_slow_answers(self):
        self.check(first(1, Answer(503, delay=3)),
                   destinations=[{"name": "backend", "endpoint": "", "timeout": "1s"}])

    def test_nobody_listens_at_first(self):
        port = Receiver()
        port.stop()
        sent = points.series(10)
        weir = self.weir(f"http://127.0.0.1:{port.port}")
        self.deliver(weir, [points.as_otlp07(sent)])
        time.sleep(1)
        receiver = self.receiver(port=port.port)
        self.assert_arrived(receiver, sent)

    def test_one_probe_at_a_time(self):
        begun = time.monotonic()
        receiver = self.receiver(
            lambda b: Answer(503) if time.monotonic() < begun + 3 else None)
        weir = self.weir(receiver)
        sent = []
        for round_ in range(5):
            more = points.series(5, 5 * round_)
            sent += more
            self.deliver(weir, [points.as_json(more)])
            time.sleep(0.3)
        self.assert_arrived(receiver, sent)
        times = sorted(b.time for b in receiver.batches if b.answer.status == 503)
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertGreater(len(gaps), 3)
        self.assertLessEqual(sum(gap < 0.05 for gap in gaps), 1,
                             "one probe at a time, backing off: no batch retries by itself")

    def test_retry_after(self):
        rule = first(1, Answer(503, {"Retry-After": "2"}))
        receiver = self.check(rule)
        waited = receiver.batches[1].time - receiver.batches[0].time
        self.assertGreaterEqual(waited, 1.9)
        self.assertLess(waited, 10)

    def test_outage_past_the_window(self):
        sent = points.series(60)
        up = []
        receiver = self.receiver(lambda b: None if up else Answer(503))
        weir = self.weir(receiver, retry={"window": "1s"})
        for part in range(0, 60, 20):
            self.deliver(weir, [points.as_json(sent[part:part + 20])])
            time.sleep(1.2)
        self.assertTrue(receiver.batches)
        self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)
        up.append(True)
        self.assert_arrived(receiver, sent)


class Blocked(WeirCase):
    """A refused token or a wrong URL holds everything and says so."""

    def blocked(self, weir):
        """Whether the program says that its destination is blocked."""
        return weir.metric("weir_destination_blocked", destination="backend")

    def test_blocked_then_delivered(self):
        elsewhere = self.receiver()
        for status in (401, 403, 404, 405, 307):
            with self.subTest(status):
                sent, good = points.series(30), []
                answer = Answer(status, {"Location": elsewhere.url} if status == 307 else {})
                receiver = self.receiver(lambda b, a=answer, g=good: None if g else a)
                weir = self.weir(receiver, retry={"window": "1s"})
                self.deliver(weir, [points.as_otlp10(sent)])
                self.assertTrue(weir.wait_metric(lambda w=weir: self.blocked(w) == 1))
                time.sleep(2)
                good.append(True)
                self.assert_arrived(receiver, sent)
                self.assertTrue(weir.wait_metric(lambda w=weir: self.blocked(w) == 0))
                self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)
        self.assertEqual(elsewhere.batches, [], "a redirect is not followed")


class Refused(WeirCase):
    """What no retry can mend is given up, counted and logged; the rest goes on."""

    def poison(self, answer):
        """A poisoned batch and good ones around it: only the poison is lost."""
        poison = points.series(4, metric="Poison", namespace="Poison")
        before, after = points.series(10), points.series(10, 10)
        receiver = self.receiver(lambda b: answer if b.holds("Poison") else None)
        weir = self.weir(receiver, retry={"window": "2s"})
        self.deliver(weir, [points.as_json(before)])
        self.assertTrue(receiver.wait_count(10))
        self.deliver(weir, [points.as_json(poison)])
        self.assertTrue(receiver.wait(lambda: any(b.holds("Poison") for b in receiver.batches)))
        self.deliver(weir, [points.as_json(after)])
        self.assert_arrived(receiver, before + after)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 4))
        return weir

    def test_poison_refused(self):
        for status in (400, 422, 500):
            with self.subTest(status):
                self.poison(Answer(status))

    def test_poison_by_timeout_of_its_window(self):
        """What is to blame is found out by what happens to the others, so others have to come."""
        poison = points.series(4, metric="Poison", namespace="Poison")
        receiver = self.receiver(lambda b: Answer(503) if b.holds("Poison") else None)
        weir = self.weir(receiver, retry={"window": "2s"})
        self.deliver(weir, [points.as_json(poison)])
        self.assertTrue(receiver.wait(lambda: any(b.holds("Poison") for b in receiver.batches)))
        good = []
        for round_ in range(60):
            if weir.metric("weir_dead_letter_points_total", destination="backend") == 4:
                break
            more = points.series(10, 10 * round_)
            good += more
            self.deliver(weir, [points.as_json(more)])
            time.sleep(0.25)
        self.assertEqual(weir.metric("weir_dead_letter_points_total", destination="backend"), 4)
        self.assert_arrived(receiver, good)
        self.assertEqual(weir.stop(), 0)

    def test_logged_with_the_backends_words(self):
        weir = self.poison(Answer(400))
        self.assertEqual(weir.stop(), 0)
        self.assertRegex(weir.log_text(), r'"destination":"backend"')

    def test_partial_success(self):
        sent = points.series(10)
        receiver = self.receiver(lambda b: partial_success(3, "three were odd") if b.number == 1
                                 else None)
        weir = self.weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(receiver.wait_count(10))
        self.assertTrue(weir.wait_metric(lambda: any(
            value == 3 for (name, _), value in weir.metrics().items()
            if name in ("weir_export_points_total", "weir_dead_letter_points_total"))))
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(max(receiver.attempts().values()), 1, "partial success is final")
        self.assertIn("three were odd", weir.log_text())

    def test_a_long_partial_success_is_a_success(self):
        sent = points.series(10)
        receiver = self.receiver(lambda b: partial_success(0, "w" * 60_000))
        weir = self.weir(receiver)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(max(receiver.attempts().values()), 1)

    def test_garbage_with_200_is_a_success(self):
        receiver = self.receiver(lambda b: Answer(body=b"\xff\xff<html>"))
        sent = points.series(10)
        weir = self.weir(receiver)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(max(receiver.attempts().values()), 1)


class Split(WeirCase):
    """413: the batch is halved until it fits; a single point that does not fit is given up."""

    def test_split_until_it_fits(self):
        sent = points.series(200)
        receiver = self.receiver(lambda b: Answer(413) if len(b.body) > 5000 else None)
        weir = self.weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_otlp10(sent)])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assert_arrived(receiver, sent)

    def test_a_single_point_is_given_up(self):
        sent = points.series(10)
        large = points.Point(metric="Large", dimensions={"D": "x" * 3000})
        receiver = self.receiver(lambda b: Answer(413) if b.holds("Large") else None)
        weir = self.weir(receiver, buffer={"interval": "1s"})
        self.deliver(weir, [points.as_json(sent[:5] + [large] + sent[5:])])
        self.assert_arrived(receiver, sent)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total", destination="backend") == 1))


class Several(WeirCase):
    """Destinations do not wait for each other, and take only their namespaces."""

    def test_one_is_down(self):
        good, bad = self.receiver(), self.receiver(lambda b: Answer(503))
        weir = self.weir(good, drain={"deadline": "2s"}, destinations=[
            {"name": "good", "endpoint": good.url}, {"name": "bad", "endpoint": bad.url}])
        sent = points.series(100)
        for part in range(0, 100, 10):
            self.deliver(weir, [points.as_json(sent[part:part + 10])])
        self.assert_arrived(good, sent, 10)
        weir.kill()
        weir.process.returncode = 0  # what the dead destination held is not this test's matter

    def test_compressions(self):
        """The same points, whatever their coding."""
        ways = [{"compression": "gzip"}, {"compression": "gzip", "compression_level": 9},
                {"compression": "none"}, {"compression": "zstd"},
                {"compression": "zstd", "compression_level": 12}]
        receivers = [self.receiver() for _ in ways]
        weir = self.weir(receivers[0], destinations=[
            {"name": f"d{i}", "endpoint": receivers[i].url} | way for i, way in enumerate(ways)])
        sent = points.series(300)
        self.deliver(weir, [points.as_json(sent)])
        for way, receiver in zip(ways, receivers):
            self.assert_arrived(receiver, sent)
            self.assertEqual({b.headers.get("Content-Encoding", "none") for b in receiver.batches},
                             {way["compression"]})

    def test_zstd_split(self):
        receiver = self.receiver(lambda b: Answer(413) if len(b.body) > 5000 else None)
        weir = self.weir(receiver, destinations=[
            {"name": "backend", "endpoint": "", "compression": "zstd"}])
        sent = points.series(100)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)

    def test_namespaces(self):
        aws, rest = self.receiver(), self.receiver()
        weir = self.weir(aws, destinations=[
            {"name": "aws", "endpoint": aws.url,
             "namespaces": {"include": ["AWS/*"], "exclude": ["AWS/RDS"]}},
            {"name": "rest", "endpoint": rest.url + "/base/", "compression": "none",
             "headers": {"X-Token": "t-1"},
             "namespaces": {"exclude": ["AWS/EC2", "AWS/L*"]}}])
        sent = points.series(50)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(aws, [p for p in sent if p.namespace.startswith("AWS/")
                                  and p.namespace != "AWS/RDS"])
        self.assert_arrived(rest, [p for p in sent if p.namespace != "AWS/EC2"
                                   and not p.namespace.startswith("AWS/L")])
        self.assertEqual({b.path for b in rest.batches}, {"/base/v1/metrics"})
        self.assertEqual({b.headers.get("X-Token") for b in rest.batches}, {"t-1"})
        self.assertEqual({b.headers.get("Content-Encoding") for b in rest.batches}, {None})
        self.assertEqual({b.headers.get("Content-Encoding") for b in aws.batches}, {"gzip"})
        self.assertEqual({b.headers["Content-Type"] for b in aws.batches},
                         {"application/x-protobuf"})


if __name__ == "__main__":
    case.main()
