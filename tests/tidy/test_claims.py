#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""claims.py and alerts.py find what they are for, each in a small tree that has it."""
import os
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alerts  # noqa: E402
import claims  # noqa: E402

METRICS = "| `weir_x_total` | reason | what |\n| `weir_y_bytes` | | what |\n"
RULE = """groups:
  - name: weir
    rules:
      - alert: WeirX
        expr: {expr}
        annotations:
          summary: "{shown}"
"""


class Tree(unittest.TestCase):
    """A temporary tree."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="weir-claims-")
        self.addCleanup(shutil.rmtree, self.root)
        self.put("src/net/loop.c", "h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;\n")

    def put(self, path, text):
        """Writes a file."""
        whole = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as file:
            file.write(text)


class Claims(Tree):
    """Names of tests, and words that must not be."""

    def names(self, page):
        """The findings of a page."""
        self.put(claims.PAGE, page)
        return claims.check_names(self.root)[0]

    def test_names(self):
        self.put("tests/unit/x/test_a.c", "static void test_one(void **state)")
        self.put("tests/e2e/test_b.py", "class Two:\n    def test_two(self):\n")
        good = "`unit/x/test_a.c: test_one`, `e2e/test_b.py: Two.test_two`, `e2e/test_b.py`"
        self.assertEqual(self.names(good), [])
        for page in ("`unit/x/test_a.c: test_on`", "`unit/x/test_c.c`",
                     "`e2e/test_b.py: One.test_two`", "`fuzz/x/fuzz_a.c`"):
            self.assertEqual(len(self.names(page)), 1, page)

    def test_words(self):
        self.assertEqual(claims.check_never(self.root), [])
        for word in ("pb_release(x)", "h2o_proxy_register(x)", "TCP_FASTOPEN",
                     "SSL_CTX_set_max_early_data(context, 100)", "h2o_timeout_link(x)"):
            self.put("src/x/a.c", f"/* {word} */ int x; {word};\n")
            self.assertEqual(len(claims.check_never(self.root)), 1, word)
        self.put("src/x/a.c", "SSL_CTX_set_max_early_data(context, 0); /* TCP_FASTOPEN */\n")
        self.assertEqual(claims.check_never(self.root), [])
        self.put("src/net/loop.c", "")
        self.assertEqual(len(claims.check_never(self.root)), 1)


class Alerts(Tree):
    """Metrics, labels and rows of alerts."""

    def findings(self, expr, shown="x", row="| `WeirX` page | x | x | x |\n"):
        """Of one rule."""
        self.put("docs/metrics.md", METRICS)
        self.put("docs/operations.md", row)
        self.put("deploy/prometheus/alerts.yml", RULE.format(expr=expr, shown=shown))
        return alerts.check(self.root)

    def test_sound(self):
        for expr in ('sum by (reason) (rate(weir_x_total{reason="a"}[5m])) > 0',
                     "weir_y_bytes / weir_y_bytes > 0.8", 'up{job="weir"} == 0'):
            self.assertEqual(self.findings(expr), [], expr)
        self.assertEqual(self.findings("weir_x_total > 0", "{{ $labels.reason }}"), [])

    def test_unsound(self):
        for expr in ("weir_z_total > 0", 'weir_x_total{code="1"} > 0', "vector(1)",
                     "sum by (code) (weir_x_total) > 0"):
            self.assertEqual(len(self.findings(expr)), 1, expr)
        self.assertEqual(len(self.findings("weir_y_bytes > 0", "{{ $labels.reason }}")), 1)
        self.assertEqual(len(self.findings("weir_y_bytes > 0", row="")), 1)
        self.assertEqual(len(self.findings("weir_y_bytes > 0",
                                           row="| `WeirX` |\n| `WeirY` |\n")), 1)


if __name__ == "__main__":
    unittest.main()
