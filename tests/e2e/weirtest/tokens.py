# SPDX-License-Identifier: Apache-2.0
"""A token server (OAuth 2.0, client credentials) that misbehaves when told to.

`rule` gets each Request and returns (status, body as text or as something for JSON), or None for a
token of an hour. Tokens are T1, T2, ...; `revoked` are those that a backend should not take.
"""
import base64
import dataclasses
import http.server
import json
import threading
import time
import urllib.parse

ID, SECRET = "weir:test", "s3cret%/+ &"


@dataclasses.dataclass
class Request:
    """One request for a token. `style` is basic or body, `right` whether id and secret are."""
    number: int
    style: str
    right: bool
    form: dict
    time: float = dataclasses.field(default_factory=time.monotonic)


def credentials(headers, form):
    """(style, id, secret) of a request; RFC 6749, 2.3.1."""
    basic = headers.get("Authorization", "")
    if basic.startswith("Basic "):
        pair = base64.b64decode(basic[6:], validate=True).decode()
        return ("basic", *(urllib.parse.unquote_plus(part) for part in pair.split(":", 1)))
    return "body", form.get("client_id"), form.get("client_secret")


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Silence."""

    def do_POST(self):  # pylint: disable=invalid-name
        """Answers with what the server says."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = dict(urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True))
        status, body = self.server.owner.answer(self.headers, form)
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


class TokenServer:
    """The server, on a port of the kernel's choice."""

    def __init__(self, rule=None, style=None):
        self.rule, self.style = rule or (lambda request: None), style
        self.requests, self.issued, self.revoked = [], 0, set()
        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.owner, self.server.daemon_threads = self, True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    @property
    def url(self):
        """Where tokens come from."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/token"

    def stop(self):
        """Stops listening."""
        self.server.shutdown()
        self.server.server_close()

    def answer(self, headers, form):
        """Keeps a request; its answer."""
        with self.lock:
            style, name, secret = credentials(headers, form)
            right = ((name, secret) == (ID, SECRET) and self.style in (None, style)
                     and form.get("grant_type") == "client_credentials")
            request = Request(len(self.requests) + 1, style, right, form)
            self.requests.append(request)
            answer = self.rule(request)
            if answer is not None:
                return answer
            if not right:  # and repeats what it was sent, as some do
                return 401, {"error": "invalid_client", "error_description": f"not {secret}"}
            self.issued += 1
            return 200, {"access_token": f"T{self.issued}", "token_type": "Bearer",
                         "expires_in": 3600}

    def takes(self, batch):
        """Whether a backend may take a batch: it carries a token that is good."""
        kind, _, token = batch.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token.startswith("T") and token not in self.revoked
