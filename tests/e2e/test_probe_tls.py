#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weir probe` and certificates: each fault has its line, and no key goes to whom it is found
with."""
import os
import ssl

from weirtest import case, certs, program
from weirtest.endpoint import ProbeCase, Terminator


class ProbeTls(ProbeCase):
    """With TLS."""

    def test_weir_behind_tls_is_fit(self):
        weir = self.weir(self.receiver())
        authority = certs.Authority(self.folder)
        context = self.context(authority.issue(kind="rsa"))
        front = Terminator(context, weir.port)
        self.addCleanup(front.listener.close)
        code, lines, out = self.probe(
            "https://localhost/", "--connect-to", f"127.0.0.1:{front.listener.getsockname()[1]}",
            "--ca-file", authority.file, key=program.KEY)
        self.assertEqual(code, 0, out)
        self.assertIn("ECDHE-RSA-AES128-GCM-SHA256", lines["TLS 1.2"][1])
        for what in ("TLS 1.2", "TLS 1.3", "certificate chain", "certificate name",
                     "certificate dates", "certificate key", "largest head", "largest body"):
            self.assertEqual(lines[what][0], "ok", out)

    def test_weir_with_its_own_tls_is_fit(self):
        authority = certs.Authority(self.folder)
        both = [authority.issue(kind=kind).config() for kind in ("rsa", "ecdsa")]
        weir = self.weir(self.receiver(), ingest={"tls": {"certificates": both}})
        code, lines, out = self.probe("https://localhost/", "--connect-to",
                                      f"127.0.0.1:{weir.port}", "--ca-file", authority.file,
                                      "--large", key=program.KEY, body="4MiB")
        self.assertEqual(code, 0, out)
        self.assertEqual({line[0] for line in lines.values()}, {"ok", "skip"}, out)
        self.assertIn("ECDHE-RSA-AES128-GCM-SHA256", lines["TLS 1.2"][1])

    def context(self, certificate, **limits):
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(certificate.certificate, certificate.key)
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    def probe_tls(self, certificate, ca_file, host="localhost", **limits):
        """(exit code, lines, output, how many requests came) of an endpoint with TLS."""
        server = self.server(self.context(certificate, **limits))
        url = f"https://{host}/"
        result = self.probe(url, "--connect-to", f"127.0.0.1:{server.server_port}", "--ca-file",
                            ca_file)
        return *result, server.count

    def assert_distrusts(self, what, words, certificate, ca_file, **how):
        """This line fails, alone, and no request is sent."""
        code, lines, out, count = self.probe_tls(certificate, ca_file, **how)
        self.assertEqual(code, 1)
        self.assertEqual(lines[what][0], "fail", out)
        self.assertIn(words, lines[what][1])
        self.assertEqual([name for name, line in lines.items() if line[0] == "fail"], [what], out)
        self.assertEqual(count, 0)
        self.assertEqual(lines["requests"][0], "skip")

    def test_certificates(self):
        authority = certs.Authority(self.folder)
        other = certs.Authority(self.folder, "other")
        self.assert_distrusts("certificate dates", "expired",
                              authority.issue(kind="rsa", days=-1), authority.file)
        self.assert_distrusts("certificate name", "not for localhost",
                              authority.issue("elsewhere.example.com", kind="rsa"), authority.file)
        self.assert_distrusts("certificate chain", "incomplete", authority.issue(kind="rsa"),
                              other.file)
        self.assert_distrusts("certificate chain", "not trusted here",
                              authority.issue(kind="rsa", issuer_too=True), other.file)
        self.assert_distrusts("certificate key", "too weak", authority.issue(kind="rsa1024"),
                              authority.file)
        own = certs.Certificate(authority.file, authority.key, ())
        code, lines, out, _ = self.probe_tls(own, other.file)
        self.assertIn("self-signed", lines["certificate chain"][1], out)
        self.assertEqual(code, 1)

    def intermediate(self, authority):
        """An authority that `authority` has signed."""
        below = certs.Authority(self.folder, "below")
        request, extension = (os.path.join(self.folder, name) for name in ("b.csr", "b.cnf"))
        certs.openssl("req", "-new", "-key", below.key, "-out", request, "-subj", "/CN=below")
        with open(extension, "w", encoding="utf-8") as file:
            file.write("basicConstraints=critical,CA:TRUE\n")
        certs.openssl("x509", "-req", "-in", request, "-CA", authority.file, "-CAkey",
                      authority.key, "-CAcreateserial", "-days", "30", "-extfile", extension,
                      "-out", below.file)
        return below

    def test_a_missing_intermediate(self):
        authority = certs.Authority(self.folder)
        below = self.intermediate(authority)
        code, lines, out, count = self.probe_tls(
            below.issue(kind="rsa", issuer_too=True), authority.file)
        self.assertEqual((code, lines["certificate chain"][0]), (0, "ok"), out)
        self.assertIn("2 certificates", lines["certificate chain"][1])
        self.assertGreater(count, 10)
        self.assert_distrusts("certificate chain", "fullchain.pem", below.issue(kind="rsa"),
                              authority.file)

    def test_what_firehose_can_live_with(self):
        authority = certs.Authority(self.folder)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="rsa", days=5), authority.file)
        self.assertEqual((code, lines["certificate dates"][0]), (0, "warn"), out)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="ecdsa"), authority.file)
        self.assertEqual((code, lines["TLS 1.2"][0], lines["certificate key"][0]),
                         (0, "warn", "warn"), out)
        code, lines, out, _ = self.probe_tls(authority.issue(kind="rsa"), authority.file,
                                             maximum_version=ssl.TLSVersion.TLSv1_2)
        self.assertEqual((code, lines["TLS 1.3"][0]), (0, "warn"), out)

    def test_tls_13_only(self):
        authority = certs.Authority(self.folder)
        self.assert_distrusts("TLS 1.2", "Allow TLS 1.2", authority.issue(kind="rsa"),
                              authority.file, minimum_version=ssl.TLSVersion.TLSv1_3)

    def test_no_tls_at_all(self):
        server = self.server()
        code, lines, out = self.probe("https://localhost/", "--connect-to",
                                      f"127.0.0.1:{server.server_port}")
        self.assertEqual((code, lines["TLS 1.2"][0], lines["requests"][0]),
                         (1, "fail", "skip"), out)


if __name__ == "__main__":
    case.main()
