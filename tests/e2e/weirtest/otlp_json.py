# SPDX-License-Identifier: Apache-2.0
"""An ExportMetricsServiceRequest in OTLP/JSON as the points that otlp.request_points gives for the
same request in protobuf. Strict about what the encoding asks for: names in lowerCamelCase, 64-bit
integers as text.
"""
import json

from .wire import Malformed


def only(value, *names):
    """The object itself, after a look at its keys."""
    unknown = set(value) - set(names)
    if unknown:
        raise Malformed(f"unknown names {sorted(unknown)}")
    return value


def int64(value):
    """A 64-bit integer, which is text."""
    if not isinstance(value, str):
        raise Malformed(f"a 64-bit integer that is no text: {value!r}")
    return int(value)


def double(value):
    """A double, which is a number, or one of three words."""
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        raise Malformed(f"a double that is text: {value!r}")
    return float(value)


def any_value(value):
    """An AnyValue as a Python value."""
    if not value:
        return None
    (kind, inside), = value.items()
    if kind == "kvlistValue":
        return attributes(inside.get("values", []))
    if kind == "arrayValue":
        return [any_value(item) for item in inside.get("values", [])]
    if kind not in ("stringValue", "boolValue", "intValue", "doubleValue"):
        raise Malformed(kind)
    return int64(inside) if kind == "intValue" else inside


def attributes(items):
    """KeyValues as a mapping."""
    return {only(item, "key", "value").get("key", ""): any_value(item.get("value"))
            for item in items}


def common(point):
    """What every kind of point has."""
    return {"start": int64(point.get("startTimeUnixNano", "0")),
            "end": int64(point.get("timeUnixNano", "0")),
            "attributes": attributes(point.get("attributes", []))}


def summary_point(point):
    """A SummaryDataPoint."""
    only(point, "startTimeUnixNano", "timeUnixNano", "attributes", "count", "sum",
         "quantileValues", "flags")
    quantiles = [[double(q["quantile"]), double(q["value"])]
                 for q in point.get("quantileValues", [])]
    return common(point) | {"count": int64(point["count"]), "sum": double(point["sum"]),
                            "quantiles": quantiles}


def number_point(point):
    """A NumberDataPoint of a Gauge."""
    only(point, "startTimeUnixNano", "timeUnixNano", "attributes", "asDouble", "asInt", "flags")
    value = int64(point["asInt"]) if "asInt" in point else double(point.get("asDouble", 0.0))
    return common(point) | {"value": value}


def request_points(body):
    """(summary points, gauge points) of one request, in its order."""
    summaries, gauges = [], []
    for whole in only(json.loads(body), "resourceMetrics").get("resourceMetrics", []):
        resource = attributes(whole.get("resource", {}).get("attributes", []))
        for scope in whole.get("scopeMetrics", []):
            for metric in scope.get("metrics", []):
                only(metric, "name", "unit", "description", "summary", "gauge")
                about = {"resource": resource, "name": metric.get("name", ""),
                         "unit": metric.get("unit", "")}
                summaries += [about | summary_point(p)
                              for p in metric.get("summary", {}).get("dataPoints", [])]
                gauges += [about | number_point(p)
                           for p in metric.get("gauge", {}).get("dataPoints", [])]
    return summaries, gauges
