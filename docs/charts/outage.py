#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the outage of docs/operations.md from what tests/e2e/test_outage.py has seen.

    WEIR_BIN=… WEIR_OUTAGE_WINDOW=10 WEIR_OUTAGE_CSV=/tmp/outage.csv \\
        python3 tests/e2e/test_outage.py Outage.test_down
    python3 docs/charts/outage.py /tmp/outage.csv > docs/charts/outage.svg

Three panels over one time: points sent and delivered, bytes owed on disk, memory.
"""
import csv
import sys

WIDTH, PANEL, LEFT, TOP, GAP = 760, 130, 70, 30, 34
PANELS = (
    ("points", 1, (("sent", "sent", "#888888"), ("good", "delivered: up", "#2e7d32"),
                   ("bad", "delivered: down, then up", "#c62828"))),
    ("MiB owed on disk", 1 / 1048576, (("spool_bytes", "spool", "#1565c0"),)),
    ("MiB of memory", 1 / 1048576, (("memory_bytes", "resident", "#6a1b9a"),)),
)


def nice(top):
    """The next round number at or over `top`."""
    step = 1
    while step * 10 < top:
        step *= 10
    return next((step * factor for factor in (1, 2, 4, 5, 10) if step * factor >= top), step * 10)


def line(rows, column, scale, top, place):
    """One polyline of a panel."""
    last = rows[-1]["seconds"]
    across = WIDTH - LEFT - 20
    return " ".join(
        f"{LEFT + row['seconds'] / last * across:.1f},"
        f"{place + PANEL - row[column] * scale / top * PANEL:.1f}" for row in rows)


def panel(rows, index):
    """The SVG of one panel."""
    title, scale, columns = PANELS[index]
    place = TOP + index * (PANEL + GAP)
    top = nice(max(row[column] * scale for row in rows for column, _, _ in columns) or 1)
    yield (f'<rect x="{LEFT}" y="{place}" width="{WIDTH - LEFT - 20}" height="{PANEL}" '
           f'fill="none" stroke="#bbbbbb"/>')
    yield f'<text x="{LEFT}" y="{place - 8}">{title}</text>'
    for part in (0, 1):
        y = place + PANEL - part * PANEL
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{top * part:g}</text>'
    for number, (column, name, colour) in enumerate(columns):
        yield (f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" '
               f'points="{line(rows, column, scale, top, place)}"/>')
        yield (f'<text x="{LEFT + 150 + 190 * number}" y="{place - 8}" fill="{colour}">'
               f'{name}</text>')


def main():
    """CSV in, SVG out."""
    with open(sys.argv[1], encoding="ascii") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    height = TOP + len(PANELS) * (PANEL + GAP) + 10
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
          f'font-family="sans-serif" font-size="12">')
    print(f'<rect width="{WIDTH}" height="{height}" fill="white"/>')
    for index in range(len(PANELS)):
        print("\n".join(panel(rows, index)))
    print(f'<text x="{LEFT}" y="{height - 10}">0 s</text>')
    print(f'<text x="{WIDTH - 20}" y="{height - 10}" text-anchor="end">'
          f'{rows[-1]["seconds"]:.0f} s</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
