#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tokens: fetched, refreshed, revoked, refused, missing; from a file. Each point arrives once, and
no secret is in the log."""
import os
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.receiver import Answer
from weirtest.tokens import ID, SECRET, TokenServer


class Tokens(WeirCase):
    """One destination behind a token server."""

    def setUp(self):
        super().setUp()
        self.secret = os.path.join(self.folder, "secret")
        self.write(self.secret, SECRET + "\n")

    def write(self, path, text):
        """Puts a file in its place at once."""
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def scene(self, rule=None, style=None, **oauth2):
        """(token server, backend that takes its tokens, weir)."""
        tokens = TokenServer(rule, style)
        self.addCleanup(tokens.stop)
        receiver = self.receiver(lambda batch: None if tokens.takes(batch) else Answer(401))
        weir = self.weir(receiver, destinations=[{
            "name": "backend", "endpoint": "",
            "oauth2": {"token_url": tokens.url, "client_id": ID,
                       "client_secret_file": self.secret} | oauth2}])
        return tokens, receiver, weir

    def send(self, weir, first, count=10):
        """Points from `first` on, in one request."""
        sent = points.series(count, first)
        self.deliver(weir, [points.as_json(sent)])
        return sent

    def blocked(self, weir):
        """Whether the lack of a token blocks the backend, by the metric."""
        return weir.metric("weir_destination_blocked", destination="backend", reason="token") == 1

    def end(self, weir):
        """Stops it; neither secret nor token was told."""
        self.assertEqual(weir.stop(), 0)
        for secret in (SECRET, "s3cret", "Bearer", "client_secret="):
            self.assertNotIn(secret, weir.log_text())

    def test_a_token_with_each_request(self):
        tokens, receiver, weir = self.scene(params={"audience": "b14 collector"},
                                            scopes=["metrics.write", "b"])
        sent = self.send(weir, 0) + self.send(weir, 10)
        self.assert_arrived(receiver, sent)
        self.assertEqual([r.style for r in tokens.requests], ["basic"])
        form = tokens.requests[0].form
        self.assertEqual((form["audience"], form["scope"]), ("b14 collector", "metrics.write b"))
        self.assertNotIn("client_secret", form)
        self.assertEqual({b.headers["Authorization"] for b in receiver.batches}, {"Bearer T1"})
        self.assertEqual(weir.metric("weir_oauth_requests_total", outcome="token"), 1)
        self.end(weir)

    def test_the_body_where_basic_is_refused(self):
        tokens, receiver, weir = self.scene(style="body")
        self.assert_arrived(receiver, self.send(weir, 0))
        self.assertEqual([r.style for r in tokens.requests], ["basic", "body"])
        self.end(weir)

    def test_a_revoked_token_is_replaced_at_once(self):
        tokens, receiver, weir = self.scene()
        sent = self.send(weir, 0)
        self.assert_arrived(receiver, sent)
        tokens.revoked.add("T1")
        sent += self.send(weir, 10)
        self.assert_arrived(receiver, sent)
        self.assertEqual(tokens.issued, 2)
        self.assertEqual(weir.events("destination blocked"), [])
        self.end(weir)

    def test_short_lives_are_renewed_in_time(self):
        def rule(request):
            life = str(1 + request.number)
            return 200, {"access_token": f"T{request.number}", "expires_in": life}
        tokens, receiver, weir = self.scene(rule)
        sent = []
        for round_ in range(10):
            sent += self.send(weir, 10 * round_)
            time.sleep(0.5)
        self.assert_arrived(receiver, sent)
        self.assertGreaterEqual(len(tokens.requests), 3)
        self.assertLessEqual(len(tokens.requests), 8)
        self.assertEqual(weir.events("destination blocked"), [])
        self.end(weir)

    def test_without_a_token_everything_waits(self):
        """A wrong secret, longer than the retry window; then the file is mended."""
        self.write(self.secret, "wrong")
        tokens, receiver, weir = self.scene()
        sent = self.send(weir, 0)
        self.assertTrue(weir.wait_metric(lambda: self.blocked(weir)))
        self.assertEqual(receiver.batches, [])
        self.assertIn("invalid_client", weir.events("token trouble")[0]["message"])
        self.write(self.secret, SECRET)
        self.assert_arrived(receiver, sent)
        self.assertTrue(weir.wait_metric(lambda: not self.blocked(weir)))
        self.assertEqual(weir.events("batch given up"), [])
        self.assertGreater(len(tokens.requests), 2)
        self.end(weir)

    def test_answers_that_are_none(self):
        answers = [(200, "<html>"), (200, {"error": "server_error"}), (503, ""), (200, {}),
                   (200, {"access_token": "a\r\nX-Evil: 1"}), (302, "")]
        tokens, receiver, weir = self.scene(
            lambda r: answers[r.number - 1] if r.number <= 3 else None, expiry_buffer="1s")
        self.assert_arrived(receiver, self.send(weir, 0))
        tokens.rule = lambda r: answers[3 + r.number % 3]
        tokens.revoked.add("T1")
        sent = self.send(weir, 10)
        self.assertTrue(weir.wait_metric(lambda: self.blocked(weir)))
        self.assertEqual(receiver.accepted_count(), 10)
        tokens.rule = lambda r: None
        self.assertTrue(receiver.wait_count(10 + len(sent)))
        self.end(weir)

    def test_a_token_that_nobody_takes(self):
        tokens, receiver, weir = self.scene(lambda r: (200, {"access_token": "other"}))
        sent = self.send(weir, 0)
        self.assertTrue(weir.wait_metric(lambda: weir.events("destination blocked")))
        time.sleep(2)
        self.assertLessEqual(len(tokens.requests), 5, "no storm at the token server")
        tokens.rule = lambda r: None
        self.assert_arrived(receiver, sent)
        self.end(weir)

    def test_a_token_from_a_file(self):
        path = os.path.join(self.folder, "token")
        good = ["Bearer F1"]
        receiver = self.receiver(
            lambda b: None if b.headers.get("Authorization") == good[0] else Answer(401))
        weir = self.weir(receiver, destinations=[{
            "name": "backend", "endpoint": "", "auth": {"bearer_file": path}}])
        sent = self.send(weir, 0)
        self.assertTrue(weir.wait_metric(lambda: self.blocked(weir)))
        self.write(path, "F1\n")
        self.assert_arrived(receiver, sent)
        good[0] = "Bearer F2"
        self.write(path, "F2\n")
        sent += self.send(weir, 10)
        self.assert_arrived(receiver, sent)
        self.end(weir)

    def test_check_fetches_a_token(self):
        tokens = TokenServer(style="body")
        self.addCleanup(tokens.stop)
        receiver = self.receiver(lambda batch: None if tokens.takes(batch) else Answer(401))
        config = os.path.join(self.folder, "check.yaml")
        text = (f"ingest: {{access_keys: none}}\nspool: {{durability: memory}}\ndestinations:\n"
                f"- name: b\n  endpoint: {receiver.url}\n  oauth2:\n    token_url: {tokens.url}\n"
                f"    client_id: {ID}\n    client_secret_file: {self.secret}\n")
        self.write(config, text)
        code, out, err = self.run_weir("check", "--connect", "-c", config)
        self.assertEqual(code, 0, err)
        self.assertIn("token_url", out)
        self.assertNotIn("s3cret", out + err)
        self.write(self.secret, "wrong")
        code, out, err = self.run_weir("check", "--connect", "-c", config)
        self.assertEqual(code, 1, err)
        self.assertIn("no token: the token server answered 401: invalid_client", err)


if __name__ == "__main__":
    case.main()
