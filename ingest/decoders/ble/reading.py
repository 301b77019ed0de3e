"""What an advert says once it is understood, and what makers' files share.

In: nothing. Out: the type that every maker's function answers with, and conversions that several makers use.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ingest.decoders.ble.advert import Advert

Value = bool | int | float | str | None
"""A named value; None: the sensor is there and has no value now (a sentinel, a probe that is not plugged in)."""

Values = dict[str, Value]


class Reading(NamedTuple):
    """One advert understood.

    `firmware`: maker and format; `model`: the kind of device. `packet`: a counter, or, where an advert that is sent
    again and again has none, its bytes. `address`: whose it is, where it is not the sender's own. `at`: microseconds.
    """

    firmware: str
    model: str
    values: Mapping[str, Value]
    packet: int | str | None = None
    address: str = ""
    at: int | None = None


Key = Callable[[str], bytes | None]
"""Address (12 upper-case hex digits) → its key, if that is known."""

Maker = Callable[[Advert, bytes], Reading | None]
"""(advert, its bytes after the company id or service UUID) → what it says; None: it is not this maker's."""

KeyedMaker = Callable[[Advert, bytes, Key], Reading | None]
"""A maker whose adverts may be encrypted; raises `Rejected("encrypted")` without the key."""


def backwards(data: bytes) -> str:
    """An address as radios write it, last byte first."""
    return data[::-1].hex().upper()


def coin_cell(volts: float) -> float:
    """The charge of a CR2032 in percent, from its voltage: an approximation in four straight lines."""
    if volts >= 3:
        return 100
    if volts >= 2.6:
        return round(60 + (volts - 2.6) * 100, 1)
    if volts >= 2.5:
        return round(40 + (volts - 2.5) * 200, 1)
    if volts >= 2.45:
        return round(20 + (volts - 2.45) * 400, 1)
    return 0
