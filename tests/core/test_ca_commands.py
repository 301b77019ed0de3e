"""`headwater ca`: files that TLS stacks take, secrets for their owner's eyes, nothing ever overwritten."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from headwater.cli import main


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.chdir(tmp_path)


def ca(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ca", *arguments])


def works(*arguments: str) -> None:
    done = ca(*arguments)
    assert done.exit_code == 0, done.output


def fails(*arguments: str) -> str:
    done = ca(*arguments)
    assert done.exit_code == 1, done.output
    return done.stderr


def certificate(path: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(path).read_bytes())


def test_an_authority_is_made_once_and_its_key_is_for_its_owner(tmp_path: Path):
    works("init", "--name", "Plant 3")
    assert certificate("ca/ca.pem").subject.rfc4514_string() == "CN=Plant 3"
    assert (tmp_path / "ca/ca-key.pem").stat().st_mode & 0o77 == 0
    before = (tmp_path / "ca/ca-key.pem").read_bytes()
    assert "not overwritten" in fails("init")
    assert (tmp_path / "ca/ca-key.pem").read_bytes() == before


def test_a_gateways_certificate_has_the_names_it_is_reached_by():
    works("init")
    works("server", "gw.example.org", "192.0.2.10", "--out", "tls")
    made = certificate("tls/server.pem")
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gw.example.org"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.10"]
    made.verify_directly_issued_by(certificate("ca/ca.pem"))
    assert Path("tls/server-key.pem").stat().st_mode & 0o77 == 0


def test_a_devices_own_key_never_leaves_it():
    works("init")
    key = ec.generate_private_key(ec.SECP256R1())
    for name in ("pump-7", "pump-8"):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        Path(f"{name}.csr").write_bytes(request.public_bytes(serialization.Encoding.PEM))
    works("device", "pump-7", "--request", "pump-7.csr", "--days", "10")
    made = certificate("pump-7.pem")
    assert made.public_key() == key.public_key()
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 10
    assert not Path("pump-7-key.pem").exists()
    assert "pump-8" in fails("device", "pump-9", "--request", "pump-8.csr")
    assert not Path("pump-9.pem").exists()


def test_what_is_missing_or_wrong_is_said_before_anything_is_made():
    assert "headwater ca init --out ca" in fails("device", "pump-7")
    works("init")
    works("init", "--out", "other")
    Path("ca/ca-key.pem").write_bytes(Path("other/ca-key.pem").read_bytes())
    assert "is not the key of" in fails("device", "pump-7")
    assert "is not a device name" in fails("device", "a/b", "--ca", "other")
    works("device", "pump-7", "--ca", "other")
    assert "not overwritten" in fails("device", "pump-7", "--ca", "other")
    assert sorted(path.name for path in Path().glob("*.pem")) == ["pump-7-key.pem", "pump-7.pem"]
