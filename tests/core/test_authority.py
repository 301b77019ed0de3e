"""Headwater's own certificate authority: what it signs is taken by a real TLS stack, and nothing else is."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from headwater.authority import Authority, Issued, held_of
from headwater.errors import ConfigError, Rejected


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("Headwater")


def written(folder: Path, name: str, issued: Issued) -> tuple[Path, Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    certificate.write_bytes(issued.certificate)
    key.write_bytes(issued.key)
    return certificate, key


def shown(folder: Path, authority: Authority, device: Issued, trusted: Authority | None = None) -> str:
    """What a server that trusts the authority sees of the client's certificate: its fingerprint."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*written(folder, "server", authority.server(("localhost", "127.0.0.1"))))
    server.load_verify_locations(cadata=(trusted or authority).certificate.decode())
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    client.load_cert_chain(*written(folder, "device", device))
    ours, theirs = socket.socketpair()
    seen: list[bytes | None] = []

    def serve() -> None:
        with suppress(ssl.SSLError), ours, server.wrap_socket(ours, server_side=True) as secured:
            seen.append(secured.getpeercert(binary_form=True))

    thread = threading.Thread(target=serve)
    thread.start()
    with theirs, client.wrap_socket(theirs, server_hostname="localhost") as secured:
        assert secured.version() == "TLSv1.3"
        secured.recv(1)
    thread.join(10)
    if not seen or seen[0] is None:
        return ""
    return x509.load_der_x509_certificate(seen[0]).fingerprint(hashes.SHA256()).hex()


def test_a_device_shows_what_the_registry_keeps(tmp_path: Path, authority: Authority) -> None:
    device = authority.device("pump-7")
    assert shown(tmp_path, authority, device) == device.held.fingerprint == held_of(device.certificate).fingerprint


def test_a_certificate_of_another_authority_is_not_taken(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(ssl.SSLError):
        shown(tmp_path, authority, authority.device("pump-7"), trusted=Authority.new("another"))


def request_of(name: str | None, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject)
    asked = asked.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return asked.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("name", ["pump-7", None])
def test_a_request_gets_a_certificate_for_its_key_and_nothing_else_that_it_asks_for(
    authority: Authority, name: str | None
) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    issued = authority.requested(request_of(name, key), "pump-7")
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    assert certificate.public_key() == key.public_key()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert [one.value for one in certificate.subject] == ["pump-7"]
    assert issued.key == b""


def test_a_request_that_should_not_be_signed_is_not(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Rejected, match="is for 'pump-8'"):
        authority.requested(request_of("pump-8", key), "pump-7")
    with pytest.raises(Rejected, match="2048 bits"):
        authority.requested(request_of("pump-7", rsa.generate_private_key(65537, 1024)), "pump-7")
    with pytest.raises(Rejected, match="PEM"):
        authority.requested(b"nonsense", "pump-7")
    forged = bytearray(x509.load_pem_x509_csr(request_of("pump-7", key)).public_bytes(serialization.Encoding.DER))
    forged[-1] ^= 1
    pem = x509.load_der_x509_csr(bytes(forged)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(Rejected, match="not signed by its own"):
        authority.requested(pem, "pump-7")


@pytest.mark.parametrize("name", ["a" * 65, "a/b", ""])
def test_a_name_that_no_certificate_can_have_is_refused(authority: Authority, name: str) -> None:
    with pytest.raises(Rejected):
        authority.device(name)


def test_no_certificate_outlives_its_authority() -> None:
    short = Authority.new("short", days=10)
    assert short.device("pump-7", days=365).held.expires == held_of(short.certificate).expires


def test_it_is_read_from_its_files_and_a_wrong_key_is_told(tmp_path: Path, authority: Authority) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca-key.pem"
    certificate.write_bytes(authority.certificate)
    key.write_bytes(authority.key)
    again = Authority.read(certificate, key)
    assert shown(tmp_path, authority, again.device("pump-7")) != ""
    key.write_bytes(Authority.new("other").key)
    with pytest.raises(ConfigError, match="is not the key of"):
        Authority.read(certificate, key)
    key.unlink()
    with pytest.raises(ConfigError, match=r"ca-key\.pem: No such file"):
        Authority.read(certificate, key)
