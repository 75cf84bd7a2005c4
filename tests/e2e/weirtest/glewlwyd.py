# SPDX-License-Identifier: Apache-2.0
"""glewlwyd (Debian's package): an OAuth2 server that we did not write, on loopback, with a database
in the test's own folder.

Its files are those of the installed package, or of WEIR_GLEWLWYD, a folder that
tests/e2e/unpack_glewlwyd.sh has made. Its tokens are JWT, signed with a key that we give it, so a
backend can check them by itself.
"""
import base64
import gzip
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.environ.get("WEIR_GLEWLWYD", "/")
BINARY = os.path.join(ROOT, "usr/bin/glewlwyd")
SCHEMA = os.path.join(ROOT, "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz")
KEY = "0123456789abcdef0123456789abcdef"
PLUGIN = {"jwt-type": "sha", "jwt-key-size": "256", "key": KEY, "refresh-token-duration": 600,
          "code-duration": 60, "refresh-token-rolling": False, "auth-type-code-enabled": False,
          "auth-type-implicit-enabled": False, "auth-type-password-enabled": False,
          "auth-type-client-enabled": True, "auth-type-refresh-enabled": False,
          "auth-type-device-enabled": False, "scope": [], "additional-parameters": [],
          "introspection-revocation-allowed": False}


def available():
    """Whether it is there."""
    return os.access(BINARY, os.X_OK) and os.path.exists(SCHEMA)


def free_port():
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def is_good(authorization):
    """Whether this is a Bearer header with a token of its that has not ended."""
    kind, _, token = authorization.partition(" ")
    parts = token.split(".")
    if kind != "Bearer" or len(parts) != 3:
        return False
    signature = hmac.new(KEY.encode(), ".".join(parts[:2]).encode(), hashlib.sha256).digest()
    if base64.urlsafe_b64encode(signature).rstrip(b"=").decode() != parts[2]:
        return False
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return claims["scope"] == "metrics" and time.time() < claims["exp"] + 1


class Glewlwyd:
    """The server with one client of the id `weir` that may have the scope `metrics`."""

    def __init__(self, folder, secret, life):
        self.port, self.cookie = free_port(), ""
        database = sqlite3.connect(os.path.join(folder, "glewlwyd.db"))
        with gzip.open(SCHEMA, "rt") as schema:
            database.executescript(schema.read())
        database.close()
        path = os.path.join(folder, "glewlwyd.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.configuration(folder))
        libraries = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")
        self.log = open(os.path.join(folder, "glewlwyd.log"), "wb")  # pylint: disable=R1732
        self.process = subprocess.Popen([BINARY, "--config-file=" + path], stdout=self.log,
                                        stderr=self.log,
                                        env=dict(os.environ, LD_LIBRARY_PATH=libraries))
        self.set_up(secret, life)

    def configuration(self, folder):
        """All on loopback and in the folder."""
        modules = os.path.join(ROOT, "usr/lib/glewlwyd")
        return f"""
port={self.port}
bind_address="127.0.0.1"
external_url="http://127.0.0.1:{self.port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
cookie_domain="127.0.0.1"
cookie_secure=0
session_expiration=3600
session_key="SESSION"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="{modules}/user"
user_middleware_module_path="{folder}"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
hash_algorithm="SHA512"
database = {{ type="sqlite3" path="{os.path.join(folder, "glewlwyd.db")}" }};
"""

    def call(self, path, body):
        """A POST of its administration; the answer's headers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Cookie": self.cookie}, method="POST")
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.headers

    def set_up(self, secret, life):
        """Logs in as its administrator, and makes plugin, scope and client."""
        deadline = time.monotonic() + 20
        while not self.cookie:
            try:
                headers = self.call("auth/", {"username": "admin", "password": "password"})
                self.cookie = headers["Set-Cookie"].split(";")[0]
            except urllib.error.URLError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self.call("mod/plugin/", {
            "module": "oauth2-glewlwyd", "name": "tokens", "display_name": "tokens",
            "parameters": PLUGIN | {"url": f"http://127.0.0.1:{self.port}/api/tokens",
                                    "access-token-duration": life}})
        self.call("scope/", {"name": "metrics", "display_name": "metrics",
                             "description": "metrics", "password_required": False, "scheme": {}})
        self.call("client/", {
            "client_id": "weir", "name": "Weir", "confidential": True, "enabled": True,
            "password": secret, "client_secret": secret, "scope": ["metrics"],
            "authorization_type": ["client_credentials"], "redirect_uri": ["http://127.0.0.1/"]})

    @property
    def url(self):
        """Where tokens come from."""
        return f"http://127.0.0.1:{self.port}/api/tokens/token"

    def stop(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
