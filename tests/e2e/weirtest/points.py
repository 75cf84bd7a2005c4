# SPDX-License-Identifier: Apache-2.0
"""Synthetic CloudWatch data points, and the three encodings in which AWS streams them."""
import dataclasses
import json

from .wire import double, fixed64, message, varint

PERIOD_NS = 60_000_000_000
UNITS = {"Seconds": "s", "Milliseconds": "ms", "Bytes": "By", "Percent": "%", "Count": "{Count}",
         "None": "1", "Bytes/Second": "By/s", "Count/Second": "{Count}/s", "Megabits": "MBit"}


@dataclasses.dataclass
class Point:
    """One data point as CloudWatch has it; `extra` holds pNN and the extended statistics."""
    metric: str = "CPUUtilization"
    namespace: str = "AWS/EC2"
    dimensions: dict = dataclasses.field(default_factory=dict)
    count: float = 1
    sum: float = 0.0
    min: float = 0.0
    max: float = 0.0
    unit: str = "Percent"
    start_ms: int = 1_700_000_040_000
    extra: dict = dataclasses.field(default_factory=dict)
    account: str = "123456789012"
    region: str = "eu-west-1"
    stream: str = "weir-test"

    @property
    def arn(self):
        """The metric stream's ARN."""
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:metric-stream/{self.stream}"

    @property
    def name(self):
        """The metric's name in OTLP."""
        return f"amazonaws.com/{self.namespace}/{self.metric}"

    def quantiles(self):
        """Minimum, percentiles, maximum, as OTLP has them."""
        between = [[float(name[1:]) / 100, value] for name, value in self.extra.items()
                   if name.startswith("p")]
        between = [[round(q, 12), value] for q, value in sorted(between)]
        return [[0.0, self.min], *between, [1.0, self.max]]

    def canonical(self):
        """What must arrive at the backend; compare with otlp.points_of."""
        extended = {name: v for name, v in self.extra.items() if not name.startswith("p")}
        point = {
            "resource": {"cloud.provider": "aws", "cloud.account.id": self.account,
                         "cloud.region": self.region, "aws.exporter.arn": self.arn},
            "name": self.name, "unit": UNITS[self.unit], "start": self.start_ms * 1_000_000,
            "end": self.start_ms * 1_000_000 + PERIOD_NS, "count": int(self.count + 0.5),
            "sum": float(self.sum), "quantiles": [[q, float(v)] for q, v in self.quantiles()],
            "attributes": {"Namespace": self.namespace, "MetricName": self.metric,
                           "Dimensions": dict(self.dimensions)}}
        if extended:
            point["extended"] = extended
        return point


def as_json(points):
    """A record: one JSON line a point, in AWS's order of keys."""
    lines = []
    for p in points:
        lines.append(json.dumps({
            "metric_stream_name": p.stream, "account_id": p.account, "region": p.region,
            "namespace": p.namespace, "metric_name": p.metric, "dimensions": p.dimensions,
            "timestamp": p.start_ms,
            "value": {"max": float(p.max), "min": float(p.min), "sum": float(p.sum),
                      "count": float(p.count), **p.extra},
            "unit": p.unit}, separators=(",", ":")))
    return "".join(line + "\n" for line in lines).encode()


def attribute(key, value):
    """A KeyValue with a string, or with a kvlist for a dict."""
    if isinstance(value, dict):
        inside = b"".join(message(1, attribute(k, v)) for k, v in value.items())
        return message(1, key) + message(2, message(6, inside))
    return message(1, key) + message(2, message(1, value))


def label(key, value):
    """A StringKeyValue of OTLP 0.7."""
    return message(1, key) + message(2, value)


def times_and_values(p):
    """The fields 2 to 6 of a point: the same in 0.7 and 1.0, zeros left out as AWS does."""
    start = p.start_ms * 1_000_000
    data = fixed64(2, start) + fixed64(3, start + PERIOD_NS)
    if p.count:
        data += fixed64(4, int(p.count))
    data += double(5, p.sum)
    return data + b"".join(message(6, double(1, q) + double(2, v)) for q, v in p.quantiles())


def point10(p):
    """A SummaryDataPoint of OTLP 1.0."""
    fixed = (("Namespace", p.namespace), ("MetricName", p.metric), ("Dimensions", p.dimensions))
    return times_and_values(p) + b"".join(message(7, attribute(k, v)) for k, v in fixed)


def point07(p):
    """A DoubleSummaryDataPoint of OTLP 0.7: labels first, dimensions flat."""
    flat = (("Namespace", p.namespace), ("MetricName", p.metric), *p.dimensions.items())
    return b"".join(message(1, label(k, v)) for k, v in flat) + times_and_values(p)


def as_otlp(points, encode):
    """A record: one length-delimited request with one ResourceMetrics for each stream in turn."""
    request, group = b"", []
    for index, p in enumerate(points):
        group.append(p)
        if index + 1 < len(points) and points[index + 1].arn == p.arn:
            continue
        resource = b"".join(message(1, attribute(k, v))
                            for k, v in group[0].canonical()["resource"].items())
        metrics = b"".join(
            message(2, message(1, g.name) + message(3, UNITS[g.unit])
                    + message(11, message(1, encode(g)))) for g in group)
        request += message(1, message(1, resource) + message(2, metrics))
        group = []
    return varint(len(request)) + request


def as_otlp10(points):
    """A record in OTLP 1.0."""
    return as_otlp(points, point10)


def as_otlp07(points):
    """A record in OTLP 0.7."""
    return as_otlp(points, point07)


ENCODINGS = {"json": as_json, "otlp07": as_otlp07, "otlp10": as_otlp10}


def series(count, seed=0, **fixed):
    """`count` points that differ, over a few namespaces, metrics, units and value shapes."""
    namespaces = ("AWS/EC2", "AWS/RDS", "AWS/Lambda", "AWS/CloudWatch/MetricStreams", "Custom/x y")
    units = tuple(UNITS)
    points = []
    for n in range(seed, seed + count):
        about = {
            "metric": f"Metric{n % 7}", "namespace": namespaces[n % len(namespaces)],
            "dimensions": {f"Dim{d}": f"v{n}-{d}" for d in range(n % 4)},
            "count": n % 5 + 1, "sum": n * 1.5 - 3, "min": 0.0 - n % 3, "max": n * 0.5,
            "unit": units[n % 7 % len(units)], "start_ms": 1_700_000_040_000 + n % 3 * 60_000,
            "extra": {"p99": n * 0.25, "p99.9": n * 0.375} if n % 6 == 0 else {}}
        points.append(Point(**(about | fixed)))
    return points
