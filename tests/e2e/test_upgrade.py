#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Upgrade, traffic, downgrade, each with a full spool: nothing is lost, nothing comes twice.

A release writes its own format or, with spool.format, the previous one, which is what is set before
a downgrade. What it cannot read is set aside, and taken back when it can.
"""
import os
import struct

from weirtest import case, points
from weirtest.durable import DurableCase
from weirtest.receiver import Answer


class Upgrade(DurableCase):
    """The same spool under changing versions."""

    def fill(self, receiver, sent, count, **change):
        """A life with a backend that is down: what it takes stays on the disk."""
        weir = self.durable(receiver, drain={"deadline": "300ms"}, **change)
        for number in range(count):
            more = points.series(10, len(sent))
            self.deliver(weir, [points.as_json(more)], compressed=number % 2 == 0)
            sent += more
        self.assertEqual(weir.stop(), 0)

    def test_there_and_back(self):
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        sent = []
        for version in (1, 2, 3, 1):
            self.fill(receiver, sent, 12, spool={"format": version})
        up.append(True)
        weir = self.durable(receiver, spool={"format": 1})
        self.assert_each_once(receiver, sent)
        self.assertEqual(weir.stop(), 0)
        self.assert_each_once(receiver, sent)

    def test_a_version_of_the_future_is_set_aside(self):
        up = []
        receiver = self.receiver(lambda _: None if up else Answer(503))
        sent = []
        self.fill(receiver, sent, 5)
        folder = os.path.join(self.folder, "spool")
        name = sorted(n for n in os.listdir(folder) if n.endswith(".segment"))[0]
        original = self.relabel(os.path.join(folder, name))
        up.append(True)
        weir = self.durable(receiver)
        self.assertEqual(weir.events("spool opened")[-1]["segments_set_aside"], 1)
        fresh = points.series(10, 5000)
        self.deliver(weir, [points.as_json(fresh)])
        self.assert_each_once(receiver, fresh)
        self.assertEqual(weir.stop(), 0)
        aside = os.path.join(folder, "set-aside", name)
        self.label(aside, original)
        weir = self.durable(receiver)
        self.assert_each_once(receiver, sent + fresh)

    def relabel(self, path):
        """Makes a segment one of version 9; the bytes that were there. The version's own checksum
        (docs/formats/spool.md) is made right, so it is intact and only unknown."""
        with open(path, "rb") as file:
            head = file.read(16)
        self.assertEqual(struct.unpack("<I", head[12:])[0], crc32c(head[:12]))
        changed = head[:8] + struct.pack("<I", 9)
        self.label(path, changed + struct.pack("<I", crc32c(changed)))
        return head

    def label(self, path, head):
        """Writes the first 16 bytes of both copies of a segment's header."""
        with open(path, "r+b") as file:
            for at in (0, 4096):
                file.seek(at)
                file.write(head)


def crc32c(data):
    """CRC-32C, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    case.main()
