# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: a Firehose of our own, an OTLP receiver, and the program.

points.py    synthetic data points, and how AWS encodes them (JSON, OTLP 0.7, OTLP 1.0)
otlp.py      an OTLP reader written by hand: exported bytes to canonical points
firehose.py  the client: request bodies, raw sockets, pieces, chunks, pipelines
receiver.py  the OTLP/HTTP backend that keeps accounts and can misbehave on purpose
endpoint.py  an endpoint of Firehose's protocol that breaks rules, for `weir probe`
program.py   starts and stops the real `weir serve`, reads its log and metrics
case.py      the TestCase that cleans all of it up

Python's standard library only.
"""
