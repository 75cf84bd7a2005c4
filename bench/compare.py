# SPDX-License-Identifier: Apache-2.0
"""Compares two builds of the gateway: both run at once, the load goes to one and then the other.

OLD and NEW are build folders, or revisions of git, which are built (release preset, kept in
build/compare). Load generator and backend are those of NEW for both.
"""
import argparse
import contextlib
import os
import statistics
import sys

import bars
import ending
import report
import revision
import rig

CPU, KERNEL, RATE, PEAK = "CPU ns/point", "  of it kernel", "points/s", "peak memory, MiB"
LATENCIES = {"p50": "answer p50, ms", "p99": "answer p99, ms"}
SMALL = 0.005  # of a gateway's processor time: threads below it are not shown


def positive(kind):
    """argparse's type of a number above zero."""
    def read(text):
        value = kind(text)
        if not 0 < value < 1e12:
            raise ValueError
        return value
    read.__name__ = "positive number"
    return read


def parse(arguments):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench/compare.sh", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    whole, real = positive(int), positive(float)
    for name, kind, usual, what in (
            ("--rounds", whole, 7, "pairs of turns (%(default)s)"),
            ("--seconds", real, 3.0, "of load in a turn (%(default)g)"),
            ("--warm-up", real, 5.0, "seconds of load before the first round (%(default)g)"),
            ("--points", whole, rig.POINTS, "of a request (%(default)s)"),
            ("--resources", whole, 4, "(%(default)s)"),
            ("--namespaces", whole, 40, "(%(default)s)"),
            ("--connections", whole, None, "(4; 16 with --rate)"),
            ("--rate", whole, None, "points a second (as fast as it goes)"),
            ("--port", whole, 25200, "the sinks get the two ports above it (%(default)s)")):
        parser.add_argument(name, metavar="N", type=kind, default=usual, help=what)
    parser.add_argument("--format", choices=("otlp10", "otlp07", "json", "mixed"),
                        default="otlp10", help="in (%(default)s)")
    parser.add_argument("--compression", choices=("gzip", "none", "zstd"), default="gzip",
                        help="out (%(default)s)")
    parser.add_argument("--directory", default="/var/tmp",
                        help="a folder on the disk of the spools (%(default)s)")
    given = parser.parse_args(arguments)
    given.connections = given.connections or (16 if given.rate else 4)
    given.commits = {given.old: check(parser, given.old, ("weir",)),
                     given.new: check(parser, given.new, revision.PROGRAMS)}
    return given


def check(parser, name, programs):
    """None for a folder with these programs, the commit of a revision; else it is the end."""
    if not os.path.isdir(name):
        commit = revision.commit_of(name)
        if commit is None:
            parser.error(f"{name}: neither a build folder nor a revision")
        return commit
    for one in programs:
        if not os.access(os.path.join(name, one), os.X_OK):
            parser.error(f"{name} has no {one}: build it there, or name another folder")
    return None


def progress(text=""):
    """One line that is written over, where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def folder_of(given, name):
    """Where the programs are; builds a revision."""
    commit = given.commits[name]
    if commit is None:
        return os.path.abspath(name)
    progress(f"building {name} ({commit[:12]}) ...")
    folder = revision.built(commit)
    progress()
    return folder


def load_of(given, fast):
    """weir-load's arguments. All shapes send about as many different points."""
    mode = ("--mode", "fast") if fast else ("--mode", "rate", "--points-rate", str(given.rate))
    return (*mode, "--gzip", "6", "--bodies", str(max(8, 40000 // given.points)),
            "--points", str(given.points), "--format", given.format,
            "--connections", str(given.connections), "--namespaces", str(given.namespaces),
            "--resources", str(given.resources))


class Side:
    """One of the two: its gateway, and what each turn came to."""

    def __init__(self, name, weir):
        self.name, self.weir, self.turns = name, weir, []

    def turn(self, settings, arguments, seconds):
        """The load goes here; how much of the machine its host took meanwhile."""
        with contextlib.suppress(PermissionError):  # not root's: then the peak is the whole run's
            self.weir.peak_reset()
        host = rig.Host()
        used = rig.window(settings, self.weir, *arguments, seconds=seconds)
        stolen = host.stolen()
        self.turns.append(turn_of(used) | {PEAK: self.weir.peak() / rig.MIB})
        return stolen


def turn_of(used):
    """What is compared, of a window: {what: value}, as they are shown."""
    found = {CPU: bars.ns_each(used["cpu"], used["ended"]),
             KERNEL: bars.ns_each(used["kernel"], used["ended"])}
    for name in sorted(used):
        if name.startswith("thread "):
            found["  " + name.removeprefix("thread ")] = bars.ns_each(used[name], used["ended"])
    found[RATE] = used["points_per_s"]
    return found | {what: used["load"]["latency_ms"][name] for name, what in LATENCIES.items()}


def paired(old, new):
    """Median and quartiles of the rounds' ratios new / old: (median, lower, upper); None where old
    had nothing in any round."""
    ratios = [b / a for a, b in zip(old, new) if a > 0]
    if not ratios:
        return None
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 \
        else 3 * ratios
    return statistics.median(ratios), quartiles[0], quartiles[2]


def row(what, old, new):
    """A row of the table from the values of all rounds."""
    shown = (f"{statistics.median(one):,.0f}" if what == RATE else
             report.number(statistics.median(one)) for one in (old, new))
    ratio = paired(old, new)
    if ratio is None:
        return (what, *shown, "", "")
    return (what, *shown, f"{ratio[0]:.3f}", f"{ratio[1]:.3f} .. {ratio[2]:.3f}")


def rows(old, new):
    """The table's rows from both sides' turns. A thread that one of them lacks took nothing."""
    found = []
    for what in dict.fromkeys(name for turn in new + old for name in turn):
        values = [[turn.get(what, 0) for turn in turns] for turns in (old, new)]
        thread = what.startswith("  ") and what != KERNEL
        most = max(map(statistics.median, values))
        if not thread or most >= SMALL * statistics.median(turn[CPU] for turn in old):
            found.append(row(what, *values))
    return found


@contextlib.contextmanager
def sides(given, settings):
    """Both, running: a spool, a sink and a port each."""
    with contextlib.ExitStack() as stack:
        both = []
        for name, where in settings.items():
            sink = stack.enter_context(rig.sink(settings["NEW"], "--accounts", "off"))
            try:
                weir = stack.enter_context(rig.gateway(
                    where, sink.url, destinations=bars.destination(given.compression)))
            except AssertionError as error:
                raise rig.Broken(f"{name}: {error}") from error
            both.append(Side(name, weir))
        yield both


def rounds(given, settings):
    """All turns, each round with another first: (old, new, the share that the host took of each
    turn)."""
    with sides(given, settings) as both:
        for side in both:
            progress(f"warming up {side.name}")
            rig.window(settings["NEW"], side.weir, *load_of(given, True), seconds=given.warm_up)
        stolen, arguments = [], load_of(given, given.rate is None)
        for number in range(given.rounds):
            for side in both[::-1] if number % 2 else both:
                progress(f"round {number + 1} of {given.rounds}: {side.name}")
                stolen.append(side.turn(settings["NEW"], arguments, given.seconds))
        progress()
        return both[0].turns, both[1].turns, stolen


def title(given):
    """What is compared, and under which load."""
    speed = f"{given.rate:,} points/s" if given.rate else "as fast as it goes"
    old, new = (name + (f" ({given.commits[name][:12]})" if given.commits[name] else "")
                for name in (given.old, given.new))
    return (f"OLD: {old}, NEW: {new}\n{given.format} in, {given.compression} out, "
            f"{given.points:,} points a request, {given.namespaces} namespaces, {given.resources} "
            f"resources, {given.connections} connections, {speed}; {given.rounds} rounds of "
            f"{given.seconds:g} s each")


def compare(given):
    """Measures and prints."""
    settings = {side: rig.Settings(folder_of(given, name), given.directory, False, given.port)
                for side, name in (("OLD", given.old), ("NEW", given.new))}
    host = rig.Host()
    old, new, stolen = rounds(given, settings)
    result = bars.Result(title(given))
    result.tables["compare"] = (("", "OLD", "NEW", "NEW/OLD", "quartiles"), rows(old, new))
    report.show(result)
    print(f"  medians of the rounds; the host took {100 * host.stolen():.0f} % of all processor "
          f"time, of one turn {100 * max(stolen):.0f} % at most")


def main():
    """The exit code."""
    try:
        compare(parse(sys.argv[1:]))
    except (rig.Broken, AssertionError, OSError, KeyError) as error:
        progress()
        print(f"bench/compare.sh: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    ending.run(main)
