#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the docs name exists, and what exists is in the docs.

    docs.py [ROOT]     a line for each finding; exits 1 when there is one

* each metric family of src/metrics/families.c is counted somewhere, and has a row in
  docs/metrics.md, with its labels, and each row a family; no page names a metric that there is not
* each reason of a refusal, of quarantine and of the dead letter stands in docs/metrics.md
* each key of the configuration's tables stands in docs/configuration.md
* each relative link of a page leads to a file (pictures, which are drawn later, may be missing)
"""
import glob
import os
import re
import sys

FAMILY = re.compile(r"(PLAIN|ONE|TWO|THREE|HISTOGRAM|HISTOGRAM_BY)\(\s*(?:COUNTER,|GAUGE,|TOTAL,)?"
                    r'\s*"([a-z_]+)"((?:,\s*"[a-z_]+")*)')
ROW = re.compile(r"^\| (`[^|]*`) \| ([^|]*)\|", re.M)
REASONS = (
    ("src/ingest/judge.c", r'"((?:bad|no|not|over|spool|dead|draining)(?:_[a-z]+)*)"[,}]'),
    ("src/ingest/session.c", r'_refuse\(session, \d+, "([a-z_]+)"'),
    ("src/ingest/session_clock.c", r'_refuse\(session, \d+, "([a-z_]+)"'),
    ("src/pipeline/pipeline.c", r'refuse\(submission, \d+, "([a-z_]+)"'),
    ("src/pipeline/pipeline.c", r'\? "([a-z_]+)"'),
    ("src/pipeline/pipeline.c", r': "([a-z_]+)"\}'),
    ("src/admit/keys.c", r'return "(key_[a-z_]+)"'),
    ("src/decode/tally.c", r'_QUARANTINE_[A-Z0-9_]+\] = "([a-z_]+)"'),
    ("src/export/deadletter.c", r'_DEADLETTER_[A-Z_]+\] = "([a-z_]+)"'),
    ("src/spool/ledger_backlog.c", r'\? "([a-z_]+)"'),
    ("src/pipeline/custody_record.c", r'weir_quarantine_letter\(&source, "([a-z_]+)"'),
)


def families(source):
    """{name: labels} of the program's own list; a literal may go on in the next line."""
    return {name: re.findall(r"[a-z_]+", labels) if kind not in ("PLAIN", "HISTOGRAM") else []
            for kind, name, labels in FAMILY.findall(source)}


def rows(page):
    """{name: labels} of a page's tables."""
    return {name: re.findall(r"[a-z]+", labels)
            for names, labels in ROW.findall(page)
            for name in re.findall(r"`((?:weir|process)_[a-z_]+)`", names)}


class Docs:
    """The findings of one tree."""

    def __init__(self, root):
        self.root, self.findings = root, []

    def text(self, path):
        """A file of the tree."""
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def say(self, path, what):
        """One finding."""
        self.findings.append(f"{path}: {what}")

    def metrics(self, pages):
        """Families against rows, and every name of a metric against the families."""
        ours, told = families(self.text("src/metrics/families.c")), rows(pages["docs/metrics.md"])
        for name, labels in ours.items():
            if name not in told:
                self.say("docs/metrics.md", f"{name} is not told")
            elif told[name] != labels:
                self.say("docs/metrics.md", f"{name} has the labels {labels}, not {told[name]}")
        for name in set(told) - set(ours):
            self.say("docs/metrics.md", f"there is no {name}")
        for path, page in pages.items():
            for name in re.findall(r"\bweir_[a-z_]+_(?:total|bytes|seconds|records)\b", page):
                if name not in ours:
                    self.say(path, f"there is no {name}")

    def uses(self):
        """Each family is counted or set by somebody."""
        code = "".join(self.text(path) for path in glob.glob(
            os.path.join(self.root, "src/**/*.c"), recursive=True)
                       if not path.endswith("families.c"))
        for family in re.findall(r"\[(WEIR_M_[A-Z_]+)\]", self.text("src/metrics/families.c")):
            if not re.search(rf"\b{family}\b", code):
                self.say("src/metrics/families.c", f"nobody counts {family}")

    def reasons(self, page):
        """Each reason that the code gives has its word on the page."""
        for path, pattern in REASONS:
            found = re.findall(pattern, self.text(path))
            if not found:
                self.say(path, f"no reason found: {pattern}")
            for reason in found:
                if f"`{reason}`" not in page:
                    self.say("docs/metrics.md", f"the reason {reason} of {path} is not told")

    def keys(self, page):
        """Each key of the configuration."""
        for key in re.findall(r'^    \{"([a-z0-9_]+)", WEIR_SCHEMA', self.text(
                "src/app/config_schema.c"), re.M):
            if not re.search(rf"`[a-z0-9_.\[\]]*\b{key}(\[\])?`", page):
                self.say("docs/configuration.md", f"the key {key} is not told")

    def links(self, pages):
        """Relative links."""
        for path, page in pages.items():
            for target in re.findall(r"(?<!!)\[[^]]*\]\(([^)#:]+)(?:#[^)]*)?\)", page):
                if not os.path.exists(os.path.join(self.root, os.path.dirname(path), target)):
                    self.say(path, f"the link to {target} leads nowhere")

    def run(self):
        """All findings."""
        paths = ["README.md"] + sorted(
            os.path.relpath(path, self.root)
            for path in glob.glob(os.path.join(self.root, "docs/**/*.md"), recursive=True))
        pages = {path: self.text(path) for path in paths}
        self.metrics(pages)
        self.uses()
        self.reasons(pages["docs/metrics.md"])
        self.keys(pages["docs/configuration.md"])
        self.links(pages)
        return self.findings


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    FOUND = Docs(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../..")).run()
    print("\n".join(FOUND) or "docs: no findings")
    sys.exit(1 if FOUND else 0)
