# SPDX-License-Identifier: Apache-2.0
"""Plays Firehose over a raw socket, so that a test decides every byte and every pause."""
import base64
import gzip
import json
import socket
import time
import uuid


def envelope(records, request_id=None, timestamp=1_700_000_100_000):
    """A request body of these records (bytes each)."""
    data = [{"data": base64.b64encode(record).decode()} for record in records]
    return json.dumps({"requestId": request_id or str(uuid.uuid4()), "timestamp": timestamp,
                       "records": data}, separators=(",", ":")).encode()


class Response:
    """An answer: `status`, `headers` (lower case), `body`, `interim` (the 1xx before it)."""

    def __init__(self, status, headers, body, interim):
        self.status, self.headers, self.body, self.interim = status, headers, body, interim

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Firehose:
    """One connection. Everything Firehose would send is the default, everything can be changed."""

    def __init__(self, port, key="test-key", path="/", timeout=30):
        self.key, self.path = key, path
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection."""
        self.socket.close()

    def head(self, length, request_id="", method="POST", path=None, **extra):
        """A request head; a header given as None is left out, underscores become hyphens."""
        headers = {
            "host": "weir.example.com", "x-amz-firehose-protocol-version": "1.0",
            "x-amz-firehose-request-id": request_id, "x-amz-firehose-access-key": self.key,
            "x-amz-firehose-source-arn":
                "arn:aws:firehose:eu-west-1:123456789012:deliverystream/weir-test",
            "content-type": "application/json", "content-length": str(length),
            "user-agent": "Amazon Kinesis Data Firehose Agent/1.0"}
        headers |= {name.replace("_", "-"): value for name, value in extra.items()}
        lines = [f"{method} {self.path if path is None else path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def request(self, body, compressed=False, chunk=0, **head):
        """A whole request as bytes. `chunk`: send chunked, in chunks of that size."""
        try:
            head.setdefault("request_id", json.loads(body)["requestId"])
        except (ValueError, KeyError, TypeError):
            head.setdefault("request_id", str(uuid.uuid4()))
        if compressed:
            body = gzip.compress(body, 6)
            head.setdefault("content_encoding", "gzip")
        if not chunk:
            return self.head(len(body), **head) + body
        pieces = [body[at:at + chunk] for at in range(0, len(body), chunk)] + [b""]
        head |= {"content_length": None, "transfer_encoding": "chunked"}
        return self.head(0, **head) + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces)

    def send(self, data, piece=0):
        """Sends bytes, whole or in pieces (each its own write, with Nagle off)."""
        if not piece:
            self.socket.sendall(data)
            return
        for at in range(0, len(data), piece):
            self.socket.sendall(data[at:at + piece])

    def post(self, body, piece=0, **how):
        """Sends one request and reads its answer."""
        self.send(self.request(body, **how), piece)
        return self.response()

    def fill(self):
        """Reads more; ConnectionError at the end of the stream."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed with {len(self.buffer)} bytes of an answer")
        self.buffer += data

    def read_head(self):
        """(status, headers) of the next answer."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        version, status, _ = first.split(" ", 2)
        if version != "HTTP/1.1":
            raise ConnectionError(f"not an HTTP/1.1 answer: {first}")
        pairs = [line.split(": ", 1) for line in lines]
        return int(status), {name.lower(): value.strip() for name, value in pairs}

    def response(self):
        """Reads the next answer, with the interim ones before it."""
        interim = []
        status, headers = self.read_head()
        while status < 200:
            interim.append(status)
            status, headers = self.read_head()
        length = int(headers["content-length"])  # Firehose wants it on every answer
        while len(self.buffer) < length:
            self.fill()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Response(status, headers, body, interim)

    def closed(self, seconds=10):
        """Whether the other side ends the connection within some seconds, sending nothing more."""
        deadline = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        try:
            while time.monotonic() < deadline:
                if not self.socket.recv(65536):
                    return self.buffer == b""
            return False
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
