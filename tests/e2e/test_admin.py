#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seen from outside: /metrics, /healthz, /readyz, /status."""
import json
import os
import re
import shutil
import socket
import subprocess
import unittest

from weirtest import case, points
from weirtest.case import WeirCase


def families():
    """Every family's name and labels, from the comments of the metrics contract."""
    path = os.path.join(case.ROOT, "include", "weir", "metrics.h")
    with open(path, encoding="utf-8") as file:
        found = re.findall(r"WEIR_M_\w+, +/\* (\w+)(?:\{([\w,]+)\})?", file.read())
    return {name: set(labels.split(",")) - {""} for name, labels in found}


class Admin(WeirCase):
    """The admin listener of a program that has done some work."""

    def setUp(self):
        super().setUp()
        self.backend = self.receiver()
        self.running = self.weir(self.backend)
        self.sent = points.series(30)
        self.deliver(self.running, [points.as_json(self.sent)])
        self.assert_arrived(self.backend, self.sent)
        with self.client(self.running, key="wrong") as client:
            client.post(b"x")

    def test_metrics_form(self):
        status, headers, text = self.running.admin("/metrics")
        self.assertEqual(status, 200)
        kind = {name.lower(): value for name, value in headers.items()}["content-type"]
        self.assertTrue(kind.startswith("text/plain"))
        self.assertTrue(text.endswith("\n"))

    @unittest.skipIf(shutil.which("promtool") is None, "no promtool (package prometheus)")
    def test_promtool_is_content(self):
        text = self.running.admin("/metrics")[2]
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_families_and_labels_are_the_contracts(self):
        contract = families()
        self.assertGreater(len(contract), 30)
        for (name, pairs), _ in self.running.metrics().items():
            family = name if name in contract else re.sub("_(bucket|sum|count)$", "", name)
            self.assertIn(family, contract)
            self.assertEqual({label for label, _ in pairs} - {"le"}, contract[family], name)

    def test_values(self):
        running = self.running
        self.assertEqual(running.metric("weir_requests_total", code="200"), 1)
        self.assertEqual(running.metric("weir_requests_total", code="401"), 1)
        self.assertEqual(running.metric("weir_records_total", format="json"), 1)
        self.assertEqual(running.metric("weir_points_received_total"), 30)
        self.assertEqual(running.metric("weir_points_received_total", namespace="AWS/EC2"),
                         len([p for p in self.sent if p.namespace == "AWS/EC2"]))
        self.assertEqual(running.metric("weir_account_points_total", account="123456789012",
                                        region="eu-west-1"), 30)
        self.assertEqual(running.metric("weir_access_key_requests_total", key="test"), 1)
        self.assertTrue(running.wait_metric(lambda: running.metric(
            "weir_export_points_total", destination="backend") == 30))
        self.assertGreater(running.metric("process_resident_memory_bytes"), 1 << 20)
        self.assertEqual(running.metric("weir_build_info"), 1)
        self.assertGreater(running.metric("weir_memory_limit_bytes"), 0)
        self.assertEqual(running.metric("weir_request_duration_seconds_count"), 2)

    def test_health_and_readiness(self):
        self.assertEqual(self.running.admin("/healthz")[0], 200)
        self.assertEqual(self.running.admin("/readyz")[0], 200)

    def test_status(self):
        status, _, text = self.running.admin("/status")
        self.assertEqual(status, 200)
        self.assertIn("backend", json.dumps(json.loads(text)))
        self.assertNotIn("test-key", text)

    def test_nothing_else(self):
        self.assertEqual(self.running.admin("/nothing")[0], 404)
        self.assertEqual(self.running.admin("/config")[0], 404)

    def test_no_http2(self):
        port = self.running.ports["admin"]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            answer = raw.recv(100)
        self.assertFalse(answer.startswith(b"\0\0"), "an HTTP/2 frame came back")

    def test_log_lines_are_json_with_ids(self):
        with self.client(self.running) as client:
            client.post(b"x", request_id="find-me\x01\"")
            client.close()
        with self.client(self.running) as client:
            client.post(b"no json", request_id="find-me")
        self.assertEqual(self.running.stop(), 0)
        lines = [json.loads(line) for line in self.running.log]
        self.assertTrue(all({"time", "level", "event"} <= set(line) for line in lines))
        found = [line for line in lines if line.get("request_id") == "find-me"]
        self.assertTrue(found)
        self.assertTrue(any("weir-test" in json.dumps(line) for line in found), "no stream named")


class Health(WeirCase):
    """Readiness depends on ourselves, never on destinations."""

    def test_a_dead_destination_is_no_reason(self):
        weir = self.weir("http://127.0.0.1:9", drain={"deadline": "1s"})
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assertEqual(weir.admin("/readyz")[0], 200)
        self.assertEqual(weir.admin("/healthz")[0], 200)
        weir.kill()
        weir.process.returncode = 0  # the drain of a dead destination is test_stop's matter


if __name__ == "__main__":
    case.main()
