# SPDX-License-Identifier: Apache-2.0
"""An ExportMetricsServiceRequest as canonical points, field by field from the .proto files.

A canonical point is a dict: resource, name, unit, start, end, count, sum, quantiles, attributes,
and `extended` where a Gauge `<name>.<statistic>` of the same series and time was found. It does
not depend on how the exporter grouped or ordered things, so two lists compare as multisets.
"""
import collections
import json

from . import wire


def any_value(data):
    """An AnyValue as a Python value; an empty one is None."""
    result = None
    for number, value in wire.fields(data):
        if number == 1:
            result = value.decode()
        elif number == 2:
            result = bool(value)
        elif number == 3:
            result = value - (1 << 64) if value >> 63 else value
        elif number == 4:
            result = wire.as_double(value)
        elif number == 5:
            result = [any_value(item) for n, item in wire.fields(value) if n == 1]
        elif number == 6:
            result = dict(key_value(item) for n, item in wire.fields(value) if n == 1)
        elif number == 7:
            result = value
    return result


def key_value(data):
    """A KeyValue as (key, value)."""
    key, result = "", None
    for number, value in wire.fields(data):
        if number == 1:
            key = value.decode()
        elif number == 2:
            result = any_value(value)
    return key, result


def quantile(data):
    """A ValueAtQuantile as [quantile, value]."""
    pair = [0.0, 0.0]
    for number, value in wire.fields(data):
        pair[number - 1] = wire.as_double(value)
    return pair


def summary_point(data):
    """A SummaryDataPoint."""
    point = {"start": 0, "end": 0, "count": 0, "sum": 0.0, "quantiles": [], "attributes": {}}
    for number, value in wire.fields(data):
        if number == 2:
            point["start"] = value
        elif number == 3:
            point["end"] = value
        elif number == 4:
            point["count"] = value
        elif number == 5:
            point["sum"] = wire.as_double(value)
        elif number == 6:
            point["quantiles"].append(quantile(value))
        elif number == 7:
            point["attributes"].update([key_value(value)])
        elif number == 1:
            raise wire.Malformed("a 0.7 label left the gateway")
    return point


def number_point(data):
    """A NumberDataPoint of a Gauge."""
    point = {"start": 0, "end": 0, "value": 0.0, "attributes": {}}
    for number, value in wire.fields(data):
        if number == 2:
            point["start"] = value
        elif number == 3:
            point["end"] = value
        elif number == 4:
            point["value"] = wire.as_double(value)
        elif number == 6:
            point["value"] = value - (1 << 64) if value >> 63 else value
        elif number == 7:
            point["attributes"].update([key_value(value)])
    return point


def metric_points(data, resource):
    """(summary points, gauge points) of one Metric."""
    common = {"resource": resource, "name": "", "unit": ""}
    summaries, gauges = [], []
    for number, value in wire.fields(data):
        if number == 1:
            common["name"] = value.decode()
        elif number == 3:
            common["unit"] = value.decode()
        elif number == 5:
            gauges += [number_point(item) for n, item in wire.fields(value) if n == 1]
        elif number == 11:
            summaries += [summary_point(item) for n, item in wire.fields(value) if n == 1]
        elif number in (7, 9, 10):
            raise wire.Malformed(f"metric data in field {number}")
    return [common | p for p in summaries], [common | p for p in gauges]


def request_points(data):
    """(summary points, gauge points) of one request, in its order."""
    summaries, gauges = [], []
    for number, resource_metrics in wire.fields(data):
        if number != 1:
            raise wire.Malformed(f"field {number} in the request")
        resource, scopes = {}, []
        for inner, value in wire.fields(resource_metrics):
            if inner == 1:
                resource.update(key_value(item) for n, item in wire.fields(value) if n == 1)
            elif inner == 2:
                scopes.append(value)
        for scope in scopes:
            for inner, value in wire.fields(scope):
                if inner == 2:
                    found = metric_points(value, resource)
                    summaries += found[0]
                    gauges += found[1]
    return summaries, gauges


def series_key(point, name):
    """What a Gauge of an extended statistic shares with its Summary."""
    return json.dumps([point["resource"], name, point["start"], point["end"],
                       point["attributes"]], sort_keys=True)


def fold(summaries, gauges):
    """Puts each Gauge `<name>.<statistic>` back into the Summary it came with."""
    by_key = collections.defaultdict(list)
    for point in summaries:
        by_key[series_key(point, point["name"])].append(point)
    for gauge in gauges:
        parts = gauge["name"].split(".")
        for cut in range(1, len(parts)):
            name, statistic = ".".join(parts[:cut]), ".".join(parts[cut:])
            homes = [p for p in by_key.get(series_key(gauge, name), ())
                     if statistic not in p.get("extended", {})]
            if homes:
                homes[0].setdefault("extended", {})[statistic] = gauge["value"]
                break
        else:
            raise wire.Malformed(f"gauge {gauge['name']} belongs to no summary")
    return summaries


def points_of(requests):
    """The canonical points of several requests together."""
    summaries, gauges = [], []
    for request in requests:
        found = request_points(request)
        summaries += found[0]
        gauges += found[1]
    return fold(summaries, gauges)


def multiset(points):
    """Points as sorted text: equal exactly when the multisets are."""
    return sorted(json.dumps(point, sort_keys=True) for point in points)
