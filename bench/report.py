# SPDX-License-Identifier: Apache-2.0
"""How measurements read: verdicts on the terminal, tables in docs/performance.md."""
import os
import platform
import re
import subprocess

import rig

PAGE = os.path.join(rig.ROOT, "docs", "performance.md")


def table(head, rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def verdict(check):
    """One line: what was measured, the bar, and how they compare."""
    word = "pass" if check.passes else "falls short"
    note = f" ({check.note})" if check.note else ""
    return (f"{check.what}: {number(check.measured)}{check.unit}, "
            f"at most {number(check.most)}{check.unit}{note}: {word}")


def number(value):
    """Three digits that matter."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show(result):
    """What a bar came to, on the terminal."""
    print(f"\n{result.title}")
    for head, rows in result.tables.values():
        widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
        for row in (head, *rows):
            print("    " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)))
    for check in result.checks:
        print("  " + verdict(check))
    if result.broken:
        print("  BROKEN: " + result.broken)


def first_line(command):
    """A program's first line, or a dash."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=rig.ROOT,
                              timeout=20).stdout.splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError):
        return "-"


def cpu_name():
    """The processor, as the kernel calls it."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
    return found.group(1) if found else platform.machine()


def memory_size():
    """The machine's memory."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return f"{int(file.readline().split()[1]) / (1 << 20):.1f} GiB"


def disk(directory):
    """The file system and device below a folder."""
    return first_line(["findmnt", "-no", "FSTYPE,SOURCE,OPTIONS", "-T", directory])


def machine(settings, arguments, stolen):
    """(what, value) of all that numbers depend on."""
    commit = first_line(["git", "describe", "--always", "--dirty", "--abbrev=12"])
    versions = ", ".join(
        f"{name} {first_line(['pkg-config', '--modversion', module])}"
        for name, module in (("libdeflate", "libdeflate"), ("ISA-L", "libisal"),
                             ("libzstd", "libzstd"), ("libcurl", "libcurl"),
                             ("jemalloc", "jemalloc")))
    h2o = first_line(["dpkg-query", "-W", "-f", "${Version}\n", "libh2o-evloop-dev"])
    return (("processor", f"{cpu_name()}, {os.cpu_count()} cores; generator, gateway and backend "
                          "share them"),
            ("memory", memory_size()),
            ("kernel", f"{platform.system()} {platform.release()}"),
            ("disk", f"{disk(settings.directory)} ({settings.directory})"),
            ("weir", commit), ("libraries", f"{versions}, h2o {h2o}"),
            ("compiler", first_line(["gcc", "--version"]) + ", preset `release`"),
            ("command", f"`bench/run.sh{' ' if arguments else ''}{' '.join(arguments)}`"),
            ("taken by the host", f"{100 * stolen:.0f} % of all processor time during the run"))


def place(text, name, content):
    """The page with what stands between a pair of markers replaced."""
    pattern = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.S)
    if not pattern.search(text):
        raise rig.Broken(f"{PAGE} has no place for the table {name}")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def write(settings, results, arguments, stolen):
    """Puts the tables into the page; those of bars that were not run stay as they are. `stolen` is
    the share of the machine that its host took during the run."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    text = place(text, "machine", table(("", ""), machine(settings, arguments, stolen)))
    checks = [(check.what, number(check.measured) + check.unit, number(check.most) + check.unit,
               check.note, "pass" if check.passes else "**falls short**")
              for result in results for check in result.checks]
    text = place(text, "bars", table(("bar", "measured", "at most", "", ""), checks))
    for result in results:
        for name, (head, rows) in result.tables.items():
            text = place(text, name, table(head, rows))
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
