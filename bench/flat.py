# SPDX-License-Identifier: Apache-2.0
"""The bar of even costs: whether a point costs the same however it comes, and what a second loop
gives. Also the two looks beside the bars: exactly once, and the modules one by one."""
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time

import rig
from bars import FAST, Check, Result, destination, ns_each

NAMESPACES, RESOURCES = (1, 40, 1000), (1, 10, 100)
POINTS, CONNECTIONS = (10, 100, 1000, 10000), (1, 8, 64, 512)


def cases():
    """(what is varied, its value, points of a request, weir-load's arguments) one after another."""
    usual = {"--namespaces": 40, "--resources": 4, "--points": 5000, "--connections": 8}
    for name, values in (("--namespaces", NAMESPACES), ("--resources", RESOURCES),
                         ("--points", POINTS), ("--connections", CONNECTIONS)):
        for value in values:
            options = {**usual, name: value}
            if name == "--connections":
                options["--points"] = 1000  # 512 bodies under way are then no matter of memory
            arguments = [part for pair in options.items() for part in map(str, pair)]
            yield name[2:], value, options["--points"], arguments


def one_case(settings, points, arguments):
    """Of the gateway, uncompressed out: the cheapest round's CPU ns a point, since what disturbs a
    round only ever adds; libdeflate's for inflating such bodies; and points/s. All cases send the
    same number of different points, so that one is not warmer in the caches than another."""
    world = arguments[:4]
    count = max(4, 40000 // points)
    with settings.folder() as folder, rig.sink(settings, "--accounts", "off") as sink, \
            rig.gateway(settings, sink.url, destinations=destination("none")) as weir:
        files = rig.bodies(settings, folder + "/bodies", "otlp10", min(count, 200), points,
                           world)
        told = ("--mode", "fast", "--gzip", "6", "--bodies", str(count), *arguments)
        rig.window(settings, weir, *told, seconds=1)
        costs, alone, rates = [], [], []
        for _ in range(min(2, settings.rounds)):
            used = rig.window(settings, weir, *told, seconds=settings.window / 2)
            limit = rig.limit(settings, files, seconds=0.2)
            costs.append(ns_each(used["cpu"], used["ended"]))
            alone.append(limit["inflate"]["cpu_ns"] / len(files) / points)
            rates.append(used["points_per_s"])
    return min(costs), min(alone), max(rates)


def fit(seen):
    """What a request and what a point costs, so that the sums come as near as they can, each by its
    share, to what was measured: (head, rows) of a table. `seen`: (points a request, ns/point)."""
    # least squares of (request + point * n) / total(n) = 1, total(n) = cost * n
    shares = [(1 / (n * cost), 1 / cost) for n, cost in seen]
    aa, ab = sum(a * a for a, _ in shares), sum(a * b for a, b in shares)
    bb, ra, rb = sum(b * b for _, b in shares), sum(a for a, _ in shares), sum(b for _, b in shares)
    determinant = aa * bb - ab * ab
    request, point = (ra * bb - rb * ab) / determinant, (aa * rb - ab * ra) / determinant
    off = max(abs(request * a + point * b - 1) for a, b in shares)
    return (("a request, microseconds", "and each of its points, ns", "rows are off by at most"),
            [(f"{request / 1e3:.0f}", f"{point:.0f}", f"{100 * off:.0f} %")])


def floor(settings, points):
    """What a request of so many points takes of one core at the least, whoever serves it, as
    microseconds: its way over loopback and the answer, its share of a write and a sync (eight
    connections can have one sync for eight requests, and no better), libdeflate for its body."""
    command = [settings.binary("weir-bench"), "--json", "--directory", settings.directory,
               "--seconds", "0.5", "--points", str(points), "exchange", "commit-cpu", "gunzip"]
    seen = {one["name"]: one for one in json.loads(rig.run(command))["cases"]}
    return [points * ns / 1e3 for ns in (seen["exchange"]["ns_per_point"],
                                         seen["commit-cpu"]["limit_ns_per_point"] / 8,
                                         seen["gunzip"]["limit_ns_per_point"])]


def floors(settings, seen):
    """The table of floors beside what was measured; `seen`: (points a request, ns/point)."""
    rows = []
    for points, cost in seen:
        parts = floor(settings, points)
        rows.append((f"{points:,}", *(f"{part:.0f}" for part in parts),
                     f"{1e3 * sum(parts) / points:.0f}", f"{cost:.0f}",
                     f"{points * cost / 1e3 / sum(parts):.1f}x"))
    return (("points/request", "over loopback, us", "an eighth of a sync, us", "inflate, us",
             "together, ns/point", "Weir, ns/point", "ratio"), rows)


def flat(settings):
    """Bar 5, its first half. Bodies of another shape are dearer or cheaper to inflate, which is
    nobody's fault: that difference is taken out before costs are compared."""
    result = Result("5. Cost per point, however points come")
    seen = [(name, value, *one_case(settings, points, arguments))
            for name, value, points, arguments in cases()]
    usual = statistics.median(alone for _, _, _, alone, _ in seen)
    rows, groups = [], {}
    for name, value, cost, alone, rate in seen:
        groups.setdefault(name, []).append(cost - alone + usual)
        rows.append((name, f"{value:,}", f"{cost:.0f}", f"{alone:.0f}",
                     f"{cost - alone + usual:.0f}", f"{rate:,.0f}"))
    result.tables["flat"] = (("varied", "value", "CPU ns/point", "inflate alone", "evened out",
                              "points/s"), rows)
    result.tables["fit"] = fit([(value, cost) for name, value, cost, _, _ in seen
                                if name == "points"])
    result.tables["floor"] = floors(settings, [(value, cost) for name, value, cost, _, _ in seen
                                               if name == "points"])
    for name, costs in groups.items():
        result.checks.append(Check(f"dearest to cheapest, {name}", max(costs) / min(costs), 1.1,
                                   "x"))
    return result


# -- one loop and two ------------------------------------------------------------------------------

def loops(settings):
    """Bar 5, its second half. The generator and the backend share the cores with the gateway, so
    throughput says little on a small machine; what a point costs with one and with two does."""
    result = Result("5b. One ingest loop and two")
    rows, instructions, cpu = [], {}, {}
    for threads in (1, 2):
        with rig.sink(settings, "--accounts", "off") as sink, \
                rig.gateway(settings, sink.url, destinations=destination("none"),
                            ingest={"threads": threads}) as weir:
            rig.window(settings, weir, *FAST, seconds=settings.warm)
            used = [rig.window(settings, weir, *FAST) for _ in range(settings.rounds)]
        cpu[threads] = min(ns_each(one["cpu"], one["ended"]) for one in used)
        rate = max(one["points_per_s"] for one in used)
        counted = None if settings.quick else count_instructions(settings, threads)
        instructions[threads] = counted
        rows.append((str(threads), f"{rate:,.0f}", f"{cpu[threads]:.0f}",
                     "not counted" if counted is None else f"{counted:.0f}"))
    result.tables["loops"] = (("ingest threads", "points/s (all on one machine)", "CPU ns/point",
                               "instructions/point"), rows)
    of, what = (instructions, "instructions") if instructions[1] and instructions[2] else (
        cpu, "CPU")
    # twice the loops at w times the work for each point do 2 / w times the work of one
    result.checks.append(Check(f"{what} a point, two loops to one", of[2] / of[1], 2 / 1.8, "x",
                               "two loops then do at least 1.8 times the work"))
    return result


def count_instructions(settings, threads):
    """Instructions a point from the socket to the backend, by callgrind: the difference of a long
    run and a short one, so that start and end fall out. None where there is no valgrind."""
    if shutil.which("valgrind") is None:
        return None
    totals = {}
    for requests in (4, 12):
        with settings.folder() as folder, rig.sink(settings, "--accounts", "off") as sink:
            log = os.path.join(folder, "log")
            port = settings.next_port()
            config = rig.configuration(
                sink.url, folder, destinations=destination("none"), admin={"listen": []},
                ingest={"threads": threads, "listen": [f"127.0.0.1:{port}"]})
            path = rig.program.write_configuration(os.path.join(folder, "weir.yaml"), config)
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
                       settings.binary("weir"), "serve", "-c", path]
            with open(log, "wb") as file, subprocess.Popen(
                    command, stdout=file, stderr=file, env=rig.program.environment()) as process:
                try:
                    totals[requests] = valgrind_run(settings, process, port, requests, log)
                finally:
                    process.kill()
    (few, first), (many, second) = sorted(totals.items())
    return (second - first) / ((many - few) * rig.POINTS)


def valgrind_run(settings, process, port, requests, log):
    """Sends so many requests to a gateway under valgrind, ends it, and reads the total."""
    class At:  # what rig.load wants of a gateway
        """Its port."""
    at = At()
    at.port = port
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            import socket  # pylint: disable=import-outside-toplevel
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.2)
    rig.load(settings, at, *FAST, "--connections", "2", "--requests", str(requests), seconds=300)
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    with open(log, encoding="utf-8", errors="replace") as file:
        found = re.search(r"Collected : (\d+)", file.read())
    if found is None:
        raise rig.Broken("callgrind says nothing of what it counted")
    return int(found.group(1))


# -- beside the bars -------------------------------------------------------------------------------

FAULTS = "3%:503,2%:429 retry-after=1,1%:reset,1%:lost,5%:delay=200ms"


def exactly_once(settings):
    """Every point exactly once, with a sink that is well and with one that is not."""
    result = Result("Exactly once")
    rows = []
    for what, faults in (("none", ""), (FAULTS, FAULTS)):
        more = ("--faults", faults) if faults else ()
        with rig.sink(settings, "--accounts", "full", "--threads", "1", *more) as sink, \
                rig.gateway(settings, sink.url, destinations=destination(),
                            retry={"initial": "200ms", "max": "2s"}) as weir:
            told = rig.load(settings, weir, *FAST, "--format", "mixed", "--sink", sink.url,
                            "--settle", "4s", seconds=settings.window, may_fail=True)
        verdict = told["verdicts"][0]
        rows.append((f"`{what}`" if faults else what, f"{verdict['expected']:,}",
                     str(verdict["missing"]), str(verdict["duplicated"]),
                     str(verdict["repeated"]), str(verdict["wrong"]),
                     "yes" if verdict["exactly_once"] else "no"))
        if not verdict["exactly_once"]:
            result.broken = f"not every point exactly once (faults: {what}): {verdict}"
    result.tables["once"] = (("faults of the backend", "points", "missing", "duplicated",
                              "repeated after a lost answer", "wrong", "exactly once"), rows)
    return result


def micro(settings):
    """The hot modules one by one."""
    result = Result("The modules one by one")
    command = [settings.binary("weir-bench"), "--json", "--directory", settings.directory,
               "--seconds", "0.1" if settings.quick else "0.5"]
    rows = []
    for one in json.loads(rig.run(command))["cases"]:
        alone, ratio = one.get("limit_ns_per_point"), one.get("ratio")
        rows.append((one["name"], f"{one['ns_per_point']:.1f}",
                     f"{one['bytes_per_second'] / 1e6:,.0f}", one["limit"] or "",
                     "" if alone is None else f"{alone:.1f}",
                     "" if ratio is None else f"{ratio:.2f}",
                     str(one["allocations"])))
    result.tables["micro"] = (("case", "ns/point", "MB/s", "limit", "limit ns/point", "ratio",
                               "allocations"), rows)
    return result
