#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backends that fail at random in every way that loses no answer: each point once at each of them.

Seeded; WEIR_SEED replays a run, WEIR_ROUNDS makes a campaign of it.
"""
import os
import random

from weirtest import case, points
from weirtest.durable import DurableCase
from weirtest.firehose import envelope
from weirtest.receiver import Answer

REQUESTS = 40
LARGEST = 6000  # bytes of OTLP that the third backend takes


class Chaos(DurableCase):
    """Three destinations with faults of their own, all formats, one point in exactly one place."""

    def moody(self, seed):
        """Mostly down, in spells: 429, 502, 503, 504, some with Retry-After, some slow."""
        mood = random.Random(seed)

        def rule(_):
            if mood.random() < 0.5:
                return None
            headers = {"Retry-After": "0"} if mood.random() < 0.3 else {}
            return Answer(mood.choice((429, 502, 503, 504)), headers,
                          delay=mood.choice((0, 0, 0.05)))
        return self.receiver(rule)

    def forgetful(self, seed):
        """Refuses the token now and then: 401, 403, 404."""
        mood = random.Random(seed)
        return self.receiver(
            lambda _: Answer(mood.choice((401, 403, 404))) if mood.random() < 0.3 else None)

    def narrow(self):
        """Answers 413 above a size."""
        return self.receiver(lambda b: Answer(413) if len(b.body) > LARGEST else None)

    def run_round(self, seed, start):
        """One seed; `start` starts the program."""
        chance = random.Random(seed)
        backends = [self.moody(seed), self.forgetful(seed + 1), self.narrow()]
        weir = start("", destinations=[
            {"name": f"d{index}", "endpoint": backend.url,
             "compression": chance.choice(("gzip", "none"))}
            for index, backend in enumerate(backends)],
            buffer={"interval": "100ms", "max_points": chance.choice((0, 7, 50))})
        sent, clients = [], [self.client(weir) for _ in range(4)]
        for number in range(REQUESTS):
            more = points.series(chance.randrange(1, 60), len(sent))
            encode = chance.choice((points.as_json, points.as_otlp07, points.as_otlp10))
            response = chance.choice(clients).post(envelope([encode(more)]),
                                                   gzip=chance.random() < 0.5)
            self.assertEqual(response.status, 200, f"request {number}: {response.body}")
            sent += more
        for backend in backends:
            self.assert_arrived(backend, sent, 60)
        self.assertEqual(weir.stop(), 0)
        for backend in backends:  # nor did anything come while it stopped
            self.assert_points(backend.points(), [p.canonical() for p in sent])

    def test_every_point_once_everywhere(self):
        first = int(os.environ.get("WEIR_SEED", "1"))
        for seed in range(first, first + int(os.environ.get("WEIR_ROUNDS", "3"))):
            with self.subTest(seed=seed):
                self.run_round(seed, self.weir)

    def test_with_a_spool_on_disk(self):
        self.run_round(int(os.environ.get("WEIR_SEED", "1")) + 1000, self.durable)


if __name__ == "__main__":
    case.main()
