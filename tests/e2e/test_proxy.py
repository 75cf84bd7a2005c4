#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Through a proxy: it is used as configured, and what it says is not taken for the backend's."""
import os
import socket
import ssl
import subprocess
import threading

from weirtest import case, points, program
from weirtest.case import WeirCase


class Proxy:
    """An HTTP proxy for CONNECT that lets everything through (200) or nothing (another status)."""

    def __init__(self, status=200):
        self.status, self.heads = status, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        """Takes connections until the listener is closed."""
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """One CONNECT, then bytes both ways."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536) or b"\r\n\r\n"
        self.heads.append(head)
        if self.status != 200:
            client.sendall(f"HTTP/1.1 {self.status} no\r\nContent-Length: 0\r\n\r\n".encode())
            client.close()
            return
        port = int(head.split()[1].rsplit(b":", 1)[1])
        backend = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
        threading.Thread(target=self.pipe, args=(backend, client), daemon=True).start()
        self.pipe(client, backend)

    @staticmethod
    def pipe(source, sink):
        """Copies until one side ends, then ends both."""
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()


class Proxied(WeirCase):
    """A backend with TLS behind a proxy."""

    def tls_receiver(self):
        """(a receiver with TLS, the file that verifies it)."""
        certificate, key = (os.path.join(self.folder, name) for name in ("c.pem", "k.pem"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
             certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        receiver = self.receiver()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        return receiver, certificate

    def through(self, proxy, **environment):
        """(program, receiver), the one sending to the other through the proxy."""
        receiver, certificate = self.tls_receiver()
        url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        config = program.configuration("", destinations=[
            {"name": "backend", "endpoint": url, "proxy": proxy.url,
             "tls": {"ca_file": certificate}}])
        weir = program.Weir(config, self.folder, **environment)
        self.addCleanup(weir.kill)  # data that is held may remain
        return weir, receiver

    def test_a_tunnel_is_no_repeat(self):
        weir, receiver = self.through(Proxy())
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assert_arrived(receiver, points.series(5))
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_export_points_total", outcome="delivered") == 5))
        self.assertEqual(weir.metric("weir_export_repeats_total"), 0)

    def test_the_environment_does_not_lead_past_it(self):
        proxy = Proxy()
        weir, receiver = self.through(proxy, NO_PROXY="*", no_proxy="*")
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assert_arrived(receiver, points.series(5))
        self.assertEqual(len(proxy.heads), 1)

    def test_a_proxy_that_wants_a_password_blocks(self):
        weir, _ = self.through(Proxy(407))
        self.deliver(weir, [points.as_json(points.series(5))])
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_destination_blocked", reason="407") == 1))

    def test_a_proxy_that_refuses_has_delivered_and_refused_nothing(self):
        for status in (400, 403, 500, 503):
            with self.subTest(status):
                proxy = Proxy(status)
                weir, _ = self.through(proxy)
                self.deliver(weir, [points.as_json(points.series(5))])
                self.assertTrue(weir.wait_metric(lambda p=proxy: len(p.heads) >= 4))
                self.assertEqual(weir.metric("weir_export_repeats_total"), 0)
                self.assertEqual(weir.metric("weir_dead_letter_points_total"), 0)
                self.assertEqual(weir.metric("weir_export_points_total"), 0)


if __name__ == "__main__":
    case.main()
