"""Every maker's adverts, one form each, say what the decoder that has read them for years says of them.

The adverts are those of ble_monitor's tests (MIT) which are not among the samples; its own mistakes that the readers
of samples name (`tests.decoders.expectations.ble_adverts`) are not compared.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.decoders.ble.kit import heard
from tests.decoders.compare import compare
from tests.decoders.expectations.ble_adverts import said_by

_LINES = (Path(__file__).parent / "adverts.ndjson").read_text("utf-8").splitlines()[1:]
ADVERTS: list[dict[str, Any]] = [json.loads(line) for line in _LINES]


@pytest.mark.parametrize("advert", ADVERTS, ids=[advert["case"] for advert in ADVERTS])
def test_an_advert_says_what_its_source_says(advert: dict[str, Any]) -> None:
    query = f"bindkey={advert['bindkey']}" if "bindkey" in advert else ""
    verdict = compare(said_by(advert["sensor_msg"]), heard(bytes.fromhex(advert["hex"]), query=query))
    assert verdict.passed, verdict


def test_there_is_an_advert_of_every_maker_that_the_samples_do_not_have() -> None:
    makers = {str(advert["sensor_msg"]["firmware"]).partition(" ")[0] for advert in ADVERTS}
    assert makers >= {
        "Beckett",
        "Tilt",
        "AltBeacon",
        "iBeacon",
        "Grundfos",
        "Kegtron",
        "Moat",
        "Jinou",
        "Oras",
        "SmartDry",
    }
