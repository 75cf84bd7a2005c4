#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each preset against a receiver that stands for its backend and refuses what that refuses; what
arrives is what the backend's documentation asks for. Names of documents are those of
docs/backends.md."""
import base64
import json
import os
import re

from weirtest import case, points
from weirtest.backends import Backend
from weirtest.durable import DurableCase
from weirtest.points import Point
from weirtest.receiver import Answer, partial_success
from weirtest.tokens import ID, SECRET, TokenServer

START, END = 1_700_000_040_000_000_000, 1_700_000_100_000_000_000
CPU = {"count": 5, "sum": 10.0, "min": 1.0, "max": 3.0}


def cpu(**change):
    """The point that every golden request is made of."""
    return Point(**({"dimensions": {"InstanceId": "i-1"}} | CPU | change))


def plain(point):
    """A received point without what all have; attributes as a dict, each key once."""
    attributes = dict(point["attributes"])
    assert len(attributes) == len(point["attributes"]), point["attributes"]
    assert (point["start"], point["end"]) == (START, END), point
    return {key: value for key, value in point.items()
            if key not in ("start", "end", "resource")} | {"attributes": attributes}


def is_protobuf(request):
    """OTLP specification, "OTLP/HTTP": binary protobuf, gzip."""
    return (request.headers.get("Content-Type") == "application/x-protobuf"
            and request.headers.get("Content-Encoding") in (None, "gzip"))


def dynatrace(request):
    """POST metrics: protobuf only (415), Api-Token. OpenTelemetry metrics limitations: 4 MB
    uncompressed and 15,000 points a request, 50 dimensions a point, keys and values. About OTLP
    metrics ingest: no Summary, no cumulative sums, exponential histograms delta."""
    if not is_protobuf(request):
        return 415, "not protobuf"
    if request.path != "/e/env/api/v2/otlp/v1/metrics":
        return 404, request.path
    if request.headers.get("Authorization") != "Api-Token dt0c01.x":
        return 401, "no Api-Token"
    if len(request.body) > 4_000_000 or len(request.points) > 15_000:
        return 413, f"{len(request.body)} bytes, {len(request.points)} points"
    for point in request.points:
        keys = [key for key, _ in point["attributes"]]
        if (point["kind"] not in ("gauge", "exponential")
                or point.get("temporality", "delta") != "delta" or len(keys) > 50
                or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{1,254}", point["name"])
                or not all(re.fullmatch(r"[a-z_][a-z0-9_.-]{0,99}", key) for key in keys)
                or any(len(value) > 255 for _, value in point["attributes"])):
            return 400, str(point)
    return None


def flat_texts(request):
    """Whether all attributes are texts: what is a list becomes one unreadable label."""
    return all(isinstance(value, str) for p in request.points for _, value in p["attributes"])


def receiver_of(path, check=lambda request: True):
    """A backend that wants this path, protobuf, and what `check` says."""
    def judge(request):
        if request.path != path:
            return 404, request.path
        if not is_protobuf(request):
            return 415, str(request.headers)
        return None if check(request) else (400, str(request.points[:1]))
    return judge


class Backends(DurableCase):
    """One destination with a preset, and its backend."""

    def backend(self, judge):
        """The receiver, which must have been content at the end."""
        backend = Backend(judge)
        self.addCleanup(self.end_receiver, backend)
        return backend

    def start(self, preset, backend, path, **keys):
        """The program with this preset; batches by their limits alone, unless `buffer` is given."""
        return self.weir("", destinations=[
            {"name": preset, "preset": preset, "endpoint": backend.url + path} | keys])

    def golden(self, preset, judge, path, sent, **keys):
        """What arrives of these points, which all came in each of the three encodings."""
        for encode in points.ENCODINGS.values():
            backend = self.backend(judge)
            weir = self.start(preset, backend, path, **keys)
            self.deliver(weir, [encode(sent)])
            self.assertEqual(weir.stop(), 0)
            self.assertEqual(backend.refused, [])
            yield backend.taken()

    # -- Dynatrace ---------------------------------------------------------------------------

    DYNATRACE = {"headers": {"Authorization": "Api-Token dt0c01.x"}}

    def dynatrace(self, **keys):
        """The program and the backend."""
        backend = self.backend(dynatrace)
        keys = self.DYNATRACE | keys
        return self.start("dynatrace", backend, "/e/env/api/v2/otlp", **keys), backend

    def test_dynatrace(self):
        """About OTLP metrics ingest: an exponential histogram's min, max, sum and count are kept.
        Metric keys as of the AWS connector; account and region on the point, since resource
        attributes are dimensions only where they are allow-listed."""
        for taken in self.golden("dynatrace", dynatrace, "/e/env/api/v2/otlp", [cpu()],
                                 **self.DYNATRACE):
            self.assertEqual([plain(p) for p in taken], [CPU | {
                "kind": "exponential", "temporality": "delta", "scope": None, "unit": "%",
                "zero_count": 5, "zero_threshold": 3.0,  # no buckets, and valid all the same
                "name": "cloud.aws.ec2.CPUUtilization.By.InstanceId",
                "attributes": {"namespace": "AWS/EC2", "metricname": "CPUUtilization",
                               "cloud.account.id": "123456789012", "cloud.region": "eu-west-1",
                               "instanceid": "i-1"}}])

    def test_dynatrace_percentiles_are_gauges(self):
        weir, backend = self.dynatrace()
        self.deliver(weir, [points.as_json([cpu(extra={"p99": 2.5, "tm90": 2.0})])])
        self.assertEqual(weir.stop(), 0)
        found = {p["name"]: (p["kind"], p.get("value")) for p in backend.taken()}
        stem = "cloud.aws.ec2.CPUUtilization.By.InstanceId"
        self.assertEqual(found, {stem: ("exponential", None), stem + ".p99": ("gauge", 2.5),
                                 stem + ".tm90": ("gauge", 2.0)})
        self.assertEqual(backend.refused, [])

    def dynatrace_requests(self, count):
        """The points of each request, of so many that come at once and are sent without waiting."""
        weir, backend = self.dynatrace(buffer={"interval": "60s", "size": "3900KiB"})
        sent = [Point(metric="M", dimensions={}, sum=1.0 + n) for n in range(count)]
        self.deliver(weir, [points.as_otlp10(sent[at:at + 1000]) for at in range(0, count, 1000)])
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(backend.refused, [])
        self.assertEqual(sorted(p["sum"] for p in backend.taken()), [p.sum for p in sent])
        return [len(b.points) for b in backend.batches]

    def test_dynatrace_points_at_the_edge(self):
        """15,000 points are one request, 15,001 are two: that many would be dropped whole."""
        self.assertEqual(self.dynatrace_requests(15_000), [15_000])
        more = self.dynatrace_requests(15_001)
        self.assertEqual((len(more), sum(more)), (2, 15_001))

    def test_dynatrace_bytes_at_the_edge(self):
        """Requests of long values come near 4 MB, and never over it."""
        weir, backend = self.dynatrace(buffer={"interval": "60s", "size": "4000000B"})
        sent = [cpu(dimensions={f"D{d}": f"{n}-{'x' * 240}" for d in range(10)})
                for n in range(4_000)]
        for at in range(0, len(sent), 500):
            self.deliver(weir, [points.as_otlp10(sent[of:of + 100])
                                for of in range(at, at + 500, 100)])
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(backend.refused, [])
        self.assertEqual(len(backend.taken()), len(sent))
        sizes = [len(b.body) for b in backend.batches]
        self.assertGreater(len(sizes), 2)
        self.assertGreater(max(sizes), 3_600_000, sizes)

    def test_dynatrace_attributes_at_the_edge(self):
        """50 attributes arrive; the point with 51 goes to the dead letter, which the backend would
        have dropped; its neighbours arrive."""
        letters = os.path.join(self.folder, "letters")
        backend = self.backend(dynatrace)
        weir = self.weir("", dead_letter={"directory": letters}, destinations=[
            {"name": "d", "preset": "dynatrace", "endpoint": backend.url + "/e/env/api/v2/otlp"}
            | self.DYNATRACE])
        sent = [cpu(metric=f"M{n}", dimensions={f"d{d:02}": "v" for d in range(n)})
                for n in (46, 47, 1)]
        self.deliver(weir, [points.as_otlp10(sent)])
        self.assertTrue(backend.wait_taken(2))
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_points_total", outcome="refused") == 1))
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(sorted(len(p["attributes"]) for p in backend.taken()), [5, 50])
        self.assertEqual(backend.refused, [])

    def test_dynatrace_keys_and_values_at_the_edge(self):
        """Dimension keys of up to 100 characters of [a-z0-9_.-], values of up to 255."""
        weir, backend = self.dynatrace()
        dimensions = {"K" * 100: "v" * 255, "L" * 101: "w" * 256, "a b\u00e4": "x"}
        self.deliver(weir, [points.as_json([cpu(dimensions=dimensions)])])
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(backend.refused, [])
        found = dict(backend.taken()[0]["attributes"])
        self.assertEqual(found["k" * 100], "v" * 255)
        self.assertEqual(found["l" * 100], "w" * 255)
        self.assertIn("x", found.values())

    def test_dynatrace_partial_success(self):
        """OTLP specification, "Partial Success": counted, in the log, and not sent again."""
        backend = self.backend(lambda request: dynatrace(request) or partial_success(
            1, "UNSUPPORTED_METRIC_TYPE_MONOTONIC_CUMULATIVE_SUM"))
        weir = self.start("dynatrace", backend, "/e/env/api/v2/otlp", **self.DYNATRACE)
        self.deliver(weir, [points.as_json([cpu(), cpu(metric="DiskReadOps")])])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_points_total", outcome="rejected") == 1))
        self.assertEqual(weir.metric("weir_export_points_total", outcome="delivered"), 1)
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(len(backend.batches), 1)
        self.assertIn("UNSUPPORTED_METRIC_TYPE", weir.log_text())

    # -- base14 Scout ------------------------------------------------------------------------

    def test_scout(self):
        """base14's CloudWatch Metrics Stream page: Summaries by the names of OTLP, Dimensions as
        JSON text, service.name aws-cloudwatch-stream, scope aws.cloudwatch; a token by client
        credentials for the audience b14collector."""
        server = TokenServer()
        self.addCleanup(server.stop)
        secret = os.path.join(self.folder, "secret")
        with open(secret, "w", encoding="utf-8") as file:
            file.write(SECRET)
        oauth2 = {"token_url": server.url, "client_id": ID, "client_secret_file": secret}
        judge = receiver_of("/tenant/otlp/v1/metrics", lambda request: request.headers.get(
            "Authorization", "").startswith("Bearer T"))
        for taken in self.golden("scout", judge, "/tenant/otlp", [cpu()], oauth2=oauth2):
            self.assertEqual(taken[0]["resource"], cpu().canonical()["resource"]
                             | {"service.name": "aws-cloudwatch-stream"})
            self.assertEqual([plain(p) for p in taken], [{
                "kind": "summary", "scope": "aws.cloudwatch", "unit": "%", "count": 5, "sum": 10.0,
                "name": "amazonaws.com/AWS/EC2/CPUUtilization",
                "quantiles": [[0.0, 1.0], [1.0, 3.0]],
                "attributes": {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization",
                               "Dimensions": '{"InstanceId":"i-1"}'}}])
        for request in server.requests:
            self.assertEqual(request.form.get("audience"), "b14collector")
            self.assertTrue(request.right)

    # -- Prometheus and its like -------------------------------------------------------------

    LABELS = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "InstanceId": "i-1"}
    PLACE = {"cloud.account.id": "123456789012", "cloud.region": "eu-west-1"}
    SUMMARY = {"kind": "summary", "scope": None, "unit": "%", "count": 5, "sum": 10.0,
               "name": "amazonaws.com/AWS/EC2/CPUUtilization",
               "quantiles": [[0.0, 1.0], [1.0, 3.0]]}

    def summaries_of(self, preset, path, attributes, check=flat_texts, **keys):
        """Each dimension a label; the Summary stays one, for _sum, _count and {quantile}."""
        judge = receiver_of(path + "/v1/metrics", check)
        for taken in self.golden(preset, judge, path, [cpu()], **keys):
            self.assertEqual([plain(p) for p in taken], [self.SUMMARY | {"attributes": attributes}])

    def test_prometheus(self):
        """Prometheus, "Using Prometheus as your OpenTelemetry backend"; otlptranslator's helper.go:
        a list becomes one label with JSON text."""
        self.summaries_of("prometheus", "/api/v1/otlp", self.LABELS | self.PLACE)

    def test_mimir(self):
        """Mimir, "Configure the OpenTelemetry Collector to write metrics into Mimir"."""
        self.summaries_of("mimir", "/otlp", self.LABELS | self.PLACE)

    def test_grafana_cloud(self):
        """As Mimir, at a path of its gateway, with Basic."""
        basic = "Basic " + base64.b64encode(b"123:glc_x").decode()
        self.summaries_of("grafana_cloud", "/otlp", self.LABELS | self.PLACE,
                          lambda r: flat_texts(r) and r.headers.get("Authorization") == basic,
                          headers={"Authorization": basic})

    def test_victoriametrics(self):
        """VictoriaMetrics, "OpenTelemetry": protobuf only; resource attributes are labels there."""
        self.summaries_of("victoriametrics", "/opentelemetry", self.LABELS)

    def test_prometheus_regions_are_series(self):
        """Two regions' and two accounts' points of one name and time are four series."""
        backend = self.backend(receiver_of("/api/v1/otlp/v1/metrics", flat_texts))
        weir = self.start("prometheus", backend, "/api/v1/otlp")
        self.deliver(weir, [points.as_otlp10([
            cpu(account=account, region=region) for account in ("1" * 12, "2" * 12)
            for region in ("eu-west-1", "us-east-1")])])
        self.assertEqual(weir.stop(), 0)
        self.assertEqual(len({json.dumps(sorted(p["attributes"])) for p in backend.taken()}), 4)

    def test_prometheus_500_is_retried(self):
        """write_otlp_handler.go: 500 for what may well pass a second time, which OTLP would not
        retry."""
        backend = self.backend(lambda request: (500, "once") if request.number == 1 else None)
        weir = self.start("prometheus", backend, "/api/v1/otlp")
        self.deliver(weir, [points.as_otlp10([cpu()])])
        self.assertTrue(backend.wait_taken(1))
        self.assertEqual(weir.stop(), 0)
        self.assertEqual([b.answer.status for b in backend.batches], [500, 200])

    # -- others ------------------------------------------------------------------------------

    def test_collector(self):
        """Everything as it comes: the same bytes as without a preset."""
        bodies = []
        for preset in ("collector", "none"):
            backend = self.backend(receiver_of("/v1/metrics"))
            weir = self.start(preset, backend, "")
            self.deliver(weir, [points.as_otlp10(points.series(50))])
            self.assertEqual(weir.stop(), 0)
            self.assertEqual(backend.refused, [])
            bodies.append(b"".join(b.body for b in backend.batches))
        self.assertEqual(bodies[0], bodies[1])

    def test_unproven_backends_get_gauges(self):
        """Nothing is proven but that they speak OTLP over HTTP: gauges, texts, account and
        region."""
        for preset in ("datadog", "newrelic", "elastic"):
            judge = receiver_of("/v1/metrics", flat_texts)
            for taken in self.golden(preset, judge, "", [cpu(extra={"p99": 2.5})]):
                has_percentile = len(taken) == 5
                self.assertTrue(has_percentile or len(taken) == 4)
                name = "amazonaws.com/AWS/EC2/CPUUtilization"
                found = {p["name"]: p["value"] for p in taken}
                expected = {name + ".min": 1.0, name + ".max": 3.0, name + ".sum": 10.0,
                            name + ".count": 5, name + ".p99": 2.5}
                self.assertEqual(found, {k: v for k, v in expected.items()
                                         if has_percentile or not k.endswith("p99")})
                for point in taken:
                    self.assertEqual(point["kind"], "gauge")
                    self.assertEqual(plain(point)["attributes"], self.LABELS | self.PLACE)

    def test_five_backends_with_five_shapes(self):
        """One is down, one slow, one refuses everything: each of the others gets all, in its own
        shape, meanwhile, and what it gets adds up to what came."""
        judges = {"dynatrace": dynatrace,
                  "prometheus": lambda r: None if flat_texts(r) else (400, "a list"),
                  "victoriametrics": lambda r: Answer(delay=1.0),
                  "collector": lambda r: Answer(503), "datadog": lambda r: Answer(400)}
        paths = {"dynatrace": "/e/env/api/v2/otlp", "prometheus": "/api/v1/otlp",
                 "victoriametrics": "/opentelemetry"}
        backends = {name: self.backend(judge) for name, judge in judges.items()}
        weir = self.durable("", drain={"deadline": "2s"}, destinations=[
            {"name": name, "preset": name, "endpoint": backend.url + paths.get(name, "")}
            | (self.DYNATRACE if name == "dynatrace" else {})
            for name, backend in backends.items()])
        sent = points.series(600)
        for at, encode in zip(range(0, 600, 200), points.ENCODINGS.values()):
            self.deliver(weir, [encode(sent[at:at + 200])])
        for name, count in (("dynatrace", 800), ("prometheus", 600), ("victoriametrics", 600)):
            self.assertTrue(backends[name].wait_taken(count), name)  # 200 percentiles are gauges
        self.assertEqual(weir.stop(), 0)
        for name in ("dynatrace", "prometheus", "victoriametrics"):
            self.assertEqual(backends[name].refused, [], name)
            taken = [p for p in backends[name].taken() if p["kind"] != "gauge"]
            self.assertEqual(sorted(p.get("sum", 0.0) for p in taken),
                             sorted(p.sum for p in sent), name)
            self.assertEqual(sum(p["count"] for p in taken), sum(p.count for p in sent), name)
        self.assertEqual(backends["collector"].taken() + backends["datadog"].taken(), [])

    def test_environment_names_the_service(self):
        """OpenTelemetry specification, "Environment Variable Specification"."""
        config = os.path.join(self.folder, "weir.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"ingest": {"access_keys": "none"}, "destinations": [
                {"name": "a", "type": "stdout"},
                {"name": "b", "type": "stdout", "resource": {"service.name": "mine"}}]}, file)
        code, out, error = self.run_weir("check", "-c", config, OTEL_SERVICE_NAME="weir",
                                         OTEL_RESOURCE_ATTRIBUTES="service.name=x,team=a%20b")
        self.assertEqual(code, 0, error)
        self.assertIn('resource: {"service.name": weir, "team": "a b"}', out)
        self.assertIn('resource: {"service.name": mine, "team": "a b"}', out)


if __name__ == "__main__":
    case.main()
