# SPDX-License-Identifier: Apache-2.0
"""The part of bench/profile.sh that is not shell: callgrind's list, per point, and a gateway under
load with perf at it.

    profile.py callgrind ANNOTATED CASE POINTS TOP
    profile.py live BUILD SECONDS TOP
"""
import os
import re
import subprocess
import sys
import tempfile
import threading

import ending

LINE = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+(\S.*)$")
PORT = 24900
CONNECTIONS = "8"


def counts(lines):
    """(instructions, function, where) for each function of callgrind_annotate's list, and the
    total of the program."""
    total, found = 0, []
    for line in lines:
        match = LINE.match(line)
        if not match:
            continue
        count, what = int(match.group(1).replace(",", "")), match.group(2)
        if what.startswith("PROGRAM TOTALS"):
            total = count
        elif total and ":" in what:
            where, _, function = re.sub(r" \[[^]]*\]$", "", what).rpartition(":")
            found.append((count, function, where))
    return total, found


def callgrind(path, case, points, top):
    """Prints the functions that take most, by point. The exit code."""
    with open(path, encoding="utf-8") as file:
        total, found = counts(file)
    if total == 0:
        print("bench/profile.sh: callgrind counted nothing", file=sys.stderr)
        return 1
    print(f"{case}: {total / points:.1f} instructions a point ({points} points, callgrind)\n")
    print(f"{'a point':>9} {'share':>6}  function, file")
    for count, function, where in found[:top]:
        where = re.sub(r"^\./.*/", "", where) if where.startswith("./") else where
        print(f"{count / points:9.1f} {100 * count / total:5.1f}%  {function}  {where}")
    return 0


def samples(data):
    """(share, thread, library, function) of each line of perf's report. A library without symbols
    (Debian's libdeflate) is one function."""
    done = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children",
                           "--sort", "comm,dso,symbol", "-F", "overhead,comm,dso,symbol",
                           "-t", ";"], capture_output=True, text=True, check=False)
    found = []
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.split(";")]
        if len(parts) < 4 or not re.fullmatch(r"[\d.]+%", parts[0]):
            continue
        library = parts[2].replace("[kernel.kallsyms]", "kernel")
        function = re.sub(r"^\[.\] ", "", parts[3])
        found.append((float(parts[0][:-1]), parts[1], library,
                      library if function.startswith("0x") else function))
    if not found:
        print(done.stderr[-600:], file=sys.stderr)
        raise SystemExit("bench/profile.sh: perf report shows nothing")
    return found


def table(title, found, top):
    """Prints shares added up by their name: pairs of (name, share)."""
    shares = {}
    for name, share in found:
        shares[name] = shares.get(name, 0) + share
    print(f"\n{title}")
    for name, share in sorted(shares.items(), key=lambda item: -item[1])[:top]:
        print(f"{share:7.2f}%  {name}")


def live(build, seconds, top):
    """Loads a gateway as bench/run.sh does and samples it. The exit code."""
    import rig  # pylint: disable=import-outside-toplevel
    settings = rig.Settings(build, os.environ.get("DIRECTORY", "/var/tmp"), False, PORT)
    arguments = ("--mode", "fast", "--connections", CONNECTIONS, "--points", str(rig.POINTS),
                 "--gzip", "6", *rig.WORLD)
    with tempfile.TemporaryDirectory() as folder, \
            rig.sink(settings, "--accounts", "off") as sink, \
            rig.gateway(settings, sink.url) as weir:
        data = os.path.join(folder, "perf.data")
        rig.load(settings, weir, *arguments, seconds=2)
        before = weir.counters()
        loader = threading.Thread(target=rig.load, args=(settings, weir, *arguments),
                                  kwargs={"seconds": seconds + 1})
        loader.start()
        done = subprocess.run(["perf", "record", "-e", "cpu-clock", "-F", "997", "-o", data, "-p",
                               str(weir.process.pid), "--", "sleep", str(seconds)],
                              capture_output=True, text=True, check=False)
        loader.join()
        weir.drained()
        after = weir.counters()
        if done.returncode != 0:
            print(done.stderr[-600:], file=sys.stderr)
            return 1
        points = max(after["ended"] - before["ended"], 1)
        print(f"{points:.0f} points, {(after['cpu'] - before['cpu']) * 1e9 / points:.0f} ns of the "
              "gateway's CPU time a point")
        found = samples(data)
        table("by thread", [(one[1], one[0]) for one in found], top)
        table("by program or library", [(one[2], one[0]) for one in found], top)
        table("by function", [(f"{one[3]:40} {one[2]}", one[0]) for one in found], top)
        table("by thread and function", [(f"{one[1]:15} {one[3]}", one[0]) for one in found], top)
    return 0


def main(arguments):
    """The exit code."""
    if len(arguments) == 5 and arguments[0] == "callgrind":
        return callgrind(arguments[1], arguments[2], int(arguments[3]), int(arguments[4]))
    if len(arguments) == 4 and arguments[0] == "live":
        return live(arguments[1], int(arguments[2]), int(arguments[3]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    ending.run(lambda: main(sys.argv[1:]))
