#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile and crooked requests, each with the answers it must get: whole, byte by byte and in
random splits, plain and over TLS. Every case is followed by a good request on the same connection,
which must be answered exactly where the case leaves the connection usable: so nothing behind a
refused request is ever taken for one, and no case yields an answer more or less.

What is not here, of the probes that decided against libh2o's own HTTP server: memory under a flood
of bodies and heads (test_bounds), one timer for all, slow heads, bodies and readers, EMFILE, PROXY
lines without an end (test_limits), the wall clock (the loop's is monotonic: unit.net.test_loop),
answers that are lost to a reset (test_answers, unit.net.test_linger), temporary files (net/loop.c
turns them off), HTTP/2's own attacks (there is no HTTP/2: the preface is below)."""
import concurrent.futures
import json
import random
import socket
import ssl

from weirtest import case, certs
from weirtest.case import WeirCase
from weirtest.firehose import envelope

KEY = b"x-amz-firehose-access-key: test-key\r\n"
HOST = b"host: weir\r\n"
BODY = envelope([b""], request_id="t", timestamp=1)  # short: often sent byte by byte
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
AFTER = b"GET /healthz HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n"
SMUGGLED = b"GET /healthz HTTP/1.1\r\nhost: weir\r\n\r\n"


def head(*fields, line=b"POST / HTTP/1.1\r\n", host=HOST, key=KEY):
    """A head of these lines, each with its own end."""
    return line + host + key + b"".join(fields) + b"\r\n"


def sized(*fields, body=BODY, **how):
    """A request that says its length."""
    return head(*fields, b"content-length: %d\r\n" % len(body), **how) + body


def chunked(body, *fields):
    """A chunked request with this framing."""
    return head(CHUNKED, *fields) + body


WAYS = ("whole", "bytes", "split 1", "split 2", "split 3", "split 4")
GOOD, STAYS, ENDS = [200, 200], [400, 200], [400]  # 200 twice: itself, and the one after it
CASES = {
    # what honest clients send
    "length": (sized(), GOOD),
    "chunked": (chunked(CHUNKS), GOOD),
    "chunked in another case": (head(b"Transfer-Encoding:\t CHUNKED \t\r\n") + CHUNKS, GOOD),
    "chunk extension": (chunked(CHUNKS.replace(b"\r\n", b";a=b;c=\"d\"\r\n", 1)), GOOD),
    "zeros before sizes": (chunked(b"000" + CHUNKS[:-5] + b"000\r\n\r\n"), GOOD),
    "white space around a length": (head(b"content-length: \t%d \t\r\n" % len(BODY)) + BODY, GOOD),
    "zeros before a length": (head(b"content-length: 000%d\r\n" % len(BODY)) + BODY, GOOD),
    "expect": (sized(b"expect: 100-continue\r\n"), [100, 200, 200]),
    "upgrade to h2c is served as it is": (sized(
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"),
        GOOD),
    "upgrade to a web socket too": (sized(b"connection: upgrade\r\nupgrade: websocket\r\n"), GOOD),
    "a name that is only like one": (sized(b"transfer_encoding: chunked\r\ncontent_length: 1\r\n"),
                                     GOOD),
    "bytes over 127 in a value": (sized(b"user-agent: caf\xc3\xa9 \xff\r\n"), GOOD),
    "an empty value": (sized(b"x-nothing:\r\n"), GOOD),
    "two requests": (sized() + sized(), [200, 200, 200]),
    "a request inside a body": (sized(body=SMUGGLED + SMUGGLED), STAYS),
    "a request inside a chunk": (chunked(
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), STAYS),
    "close": (sized(b"connection: close\r\n"), [200]),
    "close among others": (sized(b"connection: x, Close ,y\r\n"), [200]),
    # two ways to say how long it is
    "length and chunked": (head(LENGTH, CHUNKED) + CHUNKS, ENDS),
    "chunked and length": (head(CHUNKED, b"content-length: 5\r\n") + CHUNKS, ENDS),
    "length 0 and chunked": (head(b"content-length: 0\r\n", CHUNKED) + CHUNKS, ENDS),
    "two lengths": (head(LENGTH, b"content-length: 5\r\n") + BODY, ENDS),
    "the same length twice": (head(LENGTH, LENGTH) + BODY, ENDS),
    "a list of lengths": (head(b"content-length: 5, 5\r\n") + b"hello", ENDS),
    "two transfer encodings": (head(CHUNKED, CHUNKED) + CHUNKS, ENDS),
    "chunked and identity": (head(CHUNKED, b"transfer-encoding: identity\r\n") + CHUNKS, ENDS),
    # lengths
    **{f"length {value!r}": (head(b"content-length: " + value + b"\r\n") + b"hello", ENDS)
       for value in (b"+5", b"-1", b"-0", b"0x5", b"5;", b"5 5", b"", b"five", b"5.0", b"1e1",
                     b"5,",
                     b"\xc2\xb2", b"18446744073709551616", b"18446744073709551621",
                     b"99999999999999999999", b"0" * 30 + b"5")},
    "length over what is taken": (head(b"content-length: 123456789\r\n"), ENDS),
    "length of nothing": (head(b"content-length: 0\r\n"), STAYS),
    "neither": (head(), STAYS),
    # transfer encodings
    **{f"transfer encoding {value!r}":
       (head(b"transfer-encoding: " + value + b"\r\n") + CHUNKS, ENDS)
       for value in (b"identity", b"gzip", b"gzip, chunked", b"identity, chunked", b"", b",chunked",
                     b"chunked, identity", b"chunked, chunked", b"xchunked", b"chunkedx",
                     b"chunked;q=1", b"\"chunked\"", b"chunked,", b"\x0bchunked", b"chunked\x00",
                     b"chun ked", b"\xa0chunked")},
    **{f"transfer encoding in {line!r}": (head(line, LENGTH) + BODY, ENDS)
       for line in (b"transfer-encoding : chunked\r\n", b"\ttransfer-encoding: chunked\r\n",
                    b"x: y\r\n transfer-encoding: chunked\r\n",
                    b"x: y\rtransfer-encoding: chunked\r\n",
                    b"x: y\ntransfer-encoding: chunked\r\n")},
    "HTTP/1.0 and chunked": (head(CHUNKED, line=b"POST / HTTP/1.0\r\n") + CHUNKS, ENDS),
    # chunks
    **{f"chunk {data!r}": (chunked(data), ENDS) for data in
       (b"3zz\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"\r\n", b"+3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n", b" 3\r\nabc\r\n0\r\n\r\n", b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\r\nab\r\n0\r\n\r\n",
        b";a=b\r\nabc\r\n",
        b"fffffffffffffffff\r\n", b"00000000000000003\r\nabc\r\n0\r\n\r\n", b"3\r\nabc0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n", b"0\n\n", b"0\r\n\n", b"3;" + b"x" * 300 + b"\r\nabc\r\n0\r\n\r\n",
        b"3;a\x00b\r\nabc\r\n0\r\n\r\n", b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"3;a\rb\r\nabc\r\n0\r\n\r\n")},
    "chunks of a byte": (chunked(b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n"), ENDS),
    "a chunk over what is taken": (chunked(b"ffffffffffffffff\r\n" + b"x" * 1_100_000), ENDS),
    # lines
    "bare line feeds": (sized().replace(b"\r\n", b"\n"), ENDS),
    "one bare line feed": (sized().replace(b"\r\nhost", b"\nhost", 1), ENDS),
    "a bare line feed at the head's end": (head(LENGTH)[:-2] + b"\n" + BODY, ENDS),
    "CR CR LF": (sized().replace(b"\r\nhost", b"\r\r\nhost", 1), ENDS),
    "a bare CR in a value": (sized(b"x: a\rb\r\n"), ENDS),
    "a folded line": (sized(b"x: a\r\n b\r\n"), ENDS),
    "a folded first line": (sized(host=b" x: y\r\n" + HOST), ENDS),
    "an empty line first": (b"\r\n" + sized(), ENDS),
    "NUL in a value": (sized(b"x: a\0b\r\n"), ENDS),
    "NUL in a name": (sized(b"x\0y: a\r\n"), ENDS),
    "NUL in the target": (sized(line=b"POST /\0 HTTP/1.1\r\n"), ENDS),
    "NULs": (b"\0" * 100, ENDS),
    "a control character": (sized(b"x: \x7f\r\n"), ENDS),
    "no colon": (sized(b"hello\r\n"), ENDS),
    "no name": (sized(b": a\r\n"), ENDS),
    "a space before the colon": (sized(b"x : a\r\n"), ENDS),
    "a name that is no token": (sized(b"x(y): a\r\n"), ENDS),
    # the request line
    "absolute target": (sized(line=b"POST http://weir/ HTTP/1.1\r\n"), ENDS),
    "absolute target elsewhere": (sized(line=b"POST http://169.254.169.254/ HTTP/1.1\r\n"), ENDS),
    "asterisk": (head(line=b"OPTIONS * HTTP/1.1\r\n"), ENDS),
    "authority": (head(line=b"CONNECT weir:443 HTTP/1.1\r\n"), ENDS),
    "fragment": (sized(line=b"POST /#x HTTP/1.1\r\n"), ENDS),
    "target of raw bytes": (sized(line=b"POST /\xff HTTP/1.1\r\n"), ENDS),
    "two spaces": (sized(line=b"POST  / HTTP/1.1\r\n"), ENDS),
    "tabs": (sized(line=b"POST\t/\tHTTP/1.1\r\n"), ENDS),
    "four parts": (sized(line=b"POST / / HTTP/1.1\r\n"), ENDS),
    "a space at the line's end": (sized(line=b"POST / HTTP/1.1 \r\n"), ENDS),
    "no version": (b"POST /\r\n\r\n", ENDS),
    "lower-case version": (sized(line=b"POST / http/1.1\r\n"), ENDS),
    "HTTP/1.0": (sized(line=b"POST / HTTP/1.0\r\n"), ENDS),
    "HTTP/1.2": (sized(line=b"POST / HTTP/1.2\r\n"), ENDS),
    "HTTP/2.0": (sized(line=b"POST / HTTP/2.0\r\n"), ENDS),
    "HTTP/1.10": (sized(line=b"POST / HTTP/1.10\r\n"), ENDS),
    "a method with a control": (sized(line=b"PO\x01ST / HTTP/1.1\r\n"), ENDS),
    "no method": (sized(line=b" / HTTP/1.1\r\n"), ENDS),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", ENDS),
    "TLS inside": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 90, ENDS),
    "an answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ENDS),
    "PROXY, without being asked": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + sized(), ENDS),
    "PROXY of version 2": (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0" + sized(), ENDS),
    # hosts
    "no host": (sized(host=b""), ENDS),
    "two hosts": (sized(HOST), ENDS),
    "a host with a path": (sized(host=b"host: a/b\r\n"), ENDS),
    "a host with a user": (sized(host=b"host: a@b\r\n"), ENDS),
    "a list of hosts": (sized(host=b"host: a, b\r\n"), ENDS),
    # floods
    "too many fields": (sized(b"x: y\r\n" * 120), ENDS),
    "too large a head": (sized(b"x: " + b"y" * 140_000 + b"\r\n"), ENDS),
    "a line without an end": (b"POST / HTTP/1.1\r\nx: " + b"y" * 300_000, ENDS),
    "a name without an end": (b"POST / HTTP/1.1\r\n" + b"y" * 300_000, ENDS),
    "a method without an end": (b"P" * 300_000, ENDS),
    # who may, and what: the order of the answers tells strangers the least
    "no key": (sized(key=b""), [401]),
    "no key, and waiting for leave": (head(b"expect: 100-continue\r\n", LENGTH, key=b""), [401]),
    "no key, and much to come": (head(b"content-length: 90000000\r\n", key=b"") + b"x" * 99_999,
                             [401]),
    "no key, and no body": (head(key=b""), [401, 200]),
    "another path": (sized(line=b"POST /x HTTP/1.1\r\n"), [404]),
    "a path with a dot": (sized(line=b"POST /./ HTTP/1.1\r\n"), [404]),
    "an encoded path": (sized(line=b"POST /%2f HTTP/1.1\r\n"), [404]),
    "a query": (sized(line=b"POST /?a HTTP/1.1\r\n"), [404]),
    "PUT": (sized(line=b"PUT / HTTP/1.1\r\n"), [405]),
    "TRACE": (head(line=b"TRACE / HTTP/1.1\r\n"), [405, 200]),
    "another expectation": (sized(b"expect: 200-ok\r\n"), ENDS),
    "health with a body": (sized(line=b"GET /healthz HTTP/1.1\r\n"), [200]),
    "request id with a quote": (sized(b"x-amz-firehose-request-id: a\"b\r\n"), ENDS),
    "garbage behind a request": (sized() + b"\x00\x01garbage\r\n\r\n", [200, 400]),
    "a body longer than its length": (sized(body=BODY)[:-1] + BODY[-1:] + b"}}\r\n", [200, 400]),
    "chunks, then a line end": (chunked(CHUNKS + b"\r\n"), [200, 400]),
    "a body that is no gzip": (sized(b"content-encoding: gzip\r\n"), STAYS),
    "a coding we have not": (sized(b"content-encoding: br\r\n"), ENDS),
}


def answers(data):
    """The statuses of all answers in what came; each must be whole, and what Firehose can read."""
    found = []
    while data:
        top, separator, data = data.partition(b"\r\n\r\n")
        first, *lines = top.split(b"\r\n")
        if not separator or not first.startswith(b"HTTP/1.1 "):
            raise ValueError(f"no answer: {top[:80]!r}")
        found.append(int(first[9:12]))
        if found[-1] == 100:
            continue
        fields = dict(line.lower().split(b": ", 1) for line in lines)
        size = int(fields[b"content-length"])
        body, data = data[:size], data[size:]
        if fields[b"content-type"] == b"application/json":
            json.loads(body)
    return found


def cuts(data, how, seed):
    """The pieces in which it is sent."""
    if how == "whole":
        return [data]
    if how == "bytes" and len(data) < 4000:
        return [data[at:at + 1] for at in range(len(data))]
    rng, pieces, at = random.Random(seed), [], 0
    while at < len(data):
        size = rng.choice((1, 2, 3, 7, 40, 500)) if len(data) < 4000 else rng.randrange(1, 60000)
        pieces.append(data[at:at + size])
        at += size
    return pieces


class Torture(WeirCase):
    """The whole table against one program."""

    def play(self, opened, data, pieces):
        """All that the other side says until it ends the connection."""
        got = b""
        with opened() as sock:
            try:
                for piece in pieces:
                    sock.sendall(piece)
            except OSError:
                pass  # refused and closed already; the answer is there all the same
            try:
                while piece := sock.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
            except ssl.SSLError as end:
                if "EOF" not in str(end):
                    raise
        return got

    def one(self, opened, name, how):
        """A case in one way: None, or what is wrong."""
        data, expected = CASES[name]
        data += AFTER
        try:
            seen = answers(self.play(opened, data, cuts(data, how, name + how)))
        except (ValueError, KeyError, OSError) as wrong:
            return f"{name} ({how}): {wrong!r}"
        return None if seen == expected else f"{name} ({how}): {seen}, not {expected}"

    def run_table(self, weir, opened):
        """Every case in every way, some at a time; then a good request as ever, and the books."""
        ways = [(name, how) for name in CASES for how in WAYS]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            wrong = [w for w in pool.map(lambda way: self.one(opened, *way), ways) if w is not None]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(ways)}:\n" + "\n".join(wrong))
        good = sum(expected.count(200) - (expected[-1] == 200 and expected[0] != 200
                                          or expected[-2:] == [200, 200])
                   for name, (_, expected) in CASES.items() if not name.startswith("health"))
        self.assertEqual(weir.metric("weir_requests_total", code="200"), len(WAYS) * good)
        self.assertEqual(weir.metric("weir_requests_total", code="413"), 0)

    def test_plain(self):
        weir = self.weir(self.receiver(), ingest={"body_limit": "1MiB"}, dedupe={"window": "0s"},
                         memory_limit="256MiB")
        self.run_table(weir, lambda: self.plain(weir))

    def plain(self, weir):
        """A connection without Nagle's delay."""
        sock = socket.create_connection(("127.0.0.1", weir.port), timeout=20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def test_tls(self):
        authority = certs.Authority(self.folder)
        tls = {"certificates": [authority.issue().config()]}
        weir = self.weir(self.receiver(), ingest={"body_limit": "1MiB", "tls": tls},
                         dedupe={"window": "0s"}, memory_limit="256MiB")
        context = ssl.create_default_context(cafile=authority.file)
        self.run_table(weir, lambda: context.wrap_socket(self.plain(weir),
                                                         server_hostname="localhost"))


if __name__ == "__main__":
    case.main()
