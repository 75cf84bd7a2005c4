# SPDX-License-Identifier: Apache-2.0
"""Backends with opinions: an ExportMetricsServiceRequest read in full, whatever kind of data is in
it, and a receiver that refuses what the backend that it stands for refuses."""
from . import otlp, wire
from .receiver import Answer, Receiver

KINDS = {5: "gauge", 7: "sum", 9: "histogram", 10: "exponential", 11: "summary"}
TEMPORALITY = {0: "unspecified", 1: "delta", 2: "cumulative"}
# field number: (name, what it is), of each kind's data point, by opentelemetry-proto 1.0
POINTS = {
    "gauge": {2: "start", 3: "end", 4: ("value", wire.as_double), 6: ("value", int),
              7: "attributes"},
    "exponential": {1: "attributes", 2: "start", 3: "end", 4: "count", 5: ("sum", wire.as_double),
                    6: "scale", 7: "zero_count", 8: "positive", 9: "negative",
                    12: ("min", wire.as_double), 13: ("max", wire.as_double),
                    14: ("zero_threshold", wire.as_double)},
    "summary": {2: "start", 3: "end", 4: "count", 5: ("sum", wire.as_double), 6: "quantiles",
                7: "attributes"},
}


def read_point(kind, data):
    """One data point as a dict; attributes stay a list of pairs, so that a key that is there twice
    is seen."""
    point = {"attributes": []}
    for number, value in wire.fields(data):
        what = POINTS[kind][number]
        if what == "attributes":
            point["attributes"].append(otlp.key_value(value))
        elif what == "quantiles":
            point.setdefault("quantiles", []).append(otlp.quantile(value))
        elif isinstance(what, tuple):
            point[what[0]] = what[1](value)
        else:
            point[what] = value
    return point


def read_metric(data, common):
    """All data points of a Metric."""
    points, about = [], dict(common)
    for number, value in wire.fields(data):
        if number in (1, 3):
            about["name" if number == 1 else "unit"] = value.decode()
        elif number in KINDS:
            about["kind"] = KINDS[number]
            for inner, item in wire.fields(value):
                if inner == 1:
                    points.append(read_point(KINDS[number], item))
                elif inner == 2:
                    about["temporality"] = TEMPORALITY[item]
        else:
            raise wire.Malformed(f"field {number} in a metric")
    return [about | point for point in points]


def read_scope(data, resource):
    """All data points of a ScopeMetrics."""
    common, metrics = {"resource": resource, "scope": None}, []
    for number, value in wire.fields(data):
        if number == 1:
            common["scope"] = {n: v.decode() for n, v in wire.fields(value)}.get(1)
        elif number == 2:
            metrics.append(value)
    return [point for metric in metrics for point in read_metric(metric, common)]


def read_request(data):
    """All data points of a request, in its order."""
    points = []
    for _, resource_metrics in wire.fields(data):
        resource, scopes = {}, []
        for number, value in wire.fields(resource_metrics):
            if number == 1:
                resource = dict(otlp.key_value(item) for n, item in wire.fields(value) if n == 1)
            elif number == 2:
                scopes.append(value)
        points += [point for scope in scopes for point in read_scope(scope, resource)]
    return points


class Request:
    """One export request: `body` inflated, `size` the bytes on the wire."""

    def __init__(self, path, headers, body, size):
        self.path, self.headers, self.body, self.size = path, headers, body, size
        self.points = read_request(body)
        self.number, self.answer = 0, None


class Backend(Receiver):
    """`judge` gets each Request and returns None for a plain success, an Answer, or a status and a
    reason, which are kept in `refused`."""

    def __init__(self, judge):
        super().__init__()
        self.judge, self.refused = judge, []

    def take(self, path, headers, body, size):
        """Keeps a request with the answer that the backend gives it."""
        request = Request(path, headers, body, size)
        with self.changed:
            request.number = len(self.batches) + 1
            verdict = self.judge(request) or Answer()
            if isinstance(verdict, tuple):
                self.refused.append(verdict)
                verdict = Answer(verdict[0])
            request.answer = verdict
            self.batches.append(request)
            self.changed.notify_all()
            return request.answer

    def taken(self):
        """The data points of all accepted requests."""
        with self.changed:
            return [p for b in self.batches if b.answer.accepted for p in b.points]

    def wait_taken(self, count, seconds=60):
        """Whether that many data points are accepted in time."""
        return self.wait(lambda: sum(len(b.points) for b in self.batches
                                     if b.answer.accepted) >= count, seconds)
