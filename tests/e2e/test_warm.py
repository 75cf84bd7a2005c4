#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Once warm, a request costs no allocation of ours, from the socket to the backend's answer."""
import time

from weirtest import case, points
from weirtest.case import WeirCase
from weirtest.firehose import envelope

REQUESTS = 40


class Warm(WeirCase):
    """One connection, one loop, one exporter thread, the same kinds of requests again and again."""

    def allocations(self, weir):
        """What the program has asked of its allocator so far; asking costs some itself."""
        return int(weir.metric("weir_allocations_total"))

    def round(self, weir, client, receiver):
        """Sends a round of requests in all three formats and waits until all of it is exported."""
        before = receiver.accepted_count()
        sent = points.series(200)
        for number in range(REQUESTS):
            encode = (points.as_json, points.as_otlp07, points.as_otlp10)[number % 3]
            response = client.post(envelope([encode(sent)]), gzip=number % 2 == 0)
            self.assertEqual(response.status, 200)
        self.assertTrue(receiver.wait_count(before + REQUESTS * len(sent), 60))

    def test_no_allocation_on_the_data_plane(self):
        receiver = self.receiver()
        weir = self.weir(receiver, ingest={"threads": 1}, export_threads=1)
        client = self.client(weir)
        for _ in range(5):
            self.round(weir, client, receiver)
        costs = [self.cost(weir, client, receiver) for _ in range(5)]
        # A moment of more than ever before in flight may add to a cache; that is no cost of a
        # request, and does not come again.
        self.assertEqual(min(costs), 0, f"{REQUESTS} warm requests each: {costs}")
        self.assertLess(sum(costs), REQUESTS, f"five rounds of {REQUESTS} requests: {costs}")

    def cost(self, weir, client, receiver):
        """The allocations of one round, those of asking for them taken off."""
        start = self.allocations(weir)
        before = self.allocations(weir)
        asking = before - start
        self.round(weir, client, receiver)
        time.sleep(0.3)  # what the answer's arrival sets off
        return self.allocations(weir) - before - asking


if __name__ == "__main__":
    case.main()
