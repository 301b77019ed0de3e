"""`headwater decoders try`: what becomes of a sample, without anything running."""

from pathlib import Path

from click.testing import CliRunner

from headwater.commands.decoders import decoders

MAPPING = "{topics: ['house/{device}/up'], fields: {t: {path: temp, unit: F}}}"


def tried(*arguments: str, given: bytes = b"") -> tuple[int, str]:
    result = CliRunner().invoke(decoders, ["try", *arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_native_message_from_standard_input() -> None:
    code, said = tried("-", given=b'{"device":"pump-7","fields":{"temperature":21.5}}')
    assert code == 0
    assert "pump-7  telemetry" in said
    assert "21.5" in said


def test_a_mapping_that_is_not_added_yet(tmp_path: Path) -> None:
    own, sample = tmp_path / "house.yaml", tmp_path / "sample"
    own.write_text(MAPPING)
    sample.write_text('{"temp": 212}\n{"temp": "?"}\n')
    code, said = tried(str(sample), "--with", str(own), "--device", "h1", "--lines", "--json")
    assert code == 0
    assert '"t": 100.0' in said
    assert '"t": "?"' in said


def test_what_is_wrong_is_said_and_is_the_exit_code(tmp_path: Path) -> None:
    assert tried("-", "--decoder", "nobody", given=b"{}")[0] == 1
    assert "unknown_decoder" in tried("-", "--decoder", "nobody", given=b"{}")[1]
    assert "hexadecimal" in tried("-", "--hex", given=b"xyz")[1]
    own = tmp_path / "bad.yaml"
    own.write_text("fields: 7")
    assert "fields" in tried("-", "--with", str(own), given=b"{}")[1]
