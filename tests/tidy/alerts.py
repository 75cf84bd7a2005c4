#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/prometheus/alerts.yml is sound, and speaks of metrics that there are.

    alerts.py [ROOT]     a line for each finding; exits 1 when there is one, 77 without promtool

* promtool takes the rules, and alerts_test.yml's series raise the alerts that they should
* each metric of an expression is a row of docs/metrics.md, and each label that it selects by,
  groups by or shows is one of that row's, or Prometheus' own
* each alert has a row in docs/operations.md, and each row an alert
"""
import os
import re
import shutil
import subprocess
import sys

import docs

RULE = re.compile(r"- alert: (\w+)\n((?: {8}.*\n)*)")
METRIC = re.compile(r"\b(weir_[a-z_]+?)(?:_bucket|_sum|_count)?\b(?:\{([^}]*)\})?(?=[^a-z_]|$)")
BY = re.compile(r"\bby \(([^)]*)\)")
SHOWN = re.compile(r"\$labels\.(\w+)")
THEIRS = {"instance", "job", "le", "up"}


def expression(body):
    """The expr of a rule."""
    return re.search(r"expr: (.*)", body).group(1)


def labels_of(body):
    """All labels that a rule names."""
    expr = expression(body)
    found = {label for inside in re.findall(r"\{([^}]*)\}", expr)
             for label in re.findall(r"(\w+)\s*[!=]", inside)}
    found |= {label.strip() for inside in BY.findall(expr) for label in inside.split(",")}
    return found | set(SHOWN.findall(body))


def check(root):
    """The findings."""
    def text(path):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            return file.read()

    findings, told = [], docs.rows(text("docs/metrics.md"))
    rules = RULE.findall(text("deploy/prometheus/alerts.yml"))
    for name, body in rules:
        metrics = [found for found, _ in METRIC.findall(expression(body))]
        if not metrics and "up{" not in expression(body):
            findings.append(f"{name}: no metric of ours in its expression")
        for metric in metrics:
            if metric not in told:
                findings.append(f"{name}: there is no {metric}")
        known = THEIRS | {label for metric in metrics for label in told.get(metric, [])}
        for label in labels_of(body) - known:
            findings.append(f"{name}: none of its metrics has the label {label}")
    named = set(re.findall(r"^\| `(Weir\w+)`", text("docs/operations.md"), re.M))
    ours = {name for name, _ in rules}
    findings += [f"docs/operations.md: {name} has no row" for name in sorted(ours - named)]
    findings += [f"docs/operations.md: there is no alert {name}" for name in sorted(named - ours)]
    return findings


def promtool(root):
    """What promtool says against the files."""
    folder, findings = os.path.join(root, "deploy/prometheus"), []
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True,
                              check=False, timeout=60)
        if done.returncode != 0:
            findings.append(f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return findings


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    ROOT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../..")
    FOUND = check(ROOT)
    if not FOUND and shutil.which("promtool") is None:
        print("alerts: promtool is not installed")
        sys.exit(77)
    FOUND += promtool(ROOT) if not FOUND else []
    print("\n".join(FOUND) or "alerts: no findings")
    sys.exit(1 if FOUND else 0)
