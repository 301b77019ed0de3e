"""Every example that makers give beside their codecs, run as it stands: data, warnings and errors, all of it.

In: `build/codecs` (`tests.decoders.lorawan.codecs` says what belongs there): The Things Network's `*-codec.yaml` with
examples, ChirpStack's `test_decode_*.json`. Where they are not, nothing is shown.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from headwater.errors import Rejected
from tests.decoders.lorawan.codecs import FOLDER, codec_at, of_test
from tests.decoders.samples import RECEIVED

OUT_OF_DATE = {"iwmlr3-codec.yaml"}
"""Whose example was not changed with its codec: it still has a name that the codec no longer has."""


class Example(NamedTuple):
    """An uplink, and what its maker's test expects of the codec."""

    where: str
    codec: Path
    data: bytes
    port: int
    expected: Mapping[str, Any]


class _Yaml12(yaml.CSafeLoader):
    """In YAML 1.2, `ON`, `NO` and dates are texts, and makers mean them so."""


_Yaml12.yaml_implicit_resolvers = {
    first: [one for one in ways if one[0].rpartition(":")[2] not in {"bool", "timestamp"}]
    for first, ways in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


def things() -> Iterator[Example]:
    """The examples of The Things Network's repository."""
    for path in sorted((FOLDER / "lorawan_codec").rglob("*codec*.yaml")):
        try:
            told = yaml.load(path.read_text("utf-8"), _Yaml12)  # a SafeLoader
        except yaml.YAMLError:
            continue
        decoder: dict[str, Any] = (told.get("uplinkDecoder") if isinstance(told, dict) else None) or {}
        codec = path.parent / (decoder.get("fileName") or "none")
        if not codec.is_file() or path.name in OUT_OF_DATE:
            continue
        for one in decoder.get("examples") or ():
            given = one["input"]
            yield Example(path.name, codec, bytes(given["bytes"]), given.get("fPort") or 0, one["output"])


def chirpstack() -> Iterator[Example]:
    """The tests of ChirpStack's device profiles; some of them are no JSON."""
    for path in sorted((FOLDER / "chirpstack_codec").rglob("test_decode_*.json")):
        codec = of_test(path)
        if codec is None:
            continue
        try:
            tests = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        for one in tests:
            given = one["input"]
            yield Example(path.name, codec, bytes(given["bytes"]), given.get("fPort") or 0, one["expected"])


def same(expected: Any, found: Any) -> bool:
    """The same names and values; null is nothing, numbers are compared as such."""
    if isinstance(expected, dict) and isinstance(found, dict):
        wanted: dict[str, Any] = {str(name): value for name, value in expected.items() if value is not None}
        present: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
        return wanted.keys() == present.keys() and all(same(wanted[name], present[name]) for name in wanted)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-9)
    return expected == found


def fault(example: Example) -> str:
    """What is not as the example says, or ""."""
    errors = example.expected.get("errors") or []
    try:
        made = codec_at(example.codec)(example.data, example.port, RECEIVED)
    except Rejected as error:
        told = errors and all(one in error.detail for one in errors)
        return "" if told else f"{example.where}: {error.detail}"
    if errors:
        return f"{example.where}: it was to be refused"
    as_expected = same(example.expected.get("data") or {}, made.data)
    if not as_expected or list(example.expected.get("warnings") or ()) != list(made.warnings):
        return f"{example.where}: {example.expected}, not {made}"
    return ""


@pytest.mark.parametrize("source", [things, chirpstack])
def test_every_example_of_a_maker_comes_out_as_it_says(source: Any) -> None:
    examples = list(source())
    if len(examples) < 50:
        pytest.skip(f"not shown: what makers' codecs make of the examples of {source.__name__}: not in build/codecs")
    assert [wrong for example in examples if (wrong := fault(example))] == []
