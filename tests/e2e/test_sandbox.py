#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program with its sandbox closed: nothing that it is for is missing. No secret gets out."""
import json
import os
import signal
import tempfile
import unittest

from weirtest import case, points, program
from weirtest.case import WeirCase
from weirtest.firehose import envelope
from weirtest.receiver import Answer

UNFIT = "this build's sanitizer wants more of the system than the sandbox leaves"


@unittest.skipIf(program.sanitized(), UNFIT)
class Sandbox(WeirCase):
    """sandbox: required, so that a test never passes without one."""

    def sandboxed(self, receiver, **change):
        """The program, on a disk, in its sandbox."""
        change.setdefault("spool", {"durability": "disk", "limit": "1GiB",
                                    "directory": os.path.join(self.folder, "spool")})
        return self.weir(receiver, sandbox="required", memory_limit="64MiB", **change)

    def test_it_is_closed_on_every_thread(self):
        weir = self.sandboxed(self.receiver())
        self.assertEqual(json.loads(weir.admin("/status")[2])["sandbox"],
                         {"files": "on", "system_calls": "on"})
        folder = f"/proc/{weir.process.pid}/task"
        tasks = os.listdir(folder)
        self.assertGreater(len(tasks), 8)
        for task in tasks:
            with open(f"{folder}/{task}/status", encoding="ascii") as file:
                fields = dict(line.split(":\t", 1) for line in file.read().splitlines()
                              if ":\t" in line)
            self.assertEqual((fields["Seccomp"], fields["NoNewPrivs"]), ("2", "1"))
        with open(f"/proc/{weir.process.pid}/limits", encoding="ascii") as file:
            limit = next(line for line in file if line.startswith("Max core file size"))
        self.assertRegex(limit, r"size +0 +0 ")

    def test_a_destination_by_name_is_found(self):
        receiver = self.receiver()
        weir = self.sandboxed(receiver.url.replace("127.0.0.1", "localhost"))
        sent = points.series(20)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)

    def test_files_letters_and_spool_are_written(self):
        out = os.path.join(self.folder, "out")
        os.mkdir(out)
        refusing = self.receiver(lambda b: Answer(400))
        weir = self.sandboxed(refusing, destinations=[
            {"name": "away", "endpoint": ""},
            {"name": "file", "type": "file", "path": os.path.join(out, "points.jsonl")}])
        for _ in range(3):
            self.deliver(weir, [points.as_json(points.series(10))])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total") == 30), weir.log_text())
        self.assertEqual(weir.stop(), 0)
        with open(os.path.join(out, "points.jsonl"), encoding="utf-8") as file:
            self.assertGreaterEqual(len(file.readlines()), 1)
        letters = os.listdir(os.path.join(self.folder, "spool", "dead-letter"))
        self.assertTrue(any(name.endswith(".ndjson") for name in letters), letters)

    def test_a_token_that_is_replaced_is_read(self):
        secrets = os.path.join(self.folder, "secrets")
        os.mkdir(secrets, 0o700)
        token = os.path.join(secrets, "token")
        self.put(token, "old-token")
        receiver = self.receiver(
            lambda b: Answer(200 if b.headers["Authorization"] == "Bearer new-token" else 401))
        weir = self.sandboxed(receiver, destinations=[
            {"name": "backend", "endpoint": "", "auth": {"bearer_file": token}}])
        sent = points.series(5)
        self.deliver(weir, [points.as_json(sent)])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_destination_blocked") == 1), weir.log_text())
        self.put(token + ".new", "new-token")
        os.rename(token + ".new", token)
        self.assert_arrived(receiver, sent)

    def put(self, path, text):
        """A file that only its owner reads."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(text)

    def test_the_disk_grows_and_a_restart_reads_it(self):
        down = [True]
        receiver = self.receiver(lambda b: Answer(503 if down[0] else 200))
        spool = {"durability": "disk", "limit": "1GiB", "segment_size": "64KiB",
                 "directory": os.path.join(self.folder, "spool")}
        weir = self.sandboxed(receiver, spool=spool, drain={"deadline": "1s"})
        sent = []
        for _ in range(40):
            some = points.series(50)
            self.deliver(weir, [points.as_json(some)])
            sent += some
        self.assertEqual(weir.stop(), 0)
        down[0] = False
        self.sandboxed(receiver, spool=spool)
        self.assert_arrived(receiver, sent)

    def test_a_reload_that_reaches_too_far_is_refused(self):
        receiver = self.receiver()
        weir = self.sandboxed(receiver)
        away = os.path.join(self.folder, "away")
        os.mkdir(away)
        self.put(os.path.join(self.folder, "token"), "a-token")
        with open(os.path.join(self.folder, "weir.yaml"), encoding="utf-8") as file:
            good = json.load(file)
        backend = good["destinations"][0]
        beside = {"auth": {"bearer_file": os.path.join(self.folder, "token")}}
        for refused, change in enumerate((  # the configuration's own folder is for reading only
                {"name": "more", "type": "file", "path": os.path.join(self.folder, "out")},
                backend | {"auth": {"bearer_file": "/root/token"}}), 1):
            self.reload(weir, good | {"destinations": [backend | {"name": "one"}, change]})
            self.assertTrue(weir.wait_metric(
                lambda count=refused: len(weir.events("reload refused")) == count))
            self.assertIn("sandbox does not reach", weir.events("reload refused")[-1]["reason"])
        outside = tempfile.TemporaryDirectory()
        self.addCleanup(outside.cleanup)
        key = {"access_keys": [{"name": "test", "file": os.path.join(outside.name, "key")}]}
        self.put(os.path.join(outside.name, "key"), "a-key")
        self.reload(weir, good | {"ingest": good["ingest"] | key})  # the reload itself opens it
        self.assertTrue(weir.wait_metric(lambda: len(weir.events("reload refused")) == 3))
        self.assertIn("sandbox does not reach", weir.events("reload refused")[-1]["reason"])
        self.reload(weir, good | {"destinations": [backend | beside]})
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_config_last_reload_successful") == 1), weir.log_text())
        sent = points.series(5)
        self.deliver(weir, [points.as_json(sent)])
        self.assert_arrived(receiver, sent)

    def reload(self, weir, config):
        """Another configuration at the same place, and SIGHUP."""
        path = os.path.join(self.folder, "weir.yaml")
        program.write_configuration(path + ".new", config)
        os.replace(path + ".new", path)
        weir.process.send_signal(signal.SIGHUP)

    def test_off_is_off(self):
        weir = self.weir(self.receiver(), sandbox="off", core_dumps=True)
        self.assertEqual(json.loads(weir.admin("/status")[2])["sandbox"],
                         {"files": "off", "system_calls": "off"})
        with open(f"/proc/{weir.process.pid}/status", encoding="ascii") as file:
            self.assertIn("Seccomp:\t0", file.read())


class Unfit(WeirCase):
    """A build that cannot have a sandbox."""

    @unittest.skipUnless(program.sanitized(), "this build can have it")
    def test_required_does_not_start_without(self):
        path = program.write_configuration(
            os.path.join(self.folder, "w.yaml"),
            program.configuration("http://127.0.0.1:9", sandbox="required"))
        code, _, log = self.run_weir("serve", "-c", path)
        self.assertEqual(code, 1)
        self.assertIn('"what":"sandbox"', log)
        self.assertIn("this build", log)


class Secrets(WeirCase):
    """Whatever is given as a secret is in nothing that the program writes."""

    GIVEN = {"key": "s3cret-access-key-1", "file_key": "s3cret-access-key-2",
             "header": "s3cret-header-3", "bearer": "s3cret-bearer-4", "query": "s3cret-query-5",
             "wrong": "s3cret-wrong-key-6", "client": "s3cret-client-7"}

    def put(self, name, text):
        """A secret's file."""
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(text)
        return path

    def change(self, receiver):
        """A configuration with a secret in every place that takes one."""
        given = self.GIVEN
        return {
            "ingest": {"access_keys": [
                {"name": "one", "value": given["key"]},
                {"name": "two", "file": self.put("access-key", given["file_key"])}]},
            "spool": {"durability": "disk", "directory": os.path.join(self.folder, "spool"),
                      "limit": "1GiB"},
            "memory_limit": "64MiB", "log": {"level": "debug"},
            "destinations": [
                {"name": "header", "endpoint": receiver.url,
                 "headers": {"x-api-key": given["header"]}},
                {"name": "bearer", "endpoint": receiver.url,
                 "auth": {"bearer_file": self.put("bearer", given["bearer"])}},
                {"name": "query",
                 "metrics_endpoint": receiver.url + "/v1/metrics?token=" + given["query"]},
                {"name": "oauth", "endpoint": receiver.url, "oauth2": {
                    "token_url": "http://127.0.0.1:9/token", "client_id": "weir",
                    "client_secret": given["client"]}},
                {"name": "nowhere", "endpoint": "http://127.0.0.1:9",
                 "headers": {"x-api-key": given["header"]}}]}

    def everything_written(self):
        """The bytes of all files below the folder, but those that hold what was given."""
        given = {"access-key", "bearer", "weir.yaml"}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name not in given:
                    with open(os.path.join(folder, name), "rb") as file:
                        yield os.path.join(folder, name), file.read()

    def test_none_gets_out(self):
        receiver = self.receiver(lambda b: Answer(400))
        change = self.change(receiver)
        weir = self.weir(receiver, **change)
        for key in ("key", "file_key", "wrong"):
            client = self.client(weir, key=self.GIVEN[key])
            body = envelope([points.as_json(points.series(5))])
            self.assertEqual(client.post(body).status, 401 if key == "wrong" else 200)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_dead_letter_points_total") > 0), weir.log_text())
        said = {path: weir.admin(path)[2] for path in ("/metrics", "/status", "/")}
        with open(f"/proc/{weir.process.pid}/cmdline", "rb") as file:
            said["arguments"] = file.read().decode()
        config = os.path.join(self.folder, "weir.yaml")
        said["check"] = "".join(self.run_weir("check", "-c", config)[1:])
        weir.signal(signal.SIGHUP)
        self.assertTrue(weir.wait_metric(lambda: "reload" in weir.log_text()))
        weir.signal(signal.SIGTERM)
        weir.process.wait(60)
        weir.close()
        said["log"] = weir.log_text()
        said |= {path: data.decode("latin-1") for path, data in self.everything_written()}
        for place, text in said.items():
            for name, secret in self.GIVEN.items():
                self.assertNotIn(secret, text, f"{name} is in {place}")
        weir.process.returncode = 0


if __name__ == "__main__":
    case.main()
