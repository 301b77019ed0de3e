"""Certificates for tests, made by the openssl command in a folder of their own: CAs, a server, clients good and bad."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

_CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class Pair(NamedTuple):
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


def _openssl(*arguments: object) -> str:
    assert shutil.which("openssl"), "openssl is not installed: apt-get install -y --no-install-recommends openssl"
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """A CA of its own. `certificate`: what to believe."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_CURVE, "-keyout", self._key, "-out", self.certificate, "-subj", f"/CN={name}",
            "-days", 30, "-addext", "basicConstraints=critical,CA:TRUE",
        )  # fmt: skip

    def issue(self, name: str, *extensions: str, subject: str = "", file: str = "", days: int = 30) -> Pair:
        """A certificate with this common name. With `days` below 0 it has expired."""
        stem = self._folder / (file or name)
        pair = Pair(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        request = stem.with_suffix(".csr")
        _openssl("req", *_CURVE, "-keyout", pair.key, "-out", request, "-subj", subject or f"/CN={name}")
        more = stem.with_suffix(".ext")
        more.write_text("\n".join(("basicConstraints=CA:FALSE", *extensions)) + "\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-out", pair.certificate,
            "-extfile", more, "-days", days,
        )  # fmt: skip
        return pair

    def server(self, file: str = "server") -> Pair:
        """For this machine."""
        return self.issue("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1", file=file)


class Fleet:
    """All that the tests need: a CA for servers, one for devices, and one that nobody believes."""

    def __init__(self, folder: Path) -> None:
        self.servers = Authority(folder, "server-ca")
        self.devices = Authority(folder, "device-ca")
        self.strangers = Authority(folder / "strangers", "device-ca")
        self.server = self.servers.server()
        self.pump = self.devices.issue("pump-7", "subjectAltName=DNS:pump-7,URI:urn:dev:pump-7")
        self.foreign = self.strangers.issue("pump-7")

    def listener(self, **more: object) -> dict[str, object]:
        """Settings of a listener with TLS."""
        return {
            "listen": "127.0.0.1:0",
            "certificate": str(self.server.certificate),
            "key": str(self.server.key),
            **more,
        }

    def client(self, shows: Pair | None = None, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What a client believes and shows."""
        context = ssl.create_default_context(cafile=str(self.servers.certificate))
        if shows is not None:
            context.load_cert_chain(*shows)
        if newest is not None:
            context.maximum_version = newest
        return context
