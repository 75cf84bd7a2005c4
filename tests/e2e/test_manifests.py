#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""deploy/kubernetes and deploy/grafana, as far as that is possible without either: the manifest is
YAML whose parts fit together and whose weir.yaml passes `weir check`; the dashboard's metrics and
labels are those of docs/metrics.md."""
import json
import os
import re
import sys
import textwrap
import unittest

from weirtest import case
from weirtest.case import ROOT, WeirCase

sys.path.insert(0, os.path.join(ROOT, "tests", "tidy"))
import alerts  # noqa: E402  pylint: disable=wrong-import-position
import docs  # noqa: E402  pylint: disable=wrong-import-position

try:
    import yaml
except ImportError:
    yaml = None


def text(*path):
    """A file of the tree."""
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def seconds(duration):
    """A duration of whole seconds."""
    return int(re.fullmatch(r"(\d+)s", duration).group(1))


class Kubernetes(WeirCase):
    """deploy/kubernetes/weir.yaml."""

    def test_its_configuration_passes(self):
        manifest = text("deploy/kubernetes/weir.yaml")
        found = re.search(r"^  weir\.yaml: \|\n((?:    .*\n)+)", manifest, re.M)
        config = textwrap.dedent(found.group(1))
        key = os.path.join(self.folder, "firehose")
        with open(key, "w", encoding="ascii") as file:
            file.write("a-key-of-some-length\n")
        os.chmod(key, 0o600)
        for old, new in (("/etc/weir/keys/firehose", key), ("/var/lib/weir", self.folder)):
            self.assertEqual(config.count(old), 1, old)
            config = config.replace(old, new)
        path = os.path.join(self.folder, "weir.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        code, out, errors = self.run_weir("check", "-c", path)
        self.assertEqual(code, 0, out + errors)
        bad = config.replace("deadline", "deadlin")
        with open(path, "w", encoding="utf-8") as file:
            file.write(bad)
        self.assertNotEqual(self.run_weir("check", "-c", path)[0], 0)

    @unittest.skipIf(yaml is None, "needs python3-yaml")
    def test_its_parts_fit_together(self):
        parts = {(part["kind"], part["metadata"]["name"]): part
                 for part in yaml.safe_load_all(text("deploy/kubernetes/weir.yaml"))}
        config = yaml.safe_load(parts["ConfigMap", "weir"]["data"]["weir.yaml"])
        stateful = parts["StatefulSet", "weir"]["spec"]
        pod, labels = stateful["template"]["spec"], stateful["template"]["metadata"]["labels"]
        container = pod["containers"][0]
        self.assertIn(("Service", stateful["serviceName"]), parts)
        self.assertEqual(stateful["selector"]["matchLabels"], labels)
        for name in ("weir", "weir-ingest"):
            self.assertEqual(parts["Service", name]["spec"]["selector"], labels)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertEqual(config["ingest"]["listen"], [f"0.0.0.0:{ports['ingest']}"])
        self.assertEqual(config["admin"]["listen"], [f"0.0.0.0:{ports['admin']}"])
        drain = sum(seconds(length) for length in config["drain"].values())
        self.assertGreater(pod["terminationGracePeriodSeconds"], drain)
        probe = container["readinessProbe"]
        self.assertLess(probe["periodSeconds"] * probe["failureThreshold"],
                        seconds(config["drain"]["grace"]), "noticed within the grace")
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.assertIn(mounts["config"], container["args"][2])
        self.assertTrue(config["ingest"]["access_keys"][0]["file"].startswith(mounts["keys"]))
        self.assertTrue(config["spool"]["directory"].startswith(mounts["spool"] + "/"))
        self.assertEqual({v["name"] for v in pod["volumes"]} | {"spool"}, set(mounts))
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])


class Grafana(unittest.TestCase):
    """deploy/grafana/weir.json."""

    def test_metrics_and_labels_are_there(self):
        board = json.loads(text("deploy/grafana/weir.json"))
        told = docs.rows(text("docs/metrics.md"))
        targets = [target for panel in board["panels"] for target in panel["targets"]]
        self.assertGreater(len(targets), 10)
        for target in targets:
            expr = target["expr"]
            metrics = [name for name, _ in alerts.METRIC.findall(expr)]
            self.assertEqual(len(metrics), 1, expr)
            self.assertIn(metrics[0], told, expr)
            labels = set(re.findall(r"(\w+)=", expr)) | set(re.findall(r"{{(\w+)}}",
                                                                       target["legendFormat"]))
            for group in alerts.BY.findall(expr):
                labels |= {label.strip() for label in group.split(",")}
            self.assertLessEqual(labels, set(told[metrics[0]]) | alerts.THEIRS, expr)

    def test_panels_do_not_overlap(self):
        board = json.loads(text("deploy/grafana/weir.json"))
        places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]}
        self.assertEqual(len(places), len(board["panels"]))
        self.assertEqual(len({p["id"] for p in board["panels"]}), len(board["panels"]))


if __name__ == "__main__":
    case.main()
