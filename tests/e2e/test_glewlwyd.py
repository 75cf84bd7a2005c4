#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OAuth2 against a server that we did not write; skipped where there is no glewlwyd."""
import os
import time
import unittest

from weirtest import case, glewlwyd, points
from weirtest.case import WeirCase
from weirtest.receiver import Answer


@unittest.skipUnless(glewlwyd.available(), "no glewlwyd (see tests/e2e/unpack_glewlwyd.sh)")
class RealServer(WeirCase):
    """The backend checks signature, scope and end of each token itself."""

    def scene(self, secret, life, ours=None):
        """(backend, weir) with a client of this secret; `ours` is what Weir believes it to be."""
        server = glewlwyd.Glewlwyd(self.folder, secret, life)
        self.addCleanup(server.stop)
        path = os.path.join(self.folder, "secret")
        with open(path, "w", encoding="utf-8") as file:
            file.write(ours or secret)
        receiver = self.receiver(
            lambda b: None if glewlwyd.is_good(b.headers.get("Authorization", "")) else Answer(401))
        weir = self.weir(receiver, destinations=[{
            "name": "backend", "endpoint": "",
            "oauth2": {"token_url": server.url, "client_id": "weir", "scopes": "metrics",
                       "client_secret_file": path}}])
        return receiver, weir

    def test_tokens_of_three_seconds(self):
        receiver, weir = self.scene("s3cret", 3)
        sent = []
        for round_ in range(16):
            more = points.series(5, 5 * round_)
            self.deliver(weir, [points.as_json(more)])
            sent += more
            time.sleep(0.5)
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        used = {b.headers["Authorization"] for b in receiver.batches}
        self.assertGreaterEqual(len(used), 3)
        self.assertLessEqual(len(used), 9)
        self.assertEqual([b for b in receiver.batches if b.answer.status != 200], [])
        self.assertEqual(weir.events("destination blocked"), [])
        self.assertNotIn("s3cret", weir.log_text())

    def test_a_secret_that_escaping_changes(self):
        """This server takes Basic as it is, and none in the body."""
        receiver, weir = self.scene("s3 cr&t%/+", 60)
        sent = points.series(10)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)
        self.assertEqual(weir.metric("weir_oauth_requests_total", outcome="refused"), 2)
        self.assertEqual(weir.metric("weir_oauth_requests_total", outcome="token"), 1)

    def test_a_wrong_secret(self):
        receiver, weir = self.scene("s3cret", 60, ours="wr0ng")
        sent = points.series(3)
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(weir.wait_metric(lambda: weir.metric(
            "weir_destination_blocked", destination="backend", reason="token") == 1))
        self.assertEqual(receiver.batches, [])
        self.assertIn("the token server answered 403", weir.log_text())
        self.assertNotIn("wr0ng", weir.log_text())
        with open(os.path.join(self.folder, "secret"), "w", encoding="utf-8") as file:
            file.write("s3cret\n")
        self.assert_arrived(receiver, sent)


if __name__ == "__main__":
    case.main()
