"""What Theengs calls the devices that we know: brand, model, id, kind, and what is so of every one of them.

In: a reading's model. Out: a `Model`. The words are those that gateways publish, for whoever has dashboards and rules
made for them.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Model(NamedTuple):
    """`always`: properties that all its messages have. `cidc`: false where the company id is not the company's."""

    brand: str
    model: str
    model_id: str
    type: str
    always: Mapping[str, bool | str] = {}


_NO_ID: Mapping[str, bool | str] = {"cidc": False}
_SCAN = {"acts": True}
_TRACK = {"track": True}
_CONTROL = _SCAN | {"ctrl": True}
_NO_ID_SCAN = _NO_ID | _SCAN
_PRIVATE = _TRACK | {"prmac": True}


def _tracker(brand: str, model: str, model_id: str, whose: str, always: Mapping[str, bool | str]) -> Model:
    return Model(brand, model, model_id, "TRACK", {**always, "device": f"{whose} Tracker"})


_GOVEE_BBQ = Model("Govee", "Bluetooth BBQ Thermometer", "H5055", "BBQ", _NO_ID)
_ROUND = ("ClearGrass/Qingping", "Round TH", "CGG1", "THB")

MODELS: dict[str, Model] = {
    "ABN03": Model("April Brother", "N03", "ABN03", "THBX", _TRACK),
    "ABTemp": Model("April Brother", "ABTemp", "ABTemp", "BCON", _TRACK),
    "Apple Continuity": Model("Apple", "Apple Continuity", "APPLE_CONT", "RMAC", {"device": "Apple device"}),
    "Apple Continuity long": Model("Apple", "Apple Continuity", "APPLE_CONTAT", "RMAC", {"device": "Apple device"}),
    "Apple Watch": Model("Apple", "Apple Watch", "APPLEWATCH", "BODY", _PRIVATE),
    "Apple device": Model("Apple", "Apple iPhone/iPad", "APPLEDEVICE", "TRACK", _PRIVATE),
    "Aranet4": Model("Aranet", "Aranet4 CO₂ Monitor", "ARANET4", "AIR"),
    "ATC decrypted": Model("Xiaomi", "TH Sensor", "LYWSD03MMC/MJWSD05MMC_PVVX_DECR", "THB"),
    "ATC": Model("Xiaomi", "TH Sensor", "LYWSD03MMC/MJWSD05MMC_ATC", "THB"),
    "Battery Service": Model("GENERIC", "Service data", "ServiceData", "BATT"),
    "Blind Tilt": Model("SwitchBot", "Blind Tilt", "W270160X", "WCVR", _CONTROL),
    "Blue Puck MAG": Model("Sensor Easy", "SE MAG", "SE_MAG", "CTMO", {"cont": True}),
    "Blue Puck RHT": Model("Sensor Easy", "SE RHT", "SE_RHT", "THB"),
    "Blue Puck T": Model("Sensor Easy", "SE TEMP", "SE_TEMP", "THB"),
    "Blue Coin T": Model("Sensor Easy", "SE TEMP", "SE_TEMP", "THB"),
    "BeaconX Pro": Model("Mokosmart", "BeaconX Pro", "MBXPRO", "ACEL", _TRACK),
    "BM2": Model("GENERIC", "BM2 Battery Monitor", "BM2", "BATT", _TRACK | {"device": "BM2 Tracker"}),
    "BM6": Model("GENERIC", "BM6 Battery Monitor", "BM6", "BATT", _TRACK | {"device": "BM6 Tracker"}),
    "BSDOO": Model("Otio/BeeWi", "Door & Window Sensor", "BSDOO", "CTMO", _NO_ID | {"cont": True}),
    "Bot": Model("SwitchBot", "Bot", "X1", "ACTR", _CONTROL),
    "CGC1": Model("ClearGrass/Qingping", "Alarm Clock", "CGC1/CGD1", "THB"),
    "CGD1": Model("ClearGrass/Qingping", "Alarm Clock", "CGC1/CGD1", "THB"),
    "CGDK2": Model("Qingping", "TH Lite", "CGDK2", "THB"),
    "CGDN1": Model("Qingping", "Air Monitor Lite", "CGDN1", "AIR"),
    "CGG1": Model(*_ROUND, _SCAN),
    "CGG1-ENCRYPTED": Model(*_ROUND, _SCAN),
    "CGH1": Model("Qingping", "Contact Sensor", "CGH1", "CTMO", {"cont": True}),
    "CGP1W": Model("ClearGrass/Qingping", "Weather Station", "CGP1W", "THBX"),
    "CGP23W": Model("ClearGrass/Qingping", "Barometer Pro", "CGP23W", "THBX"),
    "CGPR1": Model("Qingping", "Motion & Light", "CGPR1", "CTMO", {"cont": True}),
    "Contact Sensor": Model("SwitchBot", "Contact Sensor", "W120150X", "CTMO", _SCAN | {"cont": True}),
    "Curtain": Model("SwitchBot", "Curtain (2/3)", "W070160X", "WCVR", _CONTROL),
    "Electra Washbasin Faucet": Model("Oras", "Smart faucet", "ORAS", "BATT", _NO_ID),
    "Feasycom Beacon": Model("Feasycom", "Beacon", "FEASY", "BCON", _TRACK),
    "G-Tag": _tracker("Gigaset", "G-Tag", "GTAG", "Gigaset G-Tag", _TRACK),
    "GAEN": Model("GENERIC", "GAEN", "GAEN", "RMAC"),
    "GCLS002": Model("Xiaomi/VegTrug", "MiFlora", "HHCCJCY01HHCC", "PLANT"),
    "H10": Model("Polar", "Heart Rate Sensor", "H10", "BODY"),
    "H5055": _GOVEE_BBQ,
    "H5072/H5075": Model("Govee", "Thermo-Hygrometer", "H5072/75", "THB", _NO_ID_SCAN),
    "H5074": Model("Govee", "Thermo-Hygrometer", "H5074", "THB", _NO_ID_SCAN),
    "H5101/H5102/H5177": Model("Govee", "Smart Thermo-Hygrometer", "H5100/01/02/04/05/74/77", "THB", _NO_ID_SCAN),
    "H5106": Model("Govee", "Smart Air Quality Monitor", "H5106", "AIR", _NO_ID_SCAN),
    "H5179": Model("Govee", "Thermo-Hygrometer", "H5179", "THB", _NO_ID_SCAN),
    "HHCCJCY01": Model("Xiaomi/VegTrug", "MiFlora", "HHCCJCY01HHCC", "PLANT"),
    "HHCCJCY10": Model("Xiaomi/VegTrug", "MiFlora", "HHCCJCY10", "PLANT"),
    "HHCCPOT002": Model("Xiaomi", "RoPot", "HHCCPOT002", "PLANT"),
    "HOBO MX2001": Model("Onset", "Hobo Water Level Sensor", "HOBOMX2001", "UNIQ"),
    "Hydractiva Digital": Model("Oras", "Hydractiva Digital", "ADHS", "ENRG", _NO_ID),
    "IBS-TH": Model("Inkbird", "T(H) Sensor", "IBS-TH1/TH2/P01B/ITH-12S", "THB", _NO_ID_SCAN),
    "IBS-TH2/P01B": Model("Inkbird", "T(H) Sensor", "IBS-TH1/TH2/P01B/ITH-12S", "THB", _NO_ID_SCAN),
    "iBBQ-2": Model("Inkbird", "iBBQ", "IBT-2X(S)", "BBQ", _NO_ID),
    "iBBQ-4": Model("Inkbird", "iBBQ", "IBT-4X(S/C)", "BBQ", _NO_ID),
    "iBBQ-6": Model("Inkbird/Tenergy", "iBBQ/SOLIS6", "IBT-6XS/SOLIS-6", "BBQ", _NO_ID),
    "iBeacon": Model("GENERIC", "iBeacon", "IBEACON", "BCON"),
    "iNode Energy Meter": Model("iNode", "Energy Meter", "INEM", "ENRG", _NO_ID),
    "iTAG": _tracker("iTAG", "Smart Tracker", "ITAG", "iTAG", _NO_ID_SCAN | _TRACK),
    "JHT": Model("Jaalee", "TH sensor", "F525/F51C", "THB", _SCAN),
    "JQJCY01YM": Model("Xiaomi", "Formaldehyde detector", "JQJCY01YM", "AIR"),
    "K6P": Model("KKM", "Long Range K6P", "K6P", "THB"),
    "KSensor": Model("BlueCharm", "Beacon 08/04P/021", "KSensor", "ACEL", _TRACK),
    "K6 Sensor Beacon": Model("KKM", "Tracking K9", "K9", "ACEL", _TRACK),
    "LYWSD02": Model("Xiaomi/Mijia", "e-ink Clock", "LYWSD02", "THB"),
    "LYWSDCGQ": Model("Xiaomi", "Mi Jia round", "LYWSDCGQ", "THB"),
    "Meter TH S1": Model("SwitchBot", "Meter (Plus)", "THX1/W230150X", "THB", _SCAN),
    "Meter TH plus": Model("SwitchBot", "Meter (Plus)", "THX1/W230150X", "THB", _SCAN),
    "Mi Band": Model(
        "Xiaomi/Amazfit", "Mi Band/Smart Watch", "MB/SW", "BODY", _SCAN | _TRACK | {"device": "Xiaomi/Amazfit Tracker"}
    ),
    "Mi Scale V1": Model("Xiaomi", "Mi Smart Scale", "XMTZC01HM/XMTZC04HM", "SCALE"),
    "Mi Scale V2": Model("Xiaomi", "Mi Body Composition Scale", "XMTZC02HM/XMTZC05HM", "SCALE"),
    "Microsoft CDP": Model("GENERIC", "MS-CDP", "MS-CDP", "RMAC", {"device": "Microsoft advertising beacon"}),
    "Mokobeacon": Model("Mokosmart", "Beacon", "Mokobeacon", "ACEL", _TRACK),
    "Motion Sensor": Model("SwitchBot", "Motion Sensor", "W110150X", "CTMO", _SCAN | {"cont": True}),
    "MUE4094RT": Model("Xiaomi", "MiLamp", "MUE4094RT", "CTMO", {"cont": True}),
    "NodOn NIU": Model("NodOn", "NIU smart button", "NODONNIU", "BTN", _SCAN | _TRACK | {"cont": True}),
    "nut": _tracker("nut", "Smart Tracker", "NUT", "nut", _NO_ID_SCAN | _TRACK),
    "nutale": _tracker("nut", "Smart Tracker", "NUTALE", "nutale", _NO_ID_SCAN | _TRACK),
    "Nyon": _tracker("Bosch", "Nyon", "BOSCHNYON", "Bosch Nyon", _SCAN | _TRACK),
    "Outdoor Meter": Model("SwitchBot", "Outdoor Meter", "W340001X", "THB", _SCAN),
    "RDL52832": Model("Radioland", "RDL52832", "RDL52832", "ACEL", _SCAN | _TRACK),
    "Ruuvitag V3": Model("Ruuvi", "RuuviTag", "RuuviTag_RAWv1", "ACEL", _TRACK),
    "Ruuvitag V5": Model("Ruuvi", "RuuviTag", "RuuviTag_RAWv2", "ACEL", _TRACK),
    "Sensirion": Model("Sensirion", "TH Sensor", "SHT4X", "THB"),
    "Sensirion CO2": Model("Sensirion", "MyCO₂/CO₂ Gadget", "SCD4X", "AIR"),
    "Skale": Model("Atomax", "Skale I/II", "SKALE", "SCALE", _NO_ID),
    "Smart hygrometer": Model("GENERIC", "ThermoBeacon", "WS02/WS08", "THB", _NO_ID),
    "Lanyard/mini hygrometer": Model("GENERIC", "ThermoBeacon", "WS02/WS08", "THB", _NO_ID),
    "SmartDry cloth dryer": Model("SmartDry", "Laundry Sensor", "SDLS", "UNIQ", _NO_ID),
    "T201": Model("Oria", "TH Sensor", "T201", "THB", _NO_ID_SCAN),
    "T301": Model("Oria", "TH Sensor", "T301", "THB", _NO_ID_SCAN),
    "Tempo Disc T": Model("Blue Maestro", "Tempo Disc", "TD1in1", "THB", _TRACK),
    "Tempo Disc THD": Model("Blue Maestro", "Tempo Disc", "TD3in1", "THBX", _TRACK),
    "Tempo Disc THPD": Model("Blue Maestro", "Tempo Disc", "TD4in1", "THBX", _TRACK),
    "Theengs 1": _tracker("Theengs", "iBeacon Tracker", "TheengsIB01", "Theengs iBeacon", _NO_ID | _TRACK),
    "Theengs 2": _tracker("Theengs", "iBeacon Tracker", "TheengsIB02", "Theengs iBeacon", _NO_ID | _PRIVATE),
    "TicWatch GTH": _tracker("Mobvoi", "TicWatch GTH (Pro)", "TICWATCHGTH", "TicWatch GTH (Pro)", _NO_ID_SCAN | _TRACK),
    "Tile": _tracker("Tile", "Smart Tracker", "TILE", "Tile", _NO_ID_SCAN | _TRACK),
    "TPMS": Model("GENERIC", "TPMS", "TPMS", "TIRE", _NO_ID),
    "TM6030": Model("Otodata", "Rotarex-compatible Monitor", "RC1010", "UNIQ"),
    "X2": Model("XOSS", "X2 Heart Rate Sensor", "XOSSX2", "BODY", _NO_ID),
    **dict.fromkeys(
        ("TP357", "TP358", "TP359", "TP393"), Model("ThermoPro", "TH Sensor", "TP35X/393", "THB", _NO_ID_SCAN)
    ),
    **dict.fromkeys(("SmartSeries 7000", "IO Series 7"), Model("Oral-B", "BT Toothbrush", "ORALB_BT", "BODY")),
    **dict.fromkeys(
        (f"Mopeka {kind:#04x}" for kind in (3, 4, 5, 6, 8, 12)),
        Model("Mopeka/Lippert", "Pro Check (Universal)/BottleCheck Sensor", "M1017", "UNIQ", _NO_ID),
    ),
    **dict.fromkeys(
        (f"Tilt {colour}" for colour in ("Red", "Green", "Black", "Purple", "Orange", "Blue", "Yellow", "Pink")),
        Model("Tilt", "Brewing Hydro- Thermometer", "TILT", "THBX", _NO_ID),
    ),
    **dict.fromkeys(
        ("b-parasite V1.0.0", "b-parasite V1.1.0"), Model("rbaron", "b-parasite", "BPv1.0-1.2", "PLANT", {"cont": True})
    ),
}
"""By our model; devices that are not here keep our own words."""

_BLU = _SCAN | {"cont": True}
BY_NAME: tuple[tuple[str, tuple[str, ...], Model], ...] = (
    ("CGG", ("ATC (Atc1441)",), Model("ClearGrass/Qingping", "Round TH", "CGG1_ATC1441", "THB", _SCAN)),
    ("CGG", ("ATC (Custom)",), Model("ClearGrass/Qingping", "Round TH", "CGG1_PVVX", "THB", _SCAN)),
    ("CGDK2", ("ATC (Atc1441)",), Model("ClearGrass/Qingping", "TH Lite", "CGDK2_ATC1441", "THB", _SCAN)),
    ("CGDK2", ("ATC (Custom)",), Model("ClearGrass/Qingping", "TH Lite", "CGDK2_PVVX", "THB", _SCAN)),
    ("", ("ATC (Custom)",), Model("Xiaomi", "TH Sensor", "LYWSD03MMC/MJWSD05MMC_PVVX", "THB")),
    ("P TPROBE", ("Teltonika",), Model("Sensor Easy", "SE TEMP PROBE", "SE_TPROBE", "THB")),
    ("SBBT-002C", ("BTHome V2",), Model("Shelly", "ShellyBLU Button1", "SBBT-002C", "BTN", _BLU)),
    ("SBBT-", ("BTHome V2",), Model("Shelly", "ShellyBLU Switch4", "SBBT-004CEU/US", "BTN", _BLU)),
    ("SBDW-002C", ("BTHome V2",), Model("Shelly", "ShellyBLU Door/Window", "SBDW-002C", "CTMO", _BLU)),
    ("SBMO-003Z", ("BTHome V2",), Model("Shelly", "ShellyBLU Motion", "SBMO-003Z", "CTMO", _BLU)),
    ("SBHT-003C", ("BTHome V2",), Model("Shelly", "ShellyBLU H&T", "SBHT-003C", "THB", _BLU)),
    ("asensor", ("BTHome V2",), Model("April Brother", "N07", "ABN07", "THB", _SCAN | _TRACK)),
)
"""By the beginning of the local name, and the firmware: models that share a format with others."""
