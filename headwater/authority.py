"""Headwater's own certificate authority: makes the files that a device, a server or the authority itself needs.

In: names, or a signing request that a device made of a key which never left it. Out: keys and certificates as PEM. The
authority's key is a file that only its owner needs: no gateway has it, and it may live on another machine.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headwater.errors import ConfigError, Rejected
from headwater.ids import check_device
from headwater.registry import HeldCertificate

AUTHORITY_DAYS = 3650
DEVICE_DAYS = 365
SERVER_DAYS = 397
_EARLY = timedelta(minutes=5)
"""Certificates begin in the past: a device's clock may be behind."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class Issued(NamedTuple):
    """A certificate (PEM), its key (PEM; empty where the asker has it), and what the registry keeps of it."""

    certificate: bytes
    key: bytes
    held: HeldCertificate


class Authority:
    """Signs. Keys are P-256: every TLS stack has it, and a handshake costs little on both sides."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def new(cls, name: str, days: int = AUTHORITY_DAYS) -> Self:
        """A new authority; nobody trusts it yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        begin = datetime.now(UTC) - _EARLY
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Self:
        """From its two files. Raises `ConfigError`."""
        try:
            held = x509.load_pem_x509_certificate(certificate.read_bytes())
            secret = serialization.load_pem_private_key(key.read_bytes(), None)
        except OSError as error:
            raise ConfigError(f"{error.filename}: {error.strerror}") from None
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{certificate}, {key}: no certificate and key in PEM form: {error}") from None
        if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != held.public_key():
            raise ConfigError(f"{key} is not the key of {certificate}")
        return cls(held, secret)

    @property
    def certificate(self) -> bytes:
        """What whoever shall trust it needs, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        """Its secret, PEM: whoever has it can make a certificate for any device."""
        return _private(self._key)

    def device(self, name: str, days: int = DEVICE_DAYS) -> Issued:
        """A key and certificate for a device. Raises `Rejected("bad_device")`."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(check_device(name), key.public_key(), days, ExtendedKeyUsageOID.CLIENT_AUTH, ())
        return Issued(_pem(signed), _private(key), _held(signed))

    def requested(self, request: bytes, name: str, days: int = DEVICE_DAYS) -> Issued:
        """A certificate for the key in a signing request (PEM); its subject must be the device, or empty.

        Nothing else of the request is taken over. Raises `Rejected("bad_value")`.
        """
        try:
            asked = x509.load_pem_x509_csr(request)
            valid = asked.is_signature_valid
        except (ValueError, InvalidSignature) as error:
            raise Rejected("bad_value", f"no signing request in PEM form: {error}") from None
        key = asked.public_key()
        if not valid or not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise Rejected("bad_value", "the signing request is not signed by its own EC or RSA key")
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
            raise Rejected("bad_value", f"an RSA key has 2048 bits at least, not {key.key_size}")
        names = [str(one.value) for one in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names not in ([], [name]):
            raise Rejected("bad_value", f"the signing request is for {', '.join(names)!r}, not for {name!r}")
        signed = self._sign(check_device(name), key, days, ExtendedKeyUsageOID.CLIENT_AUTH, ())
        return Issued(_pem(signed), b"", _held(signed))

    def server(self, names: tuple[str, ...], days: int = SERVER_DAYS) -> Issued:
        """A key and certificate for a gateway that is reached by these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        others = tuple(map(_general, names))
        signed = self._sign(names[0], key.public_key(), days, ExtendedKeyUsageOID.SERVER_AUTH, others)
        return Issued(_pem(signed), _private(key), _held(signed))

    def _sign(
        self, name: str, key: PublicKey, days: int, use: x509.ObjectIdentifier, names: tuple[x509.GeneralName, ...]
    ) -> x509.Certificate:
        begin = datetime.now(UTC) - _EARLY
        end = min(begin + timedelta(days=days), self._certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def held_of(certificate: bytes) -> HeldCertificate:
    """What the registry keeps of a certificate (PEM), whoever signed it. Raises `Rejected("bad_value")`."""
    try:
        return _held(x509.load_pem_x509_certificate(certificate))
    except ValueError as error:
        raise Rejected("bad_value", f"no certificate in PEM form: {error}") from None


def _held(certificate: x509.Certificate) -> HeldCertificate:
    end = round(certificate.not_valid_after_utc.timestamp() * 1e6)
    return HeldCertificate(certificate.fingerprint(hashes.SHA256()).hex(), f"{certificate.serial_number:X}", end)


def _name(name: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError as error:  # 64 characters at most, as X.509 has it
        raise Rejected("bad_device", f"{name[:80]!r} cannot stand in a certificate: {error}") from None


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
