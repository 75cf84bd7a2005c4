#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Five destinations with different filters, three delivery streams, two accounts, attributes: each
backend gets exactly its points, also those that it was owed when the program was killed."""
import fnmatch
import itertools
import json
import threading

from weirtest import case, points
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

OURS, OTHER = "111122223333", "444455556666"
STREAMS = ("pay-eu", "pay-us", "ops")
TENANTS = ({}, {"tenant": "a1", "stage": "prod"}, {"tenant": "b", "stage": "dev"},
           {"stage": "prod \"x\" \u00e4"})
FILTERS = {
    "everything": {},
    "ours-in-europe": {"accounts": {"include": [OURS]}, "regions": {"include": ["eu-*"]}},
    "compute": {"namespaces": {"include": ["AWS/EC2", "AWS/Lam*"]},
                "accounts": {"exclude": [OTHER]}},
    "payments": {"streams": {"include": ["pay-*"], "exclude": ["pay-us"]}},
    "tenants": {"attributes": {"tenant": ["a*", "x"], "stage": ["", "prod"]}},
}


def fits(filters, key, value):
    """What docs/routing.md says of include and exclude."""
    lists = filters.get(key, {})
    return (any(fnmatch.fnmatchcase(value, glob) for glob in lists.get("include", ["*"]))
            and not any(fnmatch.fnmatchcase(value, glob) for glob in lists.get("exclude", [])))


def wanted(filters, stream, attributes, point):
    """Whether a point that came so goes to a destination with these filters."""
    named = filters.get("attributes", {})
    return (fits(filters, "streams", stream) and fits(filters, "namespaces", point.namespace)
            and fits(filters, "accounts", point.account) and fits(filters, "regions", point.region)
            and all(any(fnmatch.fnmatchcase(attributes[name], glob) for glob in globs)
                    if name in attributes else "" in globs for name, globs in named.items()))


def arn(stream):
    """The delivery stream's."""
    return f"arn:aws:firehose:eu-west-1:{OURS}:deliverystream/{stream}"


def header(attributes):
    """The common attributes as Firehose sends them, or no header."""
    return json.dumps({"commonAttributes": attributes}) if attributes else None


class Routing(DurableCase):
    """The filters, in the whole program."""

    def setUp(self):
        super().setUp()
        self.down = threading.Event()
        self.backends = {name: self.receiver(lambda _: Answer(503) if self.down.is_set() else None)
                         for name in FILTERS}
        self.sent = {name: [] for name in FILTERS}
        self.count = 0

    def start(self, only=tuple(FILTERS), **change):
        """The program with these destinations."""
        return self.durable("", destinations=[
            {"name": name, "endpoint": self.backends[name].url} | FILTERS[name] for name in only],
            **change)

    def make(self, encode):
        """A few points of both accounts and three regions; JSON has its stream's account."""
        owners = [OURS] if encode is points.as_json else [OURS, OTHER]
        more = []
        for account, region in itertools.product(owners, ("eu-west-1", "eu-south-1", "us-east-1")):
            more += points.series(3, self.count, account=account, region=region)
            self.count += 3
        return more

    def send(self, client, stream, attributes, encode):
        """One request, and what of it each destination must get."""
        more = self.make(encode)
        response = client.post(
            envelope([encode(more)]), x_amz_firehose_source_arn=arn(stream),
            x_amz_firehose_common_attributes=header(attributes))
        self.assertEqual(response.status, 200, response.body)
        for name, filters in FILTERS.items():
            self.sent[name] += [p for p in more if wanted(filters, stream, attributes, p)]

    def send_all(self, weir):
        """Each stream with each tenant, in each encoding."""
        encodings = itertools.cycle(points.ENCODINGS.values())
        with Firehose(weir.port) as client:
            for stream, tenant in itertools.product(STREAMS, TENANTS):
                self.send(client, stream, tenant, next(encodings))

    def assert_all_arrived(self):
        """Each backend has its points, once; and there were some, and not all."""
        for name, backend in self.backends.items():
            self.assertGreater(len(self.sent[name]), 0, name)
            self.assertEqual(len(self.sent[name]) < self.count, name != "everything")
            self.assert_each_once(backend, self.sent[name])

    def test_each_gets_its_points(self):
        weir = self.start()
        self.send_all(weir)
        self.assert_all_arrived()
        self.assertEqual(weir.metric("weir_points_unrouted_total"), 0)
        self.assertEqual(weir.stop(), 0)
        self.assert_all_arrived()

    def test_backlog_is_routed_as_it_came(self):
        """All backends are down, the program is killed: what it reads back goes the same ways."""
        self.down.set()
        weir = self.start()
        self.send_all(weir)
        self.killed(weir)
        for backend in self.backends.values():
            backend.quiet()
        self.down.clear()
        weir = self.start()
        self.send_all(weir)
        self.assert_all_arrived()
        self.assertEqual(weir.stop(), 0)
        self.assert_all_arrived()
        self.assertEqual(self.letters(), [])

    def test_what_nobody_wants_is_counted(self):
        weir = self.start(("payments", "tenants"))
        with Firehose(weir.port) as client:
            self.send(client, "ops", {"tenant": "b"}, points.as_json)
            self.send(client, "pay-us", {}, points.as_otlp10)
        self.assertEqual(weir.metric("weir_points_unrouted_total", reason="attribute"), self.count)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual([len(b.batches) for b in self.backends.values()], [0] * 5)

    def test_damaged_attributes_are_absent(self):
        weir = self.start(("everything", "tenants"))
        more = self.make(points.as_otlp10)
        with Firehose(weir.port) as client:
            for inside in ('{"tenant":"a1"', '{"tenant":1}}'):
                damaged = '{"commonAttributes":' + inside
                response = client.post(envelope([points.as_otlp10(more)]),
                                       x_amz_firehose_common_attributes=damaged)
                self.assertEqual(response.status, 200, response.body)
        self.assert_each_once(self.backends["everything"], more * 2)
        self.assertEqual(weir.metric("weir_common_attributes_damaged_total"), 2)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(self.backends["tenants"].batches, [])

    def test_filters_that_have_changed(self):
        """What a destination is owed goes there, although it would not have the stream any more;
        what it does not want of the points any more is counted."""
        self.down.set()
        weir = self.start(("payments", "everything"))
        with Firehose(weir.port) as client:
            self.send(client, "pay-eu", {}, points.as_otlp07)
        self.killed(weir)
        for backend in self.backends.values():
            backend.quiet()
        self.down.clear()
        weir = self.durable("", destinations=[
            {"name": "payments", "endpoint": self.backends["payments"].url,
             "streams": {"include": ["other"]}},
            {"name": "everything", "endpoint": self.backends["everything"].url,
             "accounts": {"include": ["9*"]}}])
        self.wait_metric(weir, "weir_points_unrouted_total", self.count, reason="changed")
        self.assert_each_once(self.backends["payments"], self.sent["payments"])
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(self.backends["everything"].accepted(), [])

    def test_a_letter_goes_where_it_was_meant_for(self):
        """The dead letter has no attributes; a replay asks for none."""
        refuses = threading.Event()
        refuses.set()
        picky = self.receiver(lambda _: Answer(400) if refuses.is_set() else None)
        weir = self.durable("", destinations=[
            {"name": "tenants", "endpoint": picky.url} | FILTERS["tenants"]])
        with Firehose(weir.port) as client:
            self.send(client, "ops", TENANTS[1], points.as_otlp10)
        self.assertTrue(picky.wait(lambda: len(picky.batches) > 0))
        self.assertEqual(weir.stop(), 0)
        self.assertGreater(len(self.letters()), 0)
        refuses.clear()
        code, out, err = self.run_weir("replay", "-c", f"{self.folder}/weir.yaml",
                                       f"{self.folder}/spool/dead-letter")
        self.assertEqual(code, 0, out + err)
        self.assert_each_once(picky, self.sent["tenants"])

    def test_no_allocation_once_warm(self):
        """Also with all filters and attributes a request costs no allocation of ours."""
        weir = self.durable("", destinations=[
            {"name": name, "endpoint": self.backends[name].url} | FILTERS[name]
            for name in FILTERS], ingest={"threads": 1}, export_threads=1,
            spool={"durability": "memory"})
        costs = []
        with Firehose(weir.port) as client:
            for number in range(10):
                start = weir.metric("weir_allocations_total")
                before = weir.metric("weir_allocations_total")
                for _ in range(20):
                    self.send(client, "pay-eu", TENANTS[1], points.as_otlp10)
                self.assert_arrived_all_counts()
                costs.append(weir.metric("weir_allocations_total") - before - (before - start))
        self.assertEqual(min(costs[5:]), 0, f"20 requests each: {costs}")
        self.assertEqual(weir.stop(), 0)

    def assert_arrived_all_counts(self):
        """As many points as each destination must get are there, and what follows is over."""
        for name, backend in self.backends.items():
            self.assertTrue(backend.wait_count(len(self.sent[name])), name)
        threading.Event().wait(0.3)

    def wait_metric(self, weir, name, value, **labels):
        """Waits until a counter has this value."""
        tick = threading.Event()
        for _ in range(300):
            if weir.metric(name, **labels) == value:
                return
            tick.wait(0.1)
        self.fail(f"{name} is {weir.metric(name, **labels)}, not {value}")


if __name__ == "__main__":
    case.main()
