"""Real recorded readings through a deadband, against a few lines of decimal arithmetic.

Household power of February 2007, one reading a minute (UCI Machine Learning Repository, CC BY 4.0).
"""

import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from headwater.config_models import FieldModel
from tests.consumers.kit import chosen, message, rules, select

SET = Path(__file__).parents[3] / "shared/data/timeseries/uci_household_power/household_power_feb2007_dev.csv.gz"
BANDS = {"global_active_power": "0.25", "voltage": "1.5", "sub_metering_3": "1"}

pytestmark = pytest.mark.skipif(not SET.is_file(), reason="the recorded set is not here")


def rows() -> list[dict[str, str]]:
    with gzip.open(SET, "rt", encoding="utf-8", newline="") as file:
        return [{name: row[name] for name in (*BANDS, "global_intensity")} for row in csv.DictReader(file)]


def deadband(readings: list[dict[str, str]]) -> list[int]:
    last: dict[str, Decimal] = {}
    kept: list[int] = []
    for number, row in enumerate(readings):
        values = {name: Decimal(row[name]) for name in BANDS}
        if not last or any(
            values[name] != last[name] and abs(values[name] - last[name]) >= Decimal(band)
            for name, band in BANDS.items()
        ):
            kept.append(number)
            last = values
    return kept


def test_a_month_of_household_power_is_thinned_exactly_as_the_formula_says() -> None:
    readings = rows()
    expected = deadband(readings)
    assert 1_000 < len(expected) < len(readings) / 2  # or the test says nothing

    model = rules(fields={name: FieldModel(change=float(band)) for name, band in BANDS.items()})
    messages = [
        message(number, {name: float(value) for name, value in row.items()}, time=60 * number)
        for number, row in enumerate(readings)
    ]
    assert chosen(select([model, *messages])) == expected


def test_binary_floats_alone_would_have_got_it_wrong() -> None:
    """Why bounds give way by a rounding error: the naive comparison differs on this very data."""
    readings = rows()
    last: dict[str, float] = {}
    naive: list[int] = []
    for number, row in enumerate(readings):
        values = {name: float(row[name]) for name in BANDS}
        if not last or any(abs(values[name] - last[name]) >= float(band) for name, band in BANDS.items()):
            naive.append(number)
            last = values
    assert naive != deadband(readings)
