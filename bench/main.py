#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures every bar and says how far each is reached; bench/run.sh builds first and calls this.

Exit code 0 also when a bar is not reached: a machine has its moods. 1 when something did not work,
or a point did not arrive exactly once; 128 + n when signal n ended it.
"""
import argparse
import sys
import time

import bars
import ending
import flat
import report
import rig

BARS = {"once": flat.exactly_once, "cost": bars.cost, "memory": bars.memory,
        "allocations": bars.allocations, "latency": bars.latency, "flat": flat.flat,
        "loops": flat.loops, "neighbour": bars.neighbour, "micro": flat.micro}


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true",
                        help="two to three minutes in all, coarse; writes no page")
    parser.add_argument("--only", metavar="BAR,...", help="of " + ", ".join(BARS) +
                        "; writes no page")
    parser.add_argument("--write", action="store_true",
                        help="writes docs/performance.md also then (of the bars that were run)")
    parser.add_argument("--directory", default="/var/tmp",
                        help="a folder on the disk that is measured (/var/tmp)")
    parser.add_argument("--port", type=int, default=25100,
                        help="the first of some sixty ports for the sinks (25100)")
    given = parser.parse_args(arguments)
    wanted = given.only.split(",") if given.only else list(BARS)
    unknown = [name for name in wanted if name not in BARS]
    if unknown:
        parser.error(f"no bar {unknown[0]!r}: there are {', '.join(BARS)}")
    given.wanted = [name for name in BARS if name in wanted]
    return given


def main():
    """Runs what is wanted; the exit code."""
    given = parse(sys.argv[1:])
    settings = rig.Settings(given.build, given.directory, given.quick, given.port)
    results, failed, whole = [], False, rig.Host()
    for name in given.wanted:
        begun, host = time.monotonic(), rig.Host()
        try:
            result = BARS[name](settings)
        except (rig.Broken, AssertionError, OSError, KeyError) as error:
            result = bars.Result(name, broken=f"{type(error).__name__}: {error}")
        report.show(result)
        took, stolen = time.monotonic() - begun, 100 * host.stolen()
        print(f"  ({took:.0f} s, {stolen:.0f} % taken by the host)", flush=True)
        failed = failed or bool(result.broken)
        results.append(result)
    if given.write or not (given.quick or given.only):
        shown = [one for i, one in enumerate(sys.argv[1:])
                 if "--build" not in (one, sys.argv[1:][i - 1])]
        report.write(settings, results, shown, whole.stolen())
        print(f"\nwrote {report.PAGE}")
    return 1 if failed else 0


if __name__ == "__main__":
    ending.run(main)
