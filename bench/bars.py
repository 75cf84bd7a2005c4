# SPDX-License-Identifier: Apache-2.0
"""The bars of speed and memory, one function each: they measure, and say nothing of how it reads.

A function takes the settings and returns a Result. A bar is a ratio within one run: the limit is
measured between the rounds of what stands against it, since a shared machine is never twice the
same.
"""
import dataclasses
import signal
import statistics
import threading
import time
from concurrent import futures

import rig
from weirtest import firehose, points as made

FAST = ("--mode", "fast", "--connections", "4", "--bodies", "8", "--points", str(rig.POINTS),
        "--gzip", "6", *rig.WORLD)


@dataclasses.dataclass
class Check:
    """One line of verdict. `measured` and `most` are numbers in `unit`."""
    what: str
    measured: float
    most: float
    unit: str = ""
    note: str = ""

    @property
    def passes(self):
        """Whether the bar is reached."""
        return self.measured <= self.most


@dataclasses.dataclass
class Result:
    """What a bar came to: verdicts, and tables by name: (head, rows)."""
    title: str
    checks: list = dataclasses.field(default_factory=list)
    tables: dict = dataclasses.field(default_factory=dict)
    broken: str = ""


def destination(compression="gzip", **more):
    """The one destination of a measurement."""
    return [{"name": "sink", "endpoint": "", "compression": compression} | more]


def keeping(folder):
    """A sink that keeps no accounts, and some of the batches."""
    return ("--accounts", "off", "--keep", folder, "--keep-limit", str(32 * rig.MIB))


def ns_each(seconds, count):
    """Nanoseconds for each of `count`."""
    return seconds * 1e9 / count


# -- 1: processor time beside what gzip alone costs ------------------------------------------------

POINTS_A_FLUSH = rig.POINTS
COSTS = (("otlp10", "gzip", 1.3), ("otlp10", "none", 2.0), ("json", "gzip", 1.7),
         ("json", "none", 3.0), ("otlp07", "gzip", None), ("otlp10", "zstd", None))


SHARE = 0.85  # of the highest rate: what a gateway is asked that is to keep up


def cost_rounds(settings, form, compression):
    """Rounds of one way through at a rate with which it keeps up, and the round before them as fast
    as it goes, which warms and tells what the rate can be: (round, rounds)."""
    import glob  # pylint: disable=import-outside-toplevel
    rounds = []
    with settings.folder() as folder, rig.sink(settings, *keeping(folder + "/batches")) as sink:
        files = rig.bodies(settings, folder + "/bodies", form)
        with rig.gateway(settings, sink.url, destinations=destination(compression)) as weir:
            arguments = (*FAST, "--format", form)
            fast = rig.window(settings, weir, *arguments, seconds=settings.warm)
            paced = (*arguments, "--connections", "16", "--mode", "rate",
                     "--rate", f"{SHARE * fast['requests_per_s']:.3f}")
            batches = sorted(glob.glob(folder + "/batches/*"))[:8]
            before = rig.limit(settings, files, batches)
            for _ in range(settings.rounds):
                host = rig.Host()
                used = rig.window(settings, weir, *paced)
                stolen = host.stolen()
                after = rig.limit(settings, files, batches)
                rounds.append(cost_of(used, (before, after), len(files), compression) |
                              {"stolen": stolen})
                before = after
    return cost_of(fast, (before, before), len(files), compression), rounds


def cost_of(used, limits, files, compression):
    """One round's numbers."""
    inflate = statistics.mean(one["inflate"]["cpu_ns"] for one in limits) / files
    deflate = statistics.mean(one["deflate"]["ns_per_byte"] for one in limits)
    inflating = inflate * used["requests"] / used["ended"]
    deflating = deflate * used["identity"] / used["ended"]
    cpu = ns_each(used["cpu"], used["ended"])
    divisor = inflating + (0 if compression == "none" else deflating)
    return {"ratio": cpu / divisor, "cpu": cpu, "inflate": inflating, "deflate": deflating,
            "kernel": ns_each(used["kernel"], used["ended"]),
            "faults": used["faults"] / used["requests"],
            "backlog": used["backlog"] / used["cpu"],
            "rate": used["points_per_s"], "sent": used["sent"] / used["ended"],
            "came": used["load"]["accepted"]["bytes"] / used["load"]["accepted"]["points"]}


def cost(settings):
    """Bar 1."""
    result = Result("1. Processor time per point beside gzip alone")
    rows, full, usual = [], [], None
    for form, compression, most in COSTS:
        fast, rounds = cost_rounds(settings, form, compression)
        ratio, spread = rig.middle([one["ratio"] for one in rounds])
        seen = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        usual = usual or seen  # the first way is the usual one
        own = seen["cpu"] - seen["inflate"] - (0 if compression == "none" else seen["deflate"])
        again = max(one["backlog"] for one in rounds)
        note = f"{100 * again:.0f} % of it decoding again" if again > 0.02 else ""
        host = f"{100 * seen['stolen']:.0f} % taken by the host" if seen["stolen"] > 0.02 else ""
        rows.append((form, compression, f"{seen['rate']:,.0f}", f"{seen['cpu']:.0f}",
                     f"{seen['inflate']:.0f}",
                     "" if compression == "none" else f"{seen['deflate']:.0f}", f"{own:.0f}",
                     f"{seen['kernel']:.0f}", f"{seen['faults']:.0f}",
                     f"**{ratio:.2f}**", "" if most is None else f"{most:.1f}",
                     f"{100 * spread:.0f} %", f"{seen['sent']:.1f}",
                     ", ".join(filter(None, (note, host)))))
        full.append((form, compression, f"{fast['rate']:,.0f}", f"{fast['cpu']:.0f}",
                     f"{fast['ratio']:.2f}", f"{100 * fast['backlog']:.0f} %"))
        if most is not None:
            result.checks.append(Check(f"{form} in, {compression} out", ratio, most, "x", note))
    result.tables["cost"] = (
        ("in", "out", "points/s", "CPU ns/point", "inflate alone", "compress alone", "the rest",
         "of it kernel", "page faults/request", "ratio", "bar", "spread", "sent bytes/point", ""),
        rows)
    result.tables["saturated"] = (("in", "out", "points/s", "CPU ns/point", "ratio",
                                   "of it decoding again"), full)
    result.tables["sizing"] = sizing(usual)
    return result


def sizing(seen):
    """What a load needs, by arithmetic from what was measured with OTLP 1.0 and gzip."""
    rows = []
    for rate in (1000, 10_000, 100_000, 500_000, 1_000_000):
        came = rate * seen["came"]
        rows.append((f"{rate:,}", f"{rate * 60 / POINTS_A_FLUSH:,.0f}", f"{came / 1e6:,.1f}",
                     f"{rate * seen['sent'] / 1e6:,.1f}",
                     f"{rate * seen['cpu'] / 1e9:.2f}", f"{rate * seen['cpu'] / 0.6e9:.1f}",
                     f"{came * 900 / 2**30:,.1f}", f"{came * 21600 / 2**30:,.0f}"))
    return (("points/s", "full buffers a minute", "MB/s in", "MB/s out", "cores busy",
             "cores to have", "GiB of disk, 15 min outage", "GiB, 6 h"), rows)


# -- 2: memory -------------------------------------------------------------------------------------

def memory_window(settings, sink):
    """(the share of the machine that its host took under the load, resident when idle, its peak at
    100,000 points/s, the rate that it was) of a new gateway."""
    with rig.gateway(settings, sink.url) as weir:
        time.sleep(2)
        idle, host = weir.resident(), rig.Host()
        told = rig.load(settings, weir, *FAST, "--mode", "rate", "--points-rate", "100000",
                        seconds=settings.warm + 2 * settings.window)
        return host.stolen(), idle, weir.peak(), told["points_per_s"]


def memory_stalled(settings, sink):
    """(the share of the machine that its host took, the peak) of a new gateway under full load with
    a backend that never answers."""
    sink.ask("/faults", b"100%:stall")
    with rig.gateway(settings, sink.url, memory_limit="256MiB") as weir:
        host = rig.Host()
        rig.load(settings, weir, *FAST, "--connections", "64", "--retry-window", "1s",
                 seconds=settings.warm + settings.window, may_fail=True)
        return host.stolen(), weir.peak()


def memory(settings):
    """Bar 2. What the host takes makes bodies wait in memory, so of the windows the one counts
    during which it took least: that is chosen without a look at what was measured in it."""
    result = Result("2. Memory")
    with rig.sink(settings, "--accounts", "off") as sink:
        stolen, idle, peak, rate = min(
            (memory_window(settings, sink) for _ in range(settings.rounds)),
            key=lambda one: one[0])
        stolen_then, stalled = memory_stalled(settings, sink)
    rows = [("idle", "default", f"{idle / rig.MIB:.1f}", "16", ""),
            (f"{rate:,.0f} points/s", "default", f"{peak / rig.MIB:.1f}", "64",
             f"{100 * stolen:.0f} %"),
            ("full load, backend stalled", "256 MiB", f"{stalled / rig.MIB:.1f}", "320",
             f"{100 * stolen_then:.0f} %")]
    result.tables["memory"] = (("load", "memory_limit", "resident MiB (peak)", "bar",
                                "taken by the host"), rows)
    result.checks = [Check("idle", idle / rig.MIB, 16, " MiB"),
                     Check("at 100,000 points/s", peak / rig.MIB, 64, " MiB"),
                     Check("backend stalled, memory_limit 256 MiB", stalled / rig.MIB, 320, " MiB")]
    return result


# -- 3: allocations --------------------------------------------------------------------------------

def allocated(settings, weir, arguments, requests):
    """Allocations of so many requests. Asking allocates too, so it is done twice before, and never
    between: the end is waited for by the clock."""
    first = weir.metric("weir_allocations_total")
    before = weir.metric("weir_allocations_total")
    rig.load(settings, weir, *arguments, "--requests", str(requests), seconds=60)
    time.sleep(1)
    return weir.metric("weir_allocations_total") - before - (before - first)


def stall(settings, weir, arguments, requests):
    """So many requests, and the gateway stopped meanwhile for 0.3 s in each second. A host that
    takes its processors away has requests pile up, and what is above the peak before is asked for,
    once: so there are such peaks before it counts."""
    with futures.ThreadPoolExecutor(1) as pool:
        told = pool.submit(allocated, settings, weir, arguments, requests)
        while not futures.wait([told], 0.7).done:
            weir.process.send_signal(signal.SIGSTOP)
            try:
                time.sleep(0.3)
            finally:  # or whoever ends this would wait for a gateway that stands still
                weir.process.send_signal(signal.SIGCONT)
        told.result()


# (format, points of a request, connections, destinations, requests a second)
ALLOCATIONS = (("otlp10", rig.POINTS, 2, 1, 20), ("json", rig.POINTS, 2, 1, 20),
               ("otlp10", 1000, 16, 2, 200))


def allocations(settings):
    """Bar 3: what a request more costs. A connection has its price, so the same number of them
    carries few requests and then many."""
    result = Result("3. Allocations when warm")
    rows, worst = [], 0
    for form, points, connections, count, rate in ALLOCATIONS:
        several = [{"name": f"sink{i}", "endpoint": "", "compression": "gzip"}
                   for i in range(count)]
        few, many = rate, 3 * rate
        with rig.sink(settings, "--accounts", "off") as sink, \
                rig.gateway(settings, sink.url, destinations=several) as weir:
            arguments = (*FAST, "--format", form, "--points", str(points), "--mode", "rate",
                         "--rate", str(rate), "--connections", str(connections))
            rig.window(settings, weir, *FAST, seconds=settings.warm)
            allocated(settings, weir, arguments, many)
            stall(settings, weir, arguments, 2 * many)
            slopes = []
            for _ in range(settings.rounds):
                least, most = (allocated(settings, weir, arguments, n) for n in (few, many))
                slopes.append(max(0, most - least) / (many - few))
        worst = max(worst, statistics.median(slopes))
        rows.append((form, f"{points:,}", connections, count, f"{statistics.median(slopes):.3f}",
                     ", ".join(f"{one:.3f}" for one in slopes)))
    result.tables["allocations"] = (("in", "points/request", "connections", "destinations",
                                     "allocations for a request more (median)", "of"), rows)
    result.checks.append(Check("allocations for each further request", round(worst, 2), 0))
    return result


# -- 4: latency of the answer ----------------------------------------------------------------------

def latency_of(settings, points):
    """(requests/s, bytes of a request, the answers' latency, that of fdatasync alone, both in ms,
    the share of the machine that its host took) at half the rate of a load as fast as it goes. Of
    the windows the one counts during which the host took least: that is chosen without a look at
    what was measured in it."""
    shape = (*FAST, "--points", str(points), "--bodies", "32")
    with rig.sink(settings, "--accounts", "off") as sink, \
            rig.gateway(settings, sink.url) as weir:
        fast = rig.window(settings, weir, *shape, "--connections", "8", seconds=settings.warm)
        accepted = fast["load"]["accepted"]
        size = accepted["bytes"] // accepted["requests"]
        half = fast["requests_per_s"] / 2
        seen, before = [], rig.syncs(settings, size, settings.window / 4)
        for _ in range(2 * settings.rounds - 1):
            host = rig.Host()
            told = rig.load(settings, weir, *shape, "--mode", "rate", "--rate", f"{half:.3f}",
                            "--connections", "64", seconds=1.5 * settings.window)
            stolen = host.stolen()
            after = rig.syncs(settings, size, settings.window / 4)
            seen.append((stolen, told["latency_ms"], before + after))
            before = after
    stolen, ours, alone = min(seen, key=lambda one: one[0])
    base = {"p50": rig.percentile(alone, 0.5) * 1e3, "p99": rig.percentile(alone, 0.99) * 1e3,
            "max": max(alone) * 1e3}
    return half, size, ours, base, stolen


def latency(settings):
    """Bar 4, for requests of 1,000 points, which is what most streams send when their interval is
    over, and for full buffers."""
    result, rows = Result("4. Latency of the answer at half the highest rate"), []
    for points in (1000, rig.POINTS):
        half, size, ours, base, stolen = latency_of(settings, points)
        for what, one in (("request to answer", ours), ("fdatasync alone", base)):
            rows.append((f"{points:,}", f"{size:,}", f"{half:.0f}", what,
                         *(f"{one[key]:.1f}" for key in ("p50", "p99", "max")),
                         f"{100 * stolen:.0f} %" if one is ours else ""))
        result.checks.append(Check(f"p99, {points:,} points a request", ours["p99"],
                                   3 * base["p99"] + 5, " ms", f"3 x {base['p99']:.1f} ms + 5 ms"))
    result.tables["latency"] = (("points/request", "bytes", "requests/s", "", "p50 ms", "p99 ms",
                                 "max ms", "taken by the host"), rows)
    return result


# -- 6: the noisy neighbour ------------------------------------------------------------------------

def probe_until(weir, stop, sent):
    """Sends a point of a rare namespace every 100 ms, and notes when it was answered."""
    number = 0
    with firehose.Firehose(weir.port, key=rig.program.KEY) as client:
        while not stop.wait(0.1):
            name = f"probe-{number:06d}"
            point = made.Point(namespace="Rare/Probe", metric=name, sum=1.0)
            if client.post(firehose.envelope([made.as_json([point])])).status == 200:
                sent[name] = time.monotonic()
            number += 1


def probes(settings, weir, backend, arguments):
    """Waits of probes, in seconds from the answer to the backend, beside a load or beside none."""
    sent, stop = {}, threading.Event()
    thread = threading.Thread(target=probe_until, args=(weir, stop, sent))
    thread.start()
    seconds = 2 * settings.window
    try:
        if arguments:
            rig.load(settings, weir, *arguments, seconds=seconds)
        else:
            time.sleep(seconds)
    finally:
        stop.set()
        thread.join()
    time.sleep(2)
    lost = [name for name in sent if name not in backend.server.seen]
    if lost:
        raise rig.Broken(f"{len(lost)} of {len(sent)} probes did not arrive")
    return [max(0.0, backend.server.seen[name] - sent[name]) for name in sent]


def neighbour(settings):
    """Bar 6."""
    result = Result("6. Noisy neighbour")
    interval, rows, worst = 1.0, [], 0.0
    hot = (*FAST, "--hot-percent", "99")
    loads = (("none", ()), ("99 % in one namespace, 100,000 points/s",
                            (*hot, "--mode", "rate", "--points-rate", "100000")),
             ("99 % in one namespace, as fast as it goes", hot))
    backend = rig.ProbeSink()
    try:
        for what, arguments in loads:
            with rig.gateway(settings, backend.url, destinations=destination("none"),
                             buffer={"interval": f"{interval:.0f}s"}) as weir:
                waits = probes(settings, weir, backend, arguments)
            backend.server.seen.clear()
            rows.append((what, str(len(waits)), *(f"{1e3 * one:.0f}" for one in (
                statistics.median(waits), rig.percentile(waits, 0.99), max(waits)))))
            worst = max(worst, rig.percentile(waits, 0.99)) if arguments else worst
    finally:
        backend.stop()
    result.tables["neighbour"] = (("load beside the probes", "probes", "wait p50 ms", "p99 ms",
                                   "max ms"), rows)
    result.checks.append(Check("p99 of the others' wait", worst, 1.05 * interval, " s",
                               "buffer.interval 1s, and 5 % to encode and send"))
    return result
