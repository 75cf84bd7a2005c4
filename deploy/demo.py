#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The show of deploy/demo.sh: a gateway, a backend that fails for a while, and a Firehose.

CloudWatch-like points go in as JSON, OTLP 0.7 and OTLP 1.0, gzipped, a third each. In the middle,
with the backend down, the gateway is killed (SIGKILL) and started again, and Firehose repeats its
last request, as it does when an answer is lost. Then it compares what the backend accepted with
what was sent, point by point, and prints both that and the gateway's own metrics. Exits 1 unless
every point came out exactly once.
"""
import argparse
import collections
import math
import os
import random
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "e2e"))
from weirtest import otlp, points, program  # noqa: E402
from weirtest.firehose import Firehose, envelope  # noqa: E402
from weirtest.receiver import Answer, Receiver  # noqa: E402

FORMATS = (("json", "JSON"), ("otlp07", "OTLP 0.7"), ("otlp10", "OTLP 1.0"))
# (namespace, metric, unit, dimension, resources, a typical value)
FLEET = (
    ("AWS/EC2", "CPUUtilization", "Percent", "InstanceId", "i-0{:04x}", 37),
    ("AWS/EC2", "NetworkOut", "Bytes", "InstanceId", "i-0{:04x}", 5e6),
    ("AWS/Lambda", "Duration", "Milliseconds", "FunctionName", "checkout-{}", 84),
    ("AWS/Lambda", "Invocations", "Count", "FunctionName", "checkout-{}", 240),
    ("AWS/ApplicationELB", "RequestCount", "Count", "LoadBalancer", "app/shop-{}", 9100),
    ("AWS/RDS", "FreeableMemory", "Bytes", "DBInstanceIdentifier", "orders-{}", 3.2e9),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Seconds", "QueueName", "mail-{}", 4),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits", "Count", "TableName", "carts-{}", 512),
)
METRICS = (
    ("weir_requests_total", {"code": "200"}, "requests answered 200"),
    ("weir_requests_deduplicated_total", {}, "of them repetitions"),
    ("weir_request_body_bytes_total", {}, "body bytes read"),
    ("weir_records_total", {}, "records decoded"),
    ("weir_points_received_total", {}, "points received"),
    ("weir_export_requests_total", {}, "export attempts"),
    ("weir_export_points_total", {}, "points exported"),
    ("weir_records_quarantined_total", {}, "records quarantined"),
    ("weir_dead_letter_points_total", {}, "points given up"),
    ("process_resident_memory_bytes", {}, "resident memory, bytes"),
    ("process_cpu_seconds_total", {}, "processor seconds"),
)


class Screen:
    """Bold and colour where a person looks, plain text where a file does."""
    live = sys.stdout.isatty()

    @classmethod
    def paint(cls, code, text):
        """Text in an ANSI style."""
        return f"\033[{code}m{text}\033[0m" if cls.live else text

    @classmethod
    def title(cls, text):
        """A heading."""
        print("\n" + cls.paint("1;36", text))

    @classmethod
    def progress(cls, done, text):
        """A bar that redraws itself; nothing in a file."""
        if cls.live:
            bar = "█" * int(done * 30)
            print(f"\r     {bar:<30} {text:<44}", end="" if done < 1 else "\n", flush=True)


def minute_of_points(rng, minute, resources):
    """One minute of the fleet's points, with values that move like real ones."""
    found = []
    for namespace, metric, unit, dimension, name, typical in FLEET:
        for n in range(resources):
            base = typical * (1 + 0.4 * math.sin(minute / 3 + n)) * rng.uniform(0.8, 1.2)
            low, high, count = base * 0.6, base * 1.7, rng.randint(1, 60)
            values = {"count": count, "min": round(low, 3), "max": round(high, 3),
                      "sum": round(base * count, 3)}
            extra = {"p99": round(high * 0.95, 3)} if metric == "Duration" else {}
            found.append(points.Point(
                namespace=namespace, metric=metric, unit=unit, extra=extra,
                dimensions={dimension: name.format(n)}, stream="demo",
                start_ms=1_700_000_040_000 + minute * 60_000, **values))
    return found


class Gateway:
    """The program over one folder, with a spool in it, through all its lives."""

    def __init__(self, url, folder):
        self.folder = folder
        self.config = program.configuration(
            url, buffer={"interval": "500ms"}, memory_limit="128MiB", ingest={"body_limit": "8MiB"},
            spool={"durability": "disk", "directory": os.path.join(folder, "spool"),
                   "limit": "512MiB"})
        self.weir = program.Weir(self.config, folder)

    def kill(self):
        """No goodbye: what the process had in memory is gone."""
        self.weir.kill()

    def start(self):
        """A new life over what is on the disk."""
        self.weir = program.Weir(self.config, self.folder)


class Sender:
    """Plays Firehose, and keeps the books."""

    def __init__(self, gateway):
        self.gateway, self.client = gateway, Firehose(gateway.weir.port)
        self.sent, self.requests = [], collections.Counter()
        self.wire_bytes, self.slowest, self.last = 0, 0.0, b""

    def post(self, request):
        """Sends a request; it must be answered 200."""
        begun = time.monotonic()
        self.client.send(request)
        response = self.client.response()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.wire_bytes += len(request)
        self.last = request
        if response.status != 200:
            raise SystemExit(f"demo: answered {response.status}: {response.body.decode()}")

    def again(self):
        """The last request once more, to the gateway's new life."""
        self.client.close()
        self.client = Firehose(self.gateway.weir.port)
        self.post(self.last)

    def run(self, minutes, resources, halfway):
        """Sends so many minutes of the fleet's points."""
        rng = random.Random(7)
        for minute in range(minutes):
            encoding, title = FORMATS[minute % 3]
            more = minute_of_points(rng, minute, resources)
            body = envelope([points.ENCODINGS[encoding](more)])
            self.post(self.client.request(body, compressed=True))
            self.sent += more
            self.requests[title] += len(more)
            if minute == minutes // 2:
                halfway(self)
            Screen.progress((minute + 1) / minutes,
                            f"{len(self.sent):,} points sent, last as {title}")
            time.sleep(0.05)
        self.client.close()


def short(value):
    """A number in six characters: 3.2G, 84.1, 0.5."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.1f}{suffix}"
    return f"{value:.1f}"


def spark(values, width=28):
    """The last values as a line of bars."""
    values = values[-width:]
    low, high = min(values), max(values)
    span = (high - low) or 1
    return "".join("▁▂▃▄▅▆▇█"[int((v - low) / span * 7)] for v in values)


def show_points(received):
    """One series of each metric, as the backend has it: its course, and its newest point."""
    Screen.title("What the backend got (one series of each metric)")
    print(f"     {'metric':<39}{'min':>7}{'avg':>7}{'max':>7} {'unit':<8} average by minute")
    series = collections.defaultdict(dict)
    for point in sorted(received, key=lambda p: p["end"]):
        resource = str(point["attributes"]["Dimensions"])
        series[point["name"]].setdefault(resource, []).append(point)
    for name, by_resource in sorted(series.items()):
        course = next(iter(by_resource.values()))
        newest, quantiles = course[-1], dict(map(tuple, course[-1]["quantiles"]))
        averages = [p["sum"] / p["count"] for p in course]
        numbers = (quantiles[0.0], averages[-1], quantiles[1.0])
        print(f"     {name.removeprefix('amazonaws.com/')[:38]:<39}"
              + "".join(f"{short(v):>7}" for v in numbers)
              + f" {newest['unit']:<8} {Screen.paint('33', spark(averages))}")
    print("     (all names begin with amazonaws.com/)")


def show_account(sender, receiver):
    """Sent against accepted, point by point; whether they agree."""
    received = receiver.points()
    have = collections.Counter(otlp.multiset(received))
    want = collections.Counter(otlp.multiset([p.canonical() for p in sender.sent]))
    lost, extra = sum((want - have).values()), sum((have - want).values())
    refused = len(receiver.batches) - len(receiver.accepted())
    out = sum(b.size for b in receiver.accepted())
    Screen.title("The account")
    for title, count in sender.requests.items():
        print(f"     in   {count:>7,} points as {title}")
    print(f"          {sender.wire_bytes:>7,} bytes, slowest answer {sender.slowest * 1000:.1f} ms")
    print(f"     out  {len(received):>7,} points in {len(receiver.accepted())} batches")
    print(f"          {out:>7,} bytes, gzipped OTLP 1.0")
    print(f"          {refused:>7,} attempts answered 503 while the backend was down")
    good = lost == 0 and extra == 0
    verdict = ("every point arrived exactly once, over the kill as well" if good
               else f"{lost} lost, {extra} too many")
    print("     " + Screen.paint("1;32" if good else "1;31", verdict))
    return good


def show_metrics(weir):
    """Some of the gateway's own metrics."""
    Screen.title("The gateway's own metrics since it was started again "
                 f"(a few of /metrics, {len(weir.metrics())} series)")
    for name, labels, text in METRICS:
        value = weir.metric(name, **labels)
        shown = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
        print(f"     {shown:>16}  {text:<28} {Screen.paint('2', name)}")


def show_next(binary):
    """How to go on."""
    Screen.title("Your turn")
    print(f"""\
     Without any configuration: no key needed on loopback, points to standard output
       {binary} serve
     For real traffic (docs/configuration.md): a key, a backend, and TLS (ingest.tls, or in front)
       cat > weir.yaml <<'YAML'
       ingest:
         listen: ["0.0.0.0:8080"]
         access_keys: [{{name: firehose, value: "${{env:FIREHOSE_KEY}}"}}]
       destinations:
         - {{name: backend, endpoint: "https://otlp.example.com"}}
       YAML
       export FIREHOSE_KEY=...
       {binary} check -c weir.yaml && {binary} serve -c weir.yaml""")


def kill_and_mend(gateway, receiver, up, sender):
    """The middle of the show: SIGKILL while the backend is down, a new life, a repeated request."""
    receiver.wait(lambda: len(receiver.batches) >= 3, 10)
    waiting = len(sender.sent) - receiver.accepted_count()
    gateway.kill()
    print(f"\n     {Screen.paint('1;31', 'kill -9')}: the backend is down, {waiting:,} points were "
          "answered 200 and are delivered nowhere")
    gateway.start()
    for event in gateway.weir.events("spool opened"):
        print(f"     started again: {event.get('unreleased', 0):,} requests found on the disk, "
              f"{event.get('lost_records', 0)} lost")
    sender.again()
    print("     Firehose repeats its last request (it may not have seen the answer); the backend "
          "is up again")
    up.set()


def show(options, folder):
    """The whole show; whether it went well."""
    up = threading.Event()
    receiver = Receiver(lambda batch: None if up.is_set() else Answer(503))
    os.environ["WEIR_BIN"] = os.path.abspath(options.weir)
    gateway = Gateway(receiver.url, folder)
    try:
        print(f"     weir listens on 127.0.0.1:{gateway.weir.port}, its spool is on disk, an OTLP "
              f"backend on {receiver.url}")
        print("     the backend is down for the first half (503), and the gateway must cope")
        sender = Sender(gateway)
        sender.run(options.minutes, options.resources,
                   lambda sender: kill_and_mend(gateway, receiver, up, sender))
        if not receiver.wait_count(len(sender.sent), 60):
            print(f"     only {receiver.accepted_count():,} of {len(sender.sent):,} came out")
        show_points(receiver.points())
        good = show_account(sender, receiver)
        show_metrics(gateway.weir)
        code = gateway.weir.stop()
        show_next(options.weir)
        return good and code == 0
    finally:
        if not gateway.weir.ended():
            gateway.weir.kill()
        receiver.stop()


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("weir", help="the program")
    parser.add_argument("--quick", action="store_true", help="a shorter show")
    options = parser.parse_args()
    options.minutes, options.resources = (12, 5) if options.quick else (90, 25)
    folder = tempfile.mkdtemp(prefix="weir-demo-")
    try:
        sys.exit(0 if show(options, folder) else 1)
    except AssertionError as error:
        sys.exit(f"demo: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
