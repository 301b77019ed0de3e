"""Who says what in adverts: every maker's function, by service, company id, or whatever else tells it.

In: an `Advert`. Out: its `Reading`; `values_of` is what gateways use. Service data is asked before manufacturer data,
since makers put identity in the one and values in the other.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import partial

from headwater.errors import Rejected
from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.makers import (
    air,
    beacons,
    bodies,
    hygrometers,
    industry,
    scales,
    tags,
    tanks,
    teltonika,
    vehicles,
)
from ingest.decoders.ble.makers.aranet import aranet
from ingest.decoders.ble.makers.atc import environmental
from ingest.decoders.ble.makers.beckett import beckett
from ingest.decoders.ble.makers.bthome import maker_1, maker_1_encrypted, maker_2
from ingest.decoders.ble.makers.govee import COMPANIES as GOVEE
from ingest.decoders.ble.makers.govee import govee
from ingest.decoders.ble.makers.home import (
    chef_iq,
    grundfos,
    hormann,
    kegtron,
    oras,
    smart_dry,
)
from ingest.decoders.ble.makers.industry_tags import COMPANIES as INDUSTRY
from ingest.decoders.ble.makers.industry_tags import SERVICES as INDUSTRY_SERVICES
from ingest.decoders.ble.makers.inkbird import inkbird
from ingest.decoders.ble.makers.inode import inode
from ingest.decoders.ble.makers.mibeacon import mibeacon
from ingest.decoders.ble.makers.mocreo import mocreo
from ingest.decoders.ble.makers.qingping import qingping
from ingest.decoders.ble.makers.ruuvi import COMPANY as RUUVI
from ingest.decoders.ble.makers.ruuvi import maker as ruuvi
from ingest.decoders.ble.makers.ruuvi import url_maker as ruuvi_url
from ingest.decoders.ble.makers.sensirion import sensirion
from ingest.decoders.ble.makers.sonoff import sonoff
from ingest.decoders.ble.makers.switchbot import switchbot, switchbot_meter
from ingest.decoders.ble.makers.toothbrush import oral_b
from ingest.decoders.ble.reading import Key, KeyedMaker, Maker, Reading, Value


def no_key(_: str) -> bytes | None:
    """For whoever knows no keys."""
    return None


KEYED: dict[str, KeyedMaker] = {
    "181a": environmental,
    "181e": maker_1_encrypted,
    "fcd2": maker_2,
    "fe95": mibeacon,
}
"""Services whose adverts may be encrypted."""

SERVICES: dict[str, Maker] = {
    **INDUSTRY_SERVICES,
    "0000": tags.nodon,
    "0318": tags.radioland,
    "0d00": switchbot,
    "1803": tags.radioland,
    "1809": industry.relsib_probe,
    "180f": bodies.battery_service,
    "181b": scales.mi_scale_2,
    "181c": maker_1,
    "181d": scales.mi_scale_1,
    "2a06": teltonika.puck,
    "2a6e": teltonika.puck,
    "2a6f": teltonika.puck,
    "5242": industry.holyiot,
    "aa20": lambda _, data: industry.relsib(0xAA20, data),
    "aa21": lambda _, data: industry.relsib(0xAA21, data),
    "aa22": lambda _, data: industry.relsib(0xAA22, data),
    "f51c": hygrometers.jaalee,
    "f525": hygrometers.jaalee,
    "fd3d": switchbot,
    "fd50": industry.hhcc,
    "fdcd": qingping,
    "feab": tags.moko_x_pro,
    "feaa": lambda advert, data: ruuvi_url(advert, data) or hygrometers.kkm(advert, data),
    "fee0": scales.amazfit,
    "ff01": tags.moko_beacon,
    "fff0": tags.feasycom,
    "fff9": qingping,
}

COMPANIES: dict[int, Maker] = {
    **INDUSTRY,
    **{company: partial(govee, company=company) for company in GOVEE},
    **{company: (lambda _, data, own=company: air.air_mentor(own, data)) for company in (*air.PRO_2, *air.S_2)},
    0x000D: bodies.beewi,
    0x004C: beacons.ibeacon,
    0x0059: tanks.mopeka,
    0x006B: bodies.polar,
    0x00C5: tanks.hobo,
    0x00DC: oral_b,
    0x0100: lambda advert, data: vehicles.tpms(advert, data) or scales.senssun(advert, data),
    0x0131: oras,
    0x0133: hygrometers.bluemaestro,
    0x0157: scales.mi_band,
    0x0194: industry.blustream,
    0x01AE: smart_dry,
    0x03B1: tanks.otodata,
    0x05CD: chef_iq,
    0x061A: beckett,
    0x06D5: sensirion,
    0x06E8: air.almendo,
    0x0702: aranet,
    0x0757: teltonika.ela,
    0x07B4: hormann,
    0x0828: vehicles.michelin,
    0x089A: teltonika.eye,
    0x094F: industry.mikrotik,
    0x0969: switchbot_meter,
    0x1000: hygrometers.moat,
    0x81EF: bodies.skale,
    0xA0AC: scales.laica,
    0xAA55: partial(hygrometers.thermobeacon, company=0xAA55),
    0xACC0: industry.acconeer,
    0xF214: grundfos,
    0xFAEE: bodies.amphiro,
    0xFF04: bodies.xoss,
    0xFFFF: kegtron,
    RUUVI: lambda advert, data: ruuvi(advert, data, no_key),
}
"""The first two bytes of manufacturer data, which some makers use for values of their own."""


def read(advert: Advert, key: Key = no_key) -> Reading | None:
    """What it says; None if nobody here knows it. Raises `Rejected`: encrypted, or cut short."""
    try:
        for found in _tries(advert, key):
            if found is not None:
                return found
    except (struct.error, IndexError, ValueError, ArithmeticError):
        whose = advert.address or "an unknown address"
        raise Rejected("bad_shape", f"the advert of {whose} is cut short, or not what its maker sends") from None
    return None


def values_of(advert: Advert, key: Key = no_key) -> tuple[str, Mapping[str, Value]] | None:
    """(kind of sensor, values by name), None if nobody knows it. Raises `Rejected` as `read` does."""
    found = read(advert, key)
    return None if found is None else (found.model, {k: v for k, v in found.values.items() if v is not None})


def _tries(advert: Advert, key: Key) -> Iterator[Reading | None]:
    """Lazily, the likeliest first."""
    for uuid, data in advert.service_data.items():
        keyed, maker = KEYED.get(uuid), SERVICES.get(uuid)
        if keyed is not None:
            yield keyed(advert, data, key)
        if maker is not None:
            yield maker(advert, data)
    apple = advert.manufacturer.get(0x004C)
    for company, data in advert.manufacturer.items():
        maker = COMPANIES.get(company)
        if maker is not None and company != 0x004C:
            yield maker(advert, data)
        yield from _by_other_marks(advert, company, data)
    if apple is not None:  # last: other makers add an iBeacon to what they say
        yield beacons.ibeacon(advert, apple)
    yield sonoff(advert)


def _by_other_marks(advert: Advert, company: int, data: bytes) -> Iterator[Reading | None]:
    """Makers whose company id is a value, or another's."""
    if advert.local_name.startswith("GVH5055"):
        yield govee(advert, data, company)
    if company & 0xFF == 0xC0:
        yield scales.xiaogui(advert, company, data)
    yield inode(advert, company, data)
    if company in hygrometers.THERMOBEACON and (not advert.service_uuids or "fff0" in advert.service_uuids):
        yield hygrometers.thermobeacon(advert, data, company)
    if "20aa" in advert.service_uuids or "aa20" in advert.service_uuids:
        yield hygrometers.jinou(company, data)
    if hygrometers.SENSORPUSH_SERVICE in advert.service_uuids:
        yield hygrometers.sensorpush(company, data)
    yield inkbird(advert, data, company)
    yield mocreo(advert, data, company)
    yield hygrometers.thermopro(advert, data, company)
    yield beacons.altbeacon(advert, data, company)
    if any(uuid.endswith("51") for uuid in advert.service_uuids):
        yield govee(advert, data, company)
