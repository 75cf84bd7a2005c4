#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGHUP under load: keys rotate, destinations come, go and change, and no request notices."""
import json
import os
import signal
import socket
import threading
import time

from weirtest import case, otlp, points, program
from weirtest.durable import DurableCase
from weirtest.firehose import Firehose, envelope
from weirtest.receiver import Answer


class Sender(threading.Thread):
    """A Firehose on connections of its own that sends points until it is told to stop; `key` may
    change meanwhile. Any answer but 200 is kept."""

    def __init__(self, port, first, key=program.KEY):
        super().__init__(daemon=True)
        self.port, self.key, self.next = port, key, first
        self.over, self.sent, self.wrong = threading.Event(), [], []
        self.start()

    def post(self, client):
        """One request of ten points."""
        more = points.series(10, self.next)
        self.next += 10
        client.key = self.key
        response = client.post(envelope([points.as_json(more)]))
        if response.status == 200:
            self.sent += more
        else:
            self.wrong.append((response.status, response.body))

    def run(self):
        with Firehose(self.port) as client:
            while not self.over.is_set():
                self.post(client)
                time.sleep(0.002)

    def wait_more(self, count=5):
        """Until `count` further requests were answered."""
        seen = len(self.sent) + 10 * count
        deadline = time.monotonic() + 20
        while len(self.sent) < seen and not self.wrong and time.monotonic() < deadline:
            time.sleep(0.005)

    def end(self):
        """Stops it, and waits for its last answer."""
        self.over.set()
        self.join()


class ReloadCase(DurableCase):
    """Helpers: a file that is written anew, a SIGHUP, and its end."""

    def begin(self, receiver, **change):
        """The program with a disk, and its configuration in self.config."""
        self.config = program.configuration(receiver.url, **self.settings(change))
        return self.durable(receiver, **change)

    def write(self, **change):
        """The file as it is to be, `change` laid over the last."""
        self.config = program.merged(self.config, change)
        path = os.path.join(self.folder, "weir.yaml")
        program.write_configuration(path + ".new", self.config)
        os.replace(path + ".new", path)

    def status(self, weir):
        """/status."""
        return json.loads(weir.admin("/status")[2])

    def hup(self, weir, **change):
        """Writes, reloads, and waits until that is taken."""
        self.write(**change)
        before = self.status(weir)["config"]["reloads"]
        weir.process.send_signal(signal.SIGHUP)
        taken = weir.wait_metric(lambda: self.status(weir)["config"]["reloads"] > before)
        self.assertTrue(taken, weir.log_text()[-3000:])

    def refused(self, weir):
        """Reloads, and waits until that is refused: the reason."""
        before = self.status(weir)["config"]["refused"]
        weir.process.send_signal(signal.SIGHUP)
        told = weir.wait_metric(lambda: self.status(weir)["config"]["refused"] > before)
        self.assertTrue(told, weir.log_text()[-3000:])
        return self.status(weir)["config"]["last_reason"]

    def wait_settled(self, weir, names, seconds=40):
        """Until exactly these destinations are there, none of them on its way."""
        def settled():
            all_ = self.status(weir)["destinations"]
            return sorted(d["name"] for d in all_) == sorted(names) and not any(
                "reload" in d for d in all_)
        if not weir.wait_metric(settled, seconds):
            self.fail(json.dumps(self.status(weir)["destinations"], indent=1)
                      + weir.log_text()[-3000:])

    def senders(self, weir, count=3, **how):
        """Several at once, of different points."""
        all_ = [Sender(weir.port, 1_000_000 * (i + 1), **how) for i in range(count)]
        for sender in all_:
            self.addCleanup(sender.end)
        return all_

    def end_senders(self, senders):
        """Their points; none was refused."""
        for sender in senders:
            sender.end()
            self.assertEqual(sender.wrong, [])
        return [p for sender in senders for p in sender.sent]


def key(name, value):
    """An access key of the configuration."""
    return {"name": name, "value": value}


class Keys(ReloadCase):
    """Rotation."""

    def test_rotation_under_load(self):
        receiver = self.receiver()
        weir = self.begin(receiver, ingest={"access_keys": [key("old", "one")]})
        senders = self.senders(weir, key="one")
        senders[0].wait_more()
        self.hup(weir, ingest={"access_keys": [key("old", "one"), key("new", "two")]})
        for sender in senders:
            sender.wait_more()
            sender.key = "two"
        for sender in senders:
            sender.wait_more(20)
        stands = weir.metric("weir_access_key_requests_total", key="old")
        last_old = weir.metric("weir_access_key_last_used_timestamp_seconds", key="old")
        last_new = weir.metric("weir_access_key_last_used_timestamp_seconds", key="new",
                               stream="arn:aws:firehose:eu-west-1:123456789012:"
                                      "deliverystream/weir-test")
        self.assertGreater(last_new, last_old)
        self.hup(weir, ingest={"access_keys": [key("new", "two")]})
        for sender in senders:
            sender.wait_more()
        sent = self.end_senders(senders)
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.metric("weir_access_key_requests_total", key="old"), stands)
        self.assertEqual(stands + weir.metric("weir_access_key_requests_total", key="new"),
                         len(sent) / 10)
        with Firehose(weir.port, key="one") as client:
            self.assertEqual(client.post(envelope([b"x"])).status, 401)
        told = weir.events("configuration reloaded")
        self.assertEqual([e["keys_added"] for e in told], ["new", ""])
        self.assertEqual([e["keys_removed"] for e in told], ["", "old"])
        self.assertNotIn("two", weir.log_text().replace("two loops", ""))

    def test_key_files_are_read_again_and_the_lock_comes_and_goes(self):
        path = os.path.join(self.folder, "key")
        with open(path, "w", encoding="ascii") as file:
            file.write("first\n")
        receiver = self.receiver()
        weir = self.begin(receiver, ingest={"access_keys": [{"name": "a", "file": path}]})

        def answer(presented):
            with Firehose(weir.port, key=presented) as client:
                return client.post(envelope([])).status
        self.assertEqual((answer("first"), answer("second")), (200, 401))
        with open(path, "w", encoding="ascii") as file:
            file.write("second\n")
        self.hup(weir)
        self.assertEqual((answer("first"), answer("second")), (401, 200))
        self.assertEqual(weir.events("configuration reloaded")[0]["keys_changed"], "a")
        self.hup(weir, ingest={"access_keys": "none"})
        self.assertEqual((answer("first"), answer(None)), (200, 200))
        self.hup(weir, ingest={"access_keys": [key("b", "third")]})
        self.assertEqual((answer("first"), answer("third")), (401, 200))


class File(ReloadCase):
    """What is said of the file."""

    def test_a_bad_file_changes_nothing(self):
        receiver = self.receiver()
        weir = self.begin(receiver)
        before = self.status(weir)["config"]
        self.assertRegex(before["hash"], "^[0-9a-f]{12}$")
        for change, reason in (
                ({"log": {"levle": "debug"}}, "unknown key"),
                ({"ingest": {"access_keys": [{"name": "a", "file": "/no/such/key"}]}},
                 "there is no such file"),
                ({"destinations": [{"name": "x", "type": "file", "path": self.folder}]},
                 "is a directory")):
            good = self.config
            self.write(**change)
            self.assertIn(reason, self.refused(weir))
            self.config = good
        after = self.status(weir)["config"]
        self.assertEqual(after["hash"], before["hash"])
        self.assertEqual(weir.metric("weir_config_last_reload_successful"), 0)
        self.assertEqual(weir.metric("weir_config_info", hash=before["hash"]), 1)
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(receiver, sent)
        self.hup(weir, log={"level": "debug"})
        self.assertEqual(weir.metric("weir_config_last_reload_successful"), 1)
        self.assertEqual(weir.metric("weir_config_info", hash=before["hash"]), 0)
        self.assertIsNone(self.status(weir)["config"]["last_reason"])

    def test_what_cannot_be_opened_changes_nothing(self):
        receiver = self.receiver()
        weir = self.begin(receiver, sandbox="off")
        good = self.config
        backend = good["destinations"][0]
        files = [{"name": name, "type": "file", "path": os.path.join(self.folder, name)}
                 for name in ("first", "second")]
        self.write(destinations=[files[0], {"name": "third", "endpoint": receiver.url}, backend,
                                 files[1]],
                   ingest={"access_keys": [key("other", "other")]})
        with socket.socket(socket.AF_UNIX) as nobody:  # may be written, and not opened
            nobody.bind(files[1]["path"])
            self.assertIn("destination second: ", self.refused(weir))
        os.unlink(files[1]["path"])
        self.config = good
        self.wait_settled(weir, ["backend"])
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(receiver, sent)
        self.hup(weir, destinations=[backend, *files])
        more = points.series(20, 500)
        self.deliver(weir, [points.as_json(more)])
        self.assert_each_once(receiver, sent + more)
        for name in ("first", "second"):
            self.assertTrue(weir.wait_metric(lambda name=name: weir.metric(
                "weir_export_points_total", destination=name, outcome="delivered") == 20))
        self.assertEqual(self.letters(), [])

    def test_a_pipe_is_not_waited_for(self):
        receiver = self.receiver()
        weir = self.begin(receiver, sandbox="off")
        backend = self.config["destinations"][0]
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        self.write(destinations=[backend, {"name": "pipe", "type": "file", "path": path}])
        self.assertIn("a pipe that nobody reads", self.refused(weir))
        os.unlink(os.path.join(self.folder, "weir.yaml"))
        os.mkfifo(os.path.join(self.folder, "weir.yaml"))
        self.assertIn("a pipe cannot be read again", self.refused(weir))
        self.assertEqual(weir.stop(20), 0)

    def test_more_names_than_slots(self):
        receiver = self.receiver()
        weir = self.begin(receiver, memory_limit="256MiB")
        self.hup(weir, destinations=[{"name": f"old{i}", "endpoint": receiver.url}
                                     for i in range(40)])
        self.write(destinations=[{"name": f"new{i}", "endpoint": receiver.url}
                                 for i in range(40)])
        self.assertIn("remove first, and add with a later reload", self.refused(weir))
        self.wait_settled(weir, [f"old{i}" for i in range(40)])

    def test_what_has_begun_goes_on_in_the_grace(self):
        slow, other = self.receiver(lambda batch: Answer(delay=1)), self.receiver()
        self.config = program.configuration(slow.url, drain={"grace": "60s", "deadline": "20s"})
        weir = self.weir(slow, **self.config)
        first, second = points.series(5), points.series(5, 100)
        self.deliver(weir, [points.as_json(first)])
        self.assertTrue(weir.wait_metric(lambda: slow.active > 0))
        self.hup(weir, destinations=[{"name": "backend", "endpoint": other.url}])
        weir.signal()
        self.assertTrue(weir.wait_metric(lambda: self.status(weir)["state"] == "draining"))
        self.deliver(weir, [points.as_json(second)])
        self.assert_each_once(other, second)
        weir.process.send_signal(signal.SIGINT)
        self.assertEqual(weir.stop(20), 0)
        self.assert_each_once(slow, first)

    def test_what_needs_a_restart_is_named(self):
        receiver = self.receiver()
        weir = self.begin(receiver, sandbox="off")  # files where none was written at the start
        self.hup(weir, memory_limit="64MiB", ingest={"path": "/elsewhere"},
                 buffer={"interval": "100ms"})
        needed = self.status(weir)["config"]["restart_needed"]
        self.assertIn("memory_limit", needed)
        self.assertIn("ingest.path", needed)
        self.assertEqual(weir.metric("weir_config_restart_needed_keys"), len(needed))
        self.assertIn("ingest.path", weir.events("reload left out")[0]["keys"])
        self.assertEqual(weir.metric("weir_memory_limit_bytes", kind="total"), 48 << 20)
        self.assertEqual(weir.events("configuration reloaded")[0]["changed"], "backend")
        self.wait_settled(weir, ["backend"])
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(receiver, sent)

    def test_a_storm_of_reloads(self):
        receiver, other = self.receiver(), self.receiver()
        weir = self.begin(receiver)
        senders = self.senders(weir)
        backend = self.config["destinations"][0]
        for i in range(20):
            changed = backend | {"buffer": {"interval": f"{100 + i % 3}ms"}}
            more = [{"name": f"d{i % 3}", "endpoint": other.url}] if i % 2 else []
            self.write(destinations=[changed, *more])
            weir.process.send_signal(signal.SIGHUP)
            senders[0].wait_more(2)
        self.hup(weir, destinations=[backend])
        self.wait_settled(weir, ["backend"])
        sent = self.end_senders(senders)
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.events("reload refused"), [])

    def test_a_stop_right_after_a_reload(self):
        receiver = self.receiver()
        weir = self.begin(receiver, buffer={"interval": "1h"})
        sent = points.series(50)
        self.deliver(weir, [points.as_json(sent)])
        self.write(destinations=[{"name": "backend", "endpoint": receiver.url,
                                  "headers": {"X-A": "b"}},
                                 {"name": "more", "endpoint": receiver.url}])
        weir.process.send_signal(signal.SIGHUP)
        self.assertEqual(weir.stop(30), 0)
        again = self.durable(receiver)
        self.assert_each_once(receiver, sent)
        self.assertEqual(again.stop(30), 0)


class Destinations(ReloadCase):
    """What comes, goes and changes."""

    def test_added_under_load(self):
        receiver, other = self.receiver(), self.receiver()
        weir = self.begin(receiver)
        senders = self.senders(weir)
        senders[0].wait_more()
        self.hup(weir, destinations=[*self.config["destinations"],
                                     {"name": "more", "endpoint": other.url}])
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        load = self.end_senders(senders)
        self.assert_each_once(receiver, load + sent)
        want = set(otlp.multiset([p.canonical() for p in sent]))
        self.assertTrue(weir.wait_metric(lambda: want <= set(otlp.multiset(other.points()))))
        there = list(otlp.multiset(other.points()))
        self.assertEqual(len(there), len(set(there)))
        self.assertEqual(weir.events("configuration reloaded")[0]["added"], "more")

    def test_mended_with_a_backlog(self):
        dead, alive = self.receiver(lambda batch: Answer(503)), self.receiver()
        weir = self.begin(dead)
        senders = self.senders(weir)
        for sender in senders:
            sender.wait_more(20)
        self.hup(weir, destinations=[{"name": "backend", "endpoint": alive.url}])
        for sender in senders:
            sender.wait_more(20)
        sent = self.end_senders(senders)
        self.assert_each_once(alive, sent)
        self.wait_settled(weir, ["backend"])
        self.assertEqual(self.letters(), [])

    def test_changed_and_removed_without_a_disk(self):
        for durability in ("memory", "delivered"):
            with self.subTest(durability):
                receiver, second = self.receiver(), self.receiver()
                self.config = program.configuration(
                    receiver.url, spool={"durability": durability},
                    destinations=[{"name": "backend", "endpoint": receiver.url},
                                  {"name": "second", "endpoint": second.url}])
                weir = self.weir(receiver, **self.config)
                senders = self.senders(weir)
                both = self.config["destinations"]
                senders[0].wait_more()
                self.hup(weir, destinations=[both[0] | {"headers": {"X-New": "1"}}, both[1]])
                senders[0].wait_more()
                mark = points.series(20)
                self.deliver(weir, [points.as_json(mark)])
                self.hup(weir, destinations=[both[0]])
                self.wait_settled(weir, ["backend"])
                senders[0].wait_more()
                sent = self.end_senders(senders) + mark
                self.assertEqual(weir.stop(30), 0)
                self.assert_each_once(receiver, sent)
                there = list(otlp.multiset(second.points()))
                self.assertEqual(len(there), len(set(there)))
                self.assertLessEqual(set(otlp.multiset([p.canonical() for p in mark])), set(there))

    def test_unchanged_ones_are_left_alone(self):
        receiver, other = self.receiver(), self.receiver()
        weir = self.begin(receiver, destinations=[
            {"name": "backend", "endpoint": "", "buffer": {"interval": "1h", "size": "256KiB"}},
            {"name": "b", "endpoint": other.url}])
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(other, sent)
        both = self.config["destinations"]
        self.hup(weir, destinations=[both[0], both[1] | {"timeout": "7s"}])
        self.wait_settled(weir, ["backend", "b"])
        self.assertEqual(receiver.batches, [])
        self.hup(weir, destinations=[both[0]])
        self.wait_settled(weir, ["backend"])
        self.assertEqual(receiver.batches, [])
        self.hup(weir, destinations=[both[0] | {"regions": {"include": ["eu-*"]}}])
        self.assertEqual(receiver.batches, [])
        self.assertEqual([e["changed"] for e in weir.events("configuration reloaded")],
                         ["b", "", "backend"])
        self.assertNotIn("reload", self.status(weir)["destinations"][0])
        self.assertEqual(weir.stop(30), 0)
        self.assert_each_once(receiver, sent)

    def test_removed_ones_are_flushed_and_dead_ones_dead_lettered(self):
        receiver, second = self.receiver(), self.receiver()
        dead = self.receiver(lambda batch: Answer(503))
        weir = self.begin(receiver, drain={"deadline": "1s"}, destinations=[
            {"name": "backend", "endpoint": ""},
            {"name": "second", "endpoint": second.url, "buffer": {"interval": "1h"}},
            {"name": "dead", "endpoint": dead.url}])
        sent = points.series(40)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_each_once(receiver, sent)
        self.assertEqual(second.batches, [])
        self.hup(weir, destinations=self.config["destinations"][:1])
        self.wait_settled(weir, ["backend"])
        self.assert_each_once(second, sent)
        found = {(line["weir"]["destination"], line["weir"]["reason"]) for line in self.letters()}
        self.assertEqual(found, {("dead", "destination_removed")})
        self.assertEqual(weir.metric("weir_spool_backlog_records", destination="dead"), 0)
        names = {e["destination"] for e in weir.events("destination removed")}
        self.assertEqual(names, {"second", "dead"})
        self.hup(weir, destinations=[*self.config["destinations"],
                                     {"name": "dead", "endpoint": second.url}])
        more = points.series(10, 5000)
        self.deliver(weir, [points.as_json(more)])
        self.assert_each_once(second, sent + more)

    def test_a_line_is_not_continued_by_the_next_exporter(self):
        receiver = self.receiver()
        path = os.path.join(self.folder, "pipe")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        pipe = {"name": "pipe", "type": "file", "path": path}
        weir = self.begin(receiver, sandbox="off", drain={"deadline": "500ms"},
                          destinations=[{"name": "backend", "endpoint": ""}, pipe])
        backend = self.config["destinations"][0]
        sent = points.series(1000)  # more than a pipe holds
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(weir.wait_metric(
            lambda: self.status(weir)["destinations"][1]["in_flight"] == 1))
        self.hup(weir, destinations=[backend])
        self.wait_settled(weir, ["backend"])
        self.hup(weir, destinations=[backend, pipe])
        more = points.series(3, 5000)
        self.deliver(weir, [points.as_json(more)])
        text = b""

        def read_more():
            nonlocal text
            try:
                text += os.read(reader, 1 << 20)
            except BlockingIOError:
                return False
            return text.endswith(b"\n") and text.count(b"\n") > 1
        self.assertTrue(weir.wait_metric(read_more))
        last = json.loads(text.splitlines()[-1])
        self.assertIn("resourceMetrics", last)

    def test_removed_and_wanted_again(self):
        receiver, second = self.receiver(), self.receiver()
        weir = self.begin(receiver, destinations=[
            {"name": "backend", "endpoint": ""}, {"name": "second", "endpoint": second.url}])
        both = self.config["destinations"]
        senders = self.senders(weir)
        for _ in range(5):
            self.hup(weir, destinations=both[:1])
            self.hup(weir, destinations=both)
        self.wait_settled(weir, ["backend", "second"])
        mark = points.series(20)
        self.deliver(weir, [points.as_json(mark)])
        sent = self.end_senders(senders) + mark
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.stop(30), 0)
        there = list(otlp.multiset(second.points()))
        self.assertEqual(len(there), len(set(there)))
        self.assertLessEqual(set(there), set(otlp.multiset(receiver.points())))


if __name__ == "__main__":
    case.main()
