#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three Weirs behind HAProxy, as deploy/haproxy/weir.cfg has it, between weir-load and weir-sink:
they are restarted in turn, their keys rotate, one is killed, and every point arrives exactly once.

Each Weir has a loopback address and a spool of its own, and its port for life: what is started
again is where it was. HAProxy's log says what it thinks of each, so nothing here waits for a time.
"""
import contextlib
import os
import signal
import unittest

from weirtest import balancers, case, load, program, relay
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope

READY = balancers.program("haproxy") is not None and all(
    load.path(name) is not None for name in ("weir-load", "weir-sink"))
COUNT = 3
OLD, NEW = {"name": "old", "value": "one"}, {"name": "new", "value": "two"}


class Member:
    """One of the fleet: its folder, its address, and its present life."""

    def __init__(self, test, number, change):
        self.test, self.name = test, f"weir-{number}"
        self.folder = os.path.join(test.folder, self.name)
        self.address = f"127.0.0.{10 + number}"
        self.change = program.merged(change, {"ingest": {"listen": [f"{self.address}:0"]}})
        os.mkdir(self.folder)
        self.start()
        self.address = f"{self.address}:{self.weir.port}"
        self.change["ingest"]["listen"] = [self.address]

    @contextlib.contextmanager
    def inside(self):
        """The test's folder is this one for a while."""
        home, self.test.folder = self.test.folder, self.folder
        try:
            yield
        finally:
            self.test.folder = home

    def start(self):
        """A life over what the last one left."""
        with self.inside():
            self.weir = self.test.durable(self.test.sink.url, **self.change)

    def accepted(self):
        """Requests answered 200 in this life."""
        return self.weir.metric("weir_requests_total", code="200")

    def reload(self, keys):
        """These access keys from now on."""
        self.change["ingest"]["access_keys"] = keys
        with self.inside():
            settings = self.test.settings(self.change)
        config = program.configuration(self.test.sink.url, **settings)
        path = program.write_configuration(os.path.join(self.folder, "weir.yaml.new"), config)
        os.replace(path, os.path.join(self.folder, "weir.yaml"))
        before = len(self.weir.events("configuration reloaded"))
        self.weir.process.send_signal(signal.SIGHUP)
        self.test.wait(lambda: len(self.weir.events("configuration reloaded")) > before,
                       lambda: self.weir.log_text()[-3000:])


@unittest.skipUnless(READY, "needs haproxy, and WEIR_LOAD_BIN and WEIR_SINK_BIN")
class Fleet(DurableCase):
    """A fleet, its balancer, the load on it, and the verdict."""

    def begin(self, wired=False, **change):
        """Three instances, HAProxy before them, one sink behind; with `wired`, wires between
        HAProxy and each that can be cut."""
        self.sink = load.Sink()
        self.addCleanup(self.end_sink)
        change = program.merged({"drain": {"grace": "700ms"}}, change)
        self.members = [Member(self, n + 1, change) for n in range(COUNT)]
        addresses = [member.address for member in self.members]
        if wired:
            self.wires = [relay.Relay((host, int(port))) for host, port in
                          (address.split(":") for address in addresses)]
            for wire in self.wires:
                self.addCleanup(wire.cut)
            addresses = ["%s:%u" % wire.address for wire in self.wires]
        self.front = balancers.Haproxy(self.folder, addresses)
        self.addCleanup(self.front.stop)

    def end_sink(self):
        """A sanitizer's report fails the test."""
        code, errors = self.sink.stop()
        self.assertEqual(code, 0, errors)

    def wait(self, condition, why, seconds=30):
        """Until that is so; else the test fails and says why."""
        if not self.members[0].weir.wait_metric(condition, seconds):
            self.fail(why())

    def load(self, key=program.KEY, rate=60):
        """A load that goes on until its verdict, once every instance has some of it."""
        before = [m.accepted() for m in self.members]
        running = load.Running(
            "--sink", self.sink.url, "--mode", "rate", "--rate", str(rate), "--points", "20",
            "--series", "600", "--format", "mixed", "--connections", "48", "--settle", "1500ms",
            f"http://127.0.0.1:{self.front.port}/", WEIR_ACCESS_KEY=key)
        self.addCleanup(running.kill)
        for member, was in zip(self.members, before):
            self.wait_more(member, was)
        return running

    def wait_more(self, member, was=None, count=5):
        """Until an instance has accepted some more."""
        was = member.accepted() if was is None else was
        self.wait(lambda: member.accepted() >= was + count,
                  lambda: member.name + " gets nothing:\n" + "\n".join(self.front.lines[-20:]))

    def said(self, member, word):
        """How often HAProxy said that of a server."""
        return sum(f"Server weir/{member.name} is {word}" in line for line in self.front.lines)

    def wait_said(self, member, word, before):
        """Until it says so once more."""
        self.wait(lambda: self.said(member, word) > before,
                  lambda: "\n".join(self.front.lines[-20:]))

    def verdict(self, running, repeats=0):
        """All was accepted, nothing is missing, and so many came twice at most. What weir-load
        counted."""
        code, result, errors = running.end()
        self.assertNotRegex(errors, program.SANITIZER)
        self.assertIn(code, (0, 1), errors)
        verdict = result["verdicts"][0]
        self.assertEqual((result["given_up"], result["dropped"], result["cut_off"]), (0, 0, 0))
        self.assertEqual(result["accepted"]["requests"], result["requests"], result)
        for wrong in ("missing", "refused", "wrong", "unpromised"):
            self.assertEqual(verdict[wrong], 0, result)
        self.assertLessEqual(verdict["duplicated"], repeats, result)
        self.assertEqual(verdict["exactly_once"], verdict["duplicated"] == 0, result)
        return result

    def possible_repeats(self, member):
        """Points that the present life said may come a second time."""
        return sum(e.get("repeats_possible", 0) for e in member.weir.events("spool opened"))

    def test_rolling_restart(self):
        self.begin()
        running = self.load()
        for member in self.members:
            up = self.said(member, "UP")
            self.assertEqual(member.weir.stop(30), 0)
            member.start()
            self.assertEqual(self.possible_repeats(member), 0)
            self.wait_said(member, "UP", up)
            self.wait_more(member)
        result = self.verdict(running)
        self.assertEqual(set(result["answers"]), {"200"}, "nobody outside noticed")
        self.assertEqual(result["failures"], {})

    def test_keys_rotate(self):
        self.begin(ingest={"access_keys": [OLD]})
        running = self.load(OLD["value"])
        for member in self.members:
            member.reload([OLD, NEW])
            self.wait_more(member)
        self.assertEqual(self.answer(NEW), {200}, "both open every door")
        results = [self.verdict(running)]
        old = [self.used(member, OLD) for member in self.members]
        running = self.load(NEW["value"])
        self.assertEqual([self.used(member, OLD) for member in self.members], old,
                         "nobody uses it any more, so it may go")
        for member in self.members:
            member.reload([NEW])
            self.wait_more(member)
        self.assertEqual(self.answer(OLD), {401})
        results.append(self.verdict(running))
        for result, key in zip(results, (OLD, NEW)):
            self.assertEqual(set(result["answers"]), {"200"}, result)
            self.assertGreaterEqual(sum(self.used(member, key) for member in self.members),
                                    result["accepted"]["requests"])

    def answer(self, key):
        """What a few requests without a record are answered with this key."""
        with Firehose(self.front.port, key=key["value"]) as client:
            return {client.post(envelope([], request_id=f"{key['name']}-{n}"),
                                request_id=f"{key['name']}-{n}").status for n in range(12)}

    def used(self, member, key):
        """Requests with this key at an instance."""
        return member.weir.metric("weir_access_key_requests_total", key=key["name"])

    def test_one_is_killed(self):
        """It dies with requests in it that it had accepted and whose answers were lost. They come
        again, and wait for it, while the others have its share; when it is back it knows them."""
        self.begin(wired=True)
        victim, wire = self.members[0], self.wires[0]
        running = self.load()
        down, up = self.said(victim, "DOWN"), self.said(victim, "UP")
        wire.lose()
        before = self.committed(victim)
        self.wait(lambda: self.committed(victim) > before + 2, victim.weir.log_text)
        self.killed(victim.weir)
        wire.cut()
        self.wait_said(victim, "DOWN", down)
        for member in self.members[1:]:
            self.wait_more(member)
        self.wait(lambda: self.kept_waiting(victim) > 0, lambda: "\n".join(self.front.lines[-20:]))
        self.assertEqual(self.post_some(), {200})
        victim.start()
        wire.listen()
        self.wait_said(victim, "UP", up)
        self.wait_more(victim)
        self.assertEqual(self.post_some(), {200})
        result = self.verdict(running, self.possible_repeats(victim))
        self.assertLessEqual(set(result["answers"]), {"200", "502", "503"}, result)
        self.assertGreater(victim.weir.metric("weir_requests_deduplicated_total"), 0)
        self.assertEqual(sum(m.weir.metric("weir_requests_deduplicated_total")
                             for m in self.members[1:]), 12, "who had them has them again")

    def post_some(self):
        """Twelve requests that hold no metric, always the same: the statuses of their answers."""
        with Firehose(self.front.port) as client:
            return {client.post(envelope([b"{}"], request_id=f"some-{n}"),
                                request_id=f"some-{n}").status for n in range(12)}

    def committed(self, member):
        """Requests that an instance has accepted, answered or not."""
        return member.weir.metric("weir_spool_records_total", what="committed")

    def kept_waiting(self, member):
        """Repeats that HAProxy answered 503 because their seat was down."""
        return sum(f" weir/{member.name} " in line and " 503 " in line
                   for line in self.front.lines)


if __name__ == "__main__":
    case.main()
