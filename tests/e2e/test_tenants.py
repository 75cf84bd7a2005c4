#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One Weir, many tenants: requests name their endpoint in their common attributes, and get there if
they may, each with its own token, none in the way of another; what may not goes to the dead
letter, and no connection is made for it."""
import json
import os
import signal
import socket
import threading
import time

from weirtest import case, points, program
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer

TEAMS = ("team-a", "team-b", "team-c")


def key_of(team):
    """The access key that a team's delivery stream has."""
    return f"the-key-of-{team}"


def header(url, **more):
    """The common attributes as Firehose sends them."""
    return json.dumps({"commonAttributes": {"dt-url": url} | more})


class Tenants(DurableCase):
    """A template, beside a destination that gets everything."""

    def setUp(self):
        super().setUp()
        self.count, self.sent = 0, []
        self.all = self.receiver()
        self.tokens = os.path.join(self.folder, "tokens")
        os.mkdir(self.tokens)
        for team in TEAMS:
            self.write_token(team, f"token-of-{team}\n")

    def write_token(self, team, token):
        """As a secret manager would: a new file takes the place of the old one."""
        path = os.path.join(self.tokens, team)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(token)
        os.rename(path + ".new", path)

    def config(self, hosts, change=None, **tenants):
        """The configuration with these hosts."""
        template = {
            "name": "dt", "endpoint": "${attribute:dt-url}/api/v2/otlp",
            "headers": {"Authorization": f"Api-Token ${{file:{self.tokens}/${{key:name}}}}"},
            "tls": {"verify": "${attribute:require-valid-certificate}"},
            "tenants": {"max": 4, "hosts": hosts} | tenants}
        keys = [{"name": team, "value": key_of(team)} for team in TEAMS]
        return program.merged(
            {"ingest": {"access_keys": keys},
             "destinations": [template, {"name": "all", "endpoint": self.all.url}]}, change or {})

    def start(self, hosts, change=None, **tenants):
        """The program with a spool on disk."""
        return self.durable("", **self.config(hosts, change, **tenants))

    def reload(self, weir, hosts, **tenants):
        """Another configuration, and SIGHUP."""
        taken = len(weir.events("configuration reloaded"))
        program.write_configuration(
            os.path.join(self.folder, "weir.yaml"),
            program.configuration("", **self.settings(self.config(hosts, **tenants))))
        weir.process.send_signal(signal.SIGHUP)
        self.assertTrue(weir.wait_metric(
            lambda: len(weir.events("configuration reloaded")) > taken), weir.log_text()[-2000:])

    def post(self, weir, team, attributes, more):
        """One request; its status."""
        with Firehose(weir.port, key=key_of(team)) as client:
            return client.post(envelope([points.as_otlp10(more)]),
                               x_amz_firehose_common_attributes=attributes)

    def make(self):
        """Points that were not sent before."""
        self.count += 5
        return points.series(5, self.count)

    def send(self, weir, team, url, **more):
        """A request that is sent again, as Firehose does, until it is taken; its points."""
        made = self.make()
        deadline = time.monotonic() + 30
        while (answer := self.post(weir, team, header(url, **more), made)).status == 503:
            self.assertIn(b"the way to this endpoint is made", answer.body)
            self.assertLess(time.monotonic(), deadline, weir.log_text()[-3000:])
            time.sleep(0.1)
        self.assertEqual(answer.status, 200, answer.body)
        self.sent += made
        return made

    def wait_letters(self, count, seconds=30):
        """The dead letter's lines, when there are so many."""
        deadline = time.monotonic() + seconds
        while len(self.letters()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        found = self.letters()
        self.assertEqual(len(found), count, found)
        return found

    def listed(self, *receivers):
        """Entries of `hosts` for backends on this machine."""
        return [receiver.url for receiver in receivers]

    def test_a_forbidden_host_gets_no_connection(self):
        """In every spelling; the request is good for the others."""
        silent = socket.create_server(("127.0.0.1", 0))
        silent.settimeout(0)
        port = silent.getsockname()[1]
        good = self.receiver()
        weir = self.start([good.url, "*.live.example.com", f"*.t.localhost:{port}"])
        hosts = ["127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0X7F.0.0.1",
                 "017700000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost",
                 "LOCALHOST", "localhost.", "%6cocalhost", "user@localhost", "a:b@127.0.0.1",
                 "live.example.com@127.0.0.1", "127.0.0.1\\@a.live.example.com",
                 "127.0.0.1#a.live.example.com", "127.0.0.1?a.live.example.com",
                 "a.b.t.localhost", "xn--localhost-", "\u2488.t.localhost", "127\u3002\u0030.0.1"]
        urls = [f"{scheme}://{host}:{port}" for host in hosts for scheme in ("https", "http")]
        urls += ["", "localhost", "file:///etc/passwd", f"{good.url}/../x", f"{good.url}/a?b"]
        for url in urls:
            self.send(weir, "team-a", url)
        with Firehose(weir.port, key=key_of("team-a")) as client:
            self.assertEqual(client.post(envelope([points.as_otlp10(self.make())])).status, 200)
        self.sent += points.series(5, self.count)
        urls.append("")
        self.assert_arrived(self.all, self.sent)
        letters = self.wait_letters(len(urls))
        self.assertEqual({(one["weir"]["destination"], one["weir"]["reason"]) for one in letters},
                         {("dt", "tenant_forbidden")})
        self.assertEqual(weir.metric("weir_tenant_denied_requests_total", destination="dt",
                                     reason="tenant_forbidden"), len(urls))
        # a star's host that leads to this machine is tried, and refused before it is connected
        made = self.send(weir, "team-a", f"https://evil.t.localhost:{port}")
        self.assertTrue(weir.wait_metric(lambda: any(
            d.get("reason") == "private_address"
            for d in json.loads(weir.admin("/status")[2])["destinations"])),
                        weir.admin("/status")[2] + weir.log_text()[-2000:])
        self.assertEqual(len(made), 5)
        self.assertRaises(BlockingIOError, silent.accept)
        self.assertEqual(good.batches, [])
        self.assertTrue(weir.events("tenant denied")[0]["key"], "team-a")
        silent.close()

    def test_one_down_one_slow(self):
        """The third gets everything, with its own token, while nobody gets another's."""
        down = self.receiver(lambda _: Answer(503))
        slow = self.receiver(lambda _: Answer(delay=2))
        good = self.receiver()
        ways = dict(zip(TEAMS, (down, slow, good)))
        weir = self.start(self.listed(*ways.values()))
        mine = {team: [] for team in TEAMS}
        for _ in range(6):
            for team, receiver in ways.items():
                mine[team] += self.send(weir, team, receiver.url)
        self.assert_arrived(good, mine["team-c"], 15)
        self.assert_arrived(self.all, self.sent)
        self.assert_arrived(slow, mine["team-b"])
        for team, receiver in ways.items():
            self.assertEqual({b.headers["Authorization"] for b in receiver.batches},
                             {f"Api-Token token-of-{team}"})
            self.assertEqual({b.path for b in receiver.batches}, {"/api/v2/otlp/v1/metrics"})
        self.assertEqual(weir.metric("weir_tenants", destination="dt", state="open"), 3)
        self.assertEqual(weir.metric("weir_tenant_info", key="team-c",
                                     host=f"127.0.0.1:{good.port}"), 1)
        down.rule = lambda _: None
        self.assert_arrived_at_last(down, mine["team-a"])

    def assert_arrived_at_last(self, receiver, sent):
        """What it accepted is exactly this; refused batches before do not count."""
        self.assert_arrived(receiver, sent, 60)

    def test_one_too_many(self):
        """It goes to the dead letter, and is taken when another has been idle."""
        one, two = self.receiver(), self.receiver()
        weir = self.start(self.listed(one, two), max=1, idle="4s")
        mine = self.send(weir, "team-a", one.url)
        refused = self.send(weir, "team-b", two.url)
        self.assertEqual([letter["weir"]["reason"] for letter in self.wait_letters(1)],
                         ["tenant_limit"])
        self.assert_arrived(one, mine)
        self.assertTrue(weir.wait_metric(lambda: weir.events("tenant closed"), 40))
        mine = self.send(weir, "team-b", two.url)
        self.assert_arrived(two, mine)
        self.assertEqual(len(refused), 5)
        self.assertEqual(len(self.letters()), 1)

    def test_killed_with_backlog(self):
        """Each tenant gets what it was owed, once; names and tokens come from the records."""
        up = threading.Event()
        ways = {team: self.receiver(lambda _: None if up.is_set() else Answer(503))
                for team in TEAMS}
        hosts = self.listed(*ways.values())
        weir = self.start(hosts)
        mine = {team: [] for team in TEAMS}
        for _ in range(4):
            for team, receiver in ways.items():
                mine[team] += self.send(weir, team, receiver.url)
        self.assert_arrived(self.all, self.sent)
        self.killed(weir)
        for receiver in ways.values():
            receiver.quiet()
        up.set()
        weir = self.start(hosts)
        for team, receiver in ways.items():
            self.assert_each_once(receiver, mine[team])
            self.assertEqual({b.headers["Authorization"] for b in receiver.batches},
                             {f"Api-Token token-of-{team}"})
        self.assertEqual(self.letters(), [])
        self.assertEqual(weir.metric("weir_tenants", destination="dt", state="open"), 3)

    def test_reload(self):
        """A host that is not allowed any more: what waits for it goes to the dead letter. Another
        goes on; its new token is taken by itself."""
        stays, leaves = self.receiver(), self.receiver(lambda _: Answer(503))
        weir = self.start(self.listed(stays, leaves))
        mine = self.send(weir, "team-a", stays.url)
        self.send(weir, "team-b", leaves.url)
        self.reload(weir, self.listed(stays))
        letters = self.wait_letters(1)
        self.assertEqual((letters[0]["weir"]["destination"], letters[0]["weir"]["reason"]),
                         ("dt", "tenant_forbidden"))
        seen = len(leaves.batches)
        self.write_token("team-a", "another")
        deadline = time.monotonic() + 40
        while "Api-Token another" not in {b.headers["Authorization"] for b in stays.batches}:
            self.assertLess(time.monotonic(), deadline)
            mine += self.send(weir, "team-a", stays.url)
            time.sleep(0.5)
        self.send(weir, "team-b", leaves.url)
        self.assertEqual([letter["weir"]["reason"] for letter in self.wait_letters(2)],
                         ["tenant_forbidden"] * 2)
        self.assert_arrived(stays, mine)
        self.assertEqual(len(leaves.batches), seen)

    def test_no_token_yet(self):
        """Its data waits, and goes when the file is there."""
        one = self.receiver()
        os.remove(os.path.join(self.tokens, "team-a"))
        weir = self.start(self.listed(one))
        mine = self.send(weir, "team-a", one.url)
        self.assertEqual(weir.metric("weir_tenants", destination="dt", state="held"), 1)
        self.write_token("team-a", "late")
        self.assert_arrived(one, mine)
        self.assertEqual(one.batches[0].headers["Authorization"], "Api-Token late")

    def test_without_a_disk(self):
        """The same promises for as long as the process lives."""
        one = self.receiver()
        folder = os.path.join(self.folder, "spool", "dead-letter")
        os.makedirs(folder)
        weir = self.weir("", **self.config(self.listed(one), {
            "dead_letter": {"directory": folder}}))
        mine = self.send(weir, "team-a", one.url)
        self.send(weir, "team-a", "https://evil.example.com")
        self.assert_arrived(one, mine)
        self.assert_arrived(self.all, self.sent)
        letters = self.wait_letters(1)
        self.assertEqual((letters[0]["weir"]["destination"], letters[0]["weir"]["reason"]),
                         ("dt", "tenant_forbidden"))


if __name__ == "__main__":
    case.main()
