#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS towards backends: client certificates, who is trusted, which versions, past a proxy."""
import os
import ssl
import subprocess
import warnings

from weirtest import case, points, program
from weirtest.case import WeirCase
from test_proxy import Proxy


class Tls(WeirCase):
    """A backend with TLS that may ask for a certificate."""

    def certificate(self, name):
        """(certificate, key), self-signed, for the host `localhost`."""
        files = [os.path.join(self.folder, f"{name}.{kind}.pem") for kind in ("crt", "key")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", files[1],
             "-out", files[0], "-days", "2", "-subj", f"/CN={name}", "-addext",
             "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        return files

    def backend(self, **limits):
        """A receiver, the file that verifies it, and its context's `limits`."""
        certificate, key = self.certificate("server")
        receiver = self.receiver()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if "client" in limits:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(limits["client"])
        if "maximum" in limits:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
                context.minimum_version = ssl.TLSVersion.TLSv1
                context.maximum_version = limits["maximum"]
        receiver.server.socket = context.wrap_socket(
            receiver.server.socket, server_side=True, do_handshake_on_connect=False)
        return receiver, certificate

    def sending(self, receiver, **destination):
        """A program that has been given ten points for the backend, and them."""
        url = receiver.url.replace("http://127.0.0.1", "https://localhost")
        weir = program.Weir(program.configuration("", destinations=[
            {"name": "backend", "endpoint": url} | destination]), self.folder)
        self.addCleanup(weir.kill)  # data that is held may remain
        sent = points.series(10)
        self.deliver(weir, [points.as_json(sent)])
        return weir, sent

    def assert_held(self, weir, receiver):
        """Nothing arrives, and the destination is not up."""
        def is_down():
            return '"state":"up"' not in weir.admin("/status")[2].replace(" ", "")
        self.assertTrue(weir.wait_metric(is_down))
        self.assertEqual(receiver.batches, [])
        self.assertEqual(weir.metric("weir_export_points_total"), 0)

    def test_a_client_certificate(self):
        certificate, key = self.certificate("client")
        receiver, ca_file = self.backend(client=certificate)
        _, sent = self.sending(receiver, tls={"ca_file": ca_file, "certificate": certificate,
                                              "key": key})
        self.assert_arrived(receiver, sent)

    def test_certificate_and_key_in_one_file(self):
        certificate, key = self.certificate("client")
        both = os.path.join(self.folder, "both.pem")
        with open(both, "wb") as file:
            for part in (certificate, key):
                with open(part, "rb") as source:
                    file.write(source.read())
        receiver, ca_file = self.backend(client=certificate)
        _, sent = self.sending(receiver, tls={"ca_file": ca_file, "certificate": both})
        self.assert_arrived(receiver, sent)

    def test_no_client_certificate_where_one_is_asked_for(self):
        receiver, ca_file = self.backend(client=self.certificate("client")[0])
        weir, _ = self.sending(receiver, tls={"ca_file": ca_file})
        self.assert_held(weir, receiver)

    def test_an_unknown_authority_blocks(self):
        receiver, _ = self.backend()
        weir, _ = self.sending(receiver)
        self.assertTrue(weir.wait_metric(
            lambda: weir.metric("weir_destination_blocked", reason="tls") == 1))
        self.assert_held(weir, receiver)

    def test_insecure_believes_whoever_answers_and_says_so(self):
        receiver, _ = self.backend()
        weir, sent = self.sending(receiver, tls={"insecure": True})
        self.assert_arrived(receiver, sent)
        self.assertIn("tls.insecure", weir.log_text())
        self.assertIn("certificates are not verified", weir.log_text())

    def test_versions(self):
        receiver, ca_file = self.backend(maximum=ssl.TLSVersion.TLSv1_2)
        _, sent = self.sending(receiver, tls={"ca_file": ca_file})
        self.assert_arrived(receiver, sent)
        receiver, ca_file = self.backend(maximum=ssl.TLSVersion.TLSv1_1)
        weir, _ = self.sending(receiver, tls={"ca_file": ca_file})
        self.assert_held(weir, receiver)

    def test_a_minimum_version(self):
        receiver, ca_file = self.backend(maximum=ssl.TLSVersion.TLSv1_2)
        weir, _ = self.sending(receiver, tls={"ca_file": ca_file, "min_version": "1.3"})
        self.assert_held(weir, receiver)
        receiver, ca_file = self.backend()
        _, sent = self.sending(receiver, tls={"ca_file": ca_file, "min_version": "1.3"})
        self.assert_arrived(receiver, sent)

    def test_past_the_proxy(self):
        for hosts, count in ((["localhost"], 0), (["*"], 0), (["example.com"], 1)):
            with self.subTest(hosts):
                receiver, ca_file = self.backend()
                proxy = Proxy()
                _, sent = self.sending(receiver, tls={"ca_file": ca_file}, proxy=proxy.url,
                                       no_proxy=hosts)
                self.assert_arrived(receiver, sent)
                self.assertEqual(len(proxy.heads), count)


if __name__ == "__main__":
    case.main()
