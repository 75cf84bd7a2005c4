# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl program: an authority, and what it signs."""
import datetime
import os
import ssl
import subprocess
import warnings

KINDS = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
         "rsa1024": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
         "ecdsa": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "ed25519": ["ED25519"]}


def openssl(*arguments, folder=None):
    """Runs the program: its standard output."""
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60).stdout


class Certificate:
    """The files of one certificate: `certificate` (with its chain) and `key`; `names` it is for."""

    def __init__(self, certificate, key, names):
        self.certificate, self.key, self.names = certificate, key, names

    def config(self):
        """As an entry of ingest.tls.certificates."""
        return {"certificate": self.certificate, "key": self.key}

    def serial(self):
        """Its number, as hexadecimal text, by which tests tell one certificate from another."""
        text = openssl("x509", "-in", self.certificate, "-noout", "-serial").decode()
        return text.strip().partition("=")[2]


class Authority:
    """An authority with its files in `folder`. `file` is what clients verify with."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name, self.count = folder, name, 0
        self.file, self.key = self.path(f"{name}.crt.pem"), self.path(f"{name}.key.pem")
        make_key(self.key, "ecdsa")
        openssl("req", "-x509", "-new", "-key", self.key, "-out", self.file, "-days", "30",
                "-subj", f"/CN=Weir test {name}")

    def path(self, name):
        """A file in the folder."""
        return os.path.join(self.folder, name)

    def issue(self, *names, kind="ecdsa", days=30, file=None, issuer_too=False):
        """A Certificate for these DNS names (default: localhost). `days` may be negative: expired
        then. `file` names its files, over those of a certificate before."""
        names = names or ("localhost",)
        self.count += 1
        stem = file or f"{names[0].replace('*', 'any')}-{kind}-{self.count}"
        certificate, key = self.path(f"{stem}.crt.pem"), self.path(f"{stem}.key.pem")
        fresh_certificate, fresh_key = certificate + ".new", key + ".new"
        make_key(fresh_key, kind)
        request, extension = self.path("request.pem"), self.path("extension.cnf")
        openssl("req", "-new", "-key", fresh_key, "-out", request, "-subj", f"/CN={names[0]}")
        with open(extension, "w", encoding="utf-8") as out:
            out.write("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n"
                      "extendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
        with open(self.path("index.txt"), "w", encoding="utf-8"):
            pass  # `openssl ca` keeps its books here; each time new ones
        openssl("ca", "-batch", "-notext", "-config", self.book(), "-in", request, "-out",
                fresh_certificate, "-cert", self.file, "-keyfile", self.key, "-extfile", extension,
                "-startdate", moment(min(days, 0) - 2), "-enddate", moment(days))
        if issuer_too:
            append(fresh_certificate, self.file)
        os.replace(fresh_certificate, certificate)
        os.replace(fresh_key, key)
        return Certificate(certificate, key, names)

    def book(self):
        """The configuration of `openssl ca`, the one command that takes a date in the past."""
        path = self.path("ca.cnf")
        with open(path, "w", encoding="utf-8") as out:
            out.write("[ca]\ndefault_ca=weir\n[weir]\ndatabase=" + self.path("index.txt")
                      + "\nnew_certs_dir=" + self.folder + "\nrand_serial=yes\n"
                      "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n")
        return path

    def context(self, version=None, ciphers=None):
        """A client's context that trusts this authority; `version` is the only one it speaks."""
        context = ssl.create_default_context(cafile=self.file)
        if ciphers is not None:
            context.set_ciphers(ciphers)
        if version is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        return context


def moment(days):
    """So many days from now, as `openssl ca` writes a time."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return then.strftime("%y%m%d%H%M%SZ")


def make_key(path, kind, passphrase=None):
    """A private key that only its owner may read."""
    sealed = ["-aes-256-cbc", "-pass", f"pass:{passphrase}"] if passphrase else []
    openssl("genpkey", "-algorithm", *KINDS[kind], *sealed, "-out", path)
    os.chmod(path, 0o600)


def seal(certificate, passphrase):
    """Protects a certificate's key by a passphrase, in place."""
    sealed = certificate.key + ".sealed"
    openssl("pkey", "-in", certificate.key, "-aes-256-cbc", "-passout", f"pass:{passphrase}",
            "-out", sealed)
    os.chmod(sealed, 0o600)
    os.replace(sealed, certificate.key)


def append(path, other):
    """Puts another file behind a file."""
    with open(other, "rb") as source, open(path, "ab") as out:
        out.write(source.read())


def expiry(certificate):
    """When it ends, in Unix time."""
    text = openssl("x509", "-in", certificate.certificate, "-noout", "-enddate").decode()
    ends = datetime.datetime.strptime(text.strip().partition("=")[2], "%b %d %H:%M:%S %Y GMT")
    return ends.replace(tzinfo=datetime.timezone.utc).timestamp()
