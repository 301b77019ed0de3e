"""Packets of Meshtastic in Protocol Buffers, in the shape that the firmware's JSON output has.

In: a ServiceEnvelope. Out: the object that a gateway with JSON output would have published; `Rejected("encrypted")`
where only the mesh has the key, `Rejected("unsupported")` for ports without values. Format: mesh.proto, telemetry.proto
and mqtt.proto of Meshtastic.
"""

from collections.abc import Callable, Sequence
from typing import Any

from headwater.errors import Rejected
from ingest.decoders.platforms.wire import blob, fields, signed, single, text, whole

_DEVICE = ("battery_level", "voltage", "channel_utilization", "air_util_tx", "uptime_seconds")
_ENVIRONMENT = (
    *("temperature", "relative_humidity", "barometric_pressure", "gas_resistance", "voltage", "current", "iaq"),
    *("distance", "lux", "white_lux", "ir_lux", "uv_lux", "wind_direction", "wind_speed", "weight", "wind_gust"),
    *("wind_lull", "radiation", "rainfall_1h", "rainfall_24h", "soil_moisture", "soil_temperature"),
)
_AIR = (
    *("pm10", "pm25", "pm100", "pm10_environmental", "pm25_environmental", "pm100_environmental"),
    *("particles_03um", "particles_05um", "particles_10um", "particles_25um", "particles_50um", "particles_100um"),
    *("co2", "co2_temperature", "co2_humidity", "form_formaldehyde", "form_humidity", "form_temperature"),
    *("pm40", "particles_40um", "pm_temperature", "pm_humidity", "pm_voc_idx", "pm_nox_idx", "particles_tps"),
)
_POWER = tuple(f"{what}_ch{channel}" for channel in range(1, 9) for what in ("voltage", "current"))
_LOCAL = (
    *("uptime_seconds", "channel_utilization", "air_util_tx", "num_packets_tx", "num_packets_rx"),
    *("num_packets_rx_bad", "num_online_nodes", "num_total_nodes", "num_rx_dupe", "num_tx_relay"),
    *("num_tx_relay_canceled", "heap_total_bytes", "heap_free_bytes", "num_tx_dropped", "noise_floor"),
)
_HEALTH = ("heart_bpm", "spO2", "temperature")
_HOST = (
    *("uptime_seconds", "freemem_bytes", "diskfree1_bytes", "diskfree2_bytes", "diskfree3_bytes"),
    *("load1", "load5", "load15"),
)
_TELEMETRY = {2: _DEVICE, 3: _ENVIRONMENT, 4: _AIR, 5: _POWER, 6: _LOCAL, 7: _HEALTH, 8: _HOST}
_POSITION = {
    11: "PDOP",
    12: "HDOP",
    13: "VDOP",
    14: "gps_accuracy",
    15: "ground_speed",
    16: "ground_track",
    19: "sats_in_view",
    23: "precision_bits",
}
_USER = {1: "id", 2: "longname", 3: "shortname", 5: "hardware", 7: "role"}
_WAYPOINT = {1: "id", 4: "expire", 5: "locked_to", 6: "name", 7: "description"}
_COUNTS = {1: "wifi_count", 2: "ble_count", 3: "uptime"}
_MAP = {
    1: "longname",
    2: "shortname",
    3: "role",
    4: "hardware",
    5: "firmware",
    6: "region",
    7: "modem_preset",
    13: "num_online_local_nodes",
}
_PORTS = {
    1: "text",
    3: "position",
    4: "nodeinfo",
    8: "waypoint",
    10: "detection",
    34: "paxcounter",
    67: "telemetry",
    73: "mapreport",
}
_NAMES = {
    "position": (1, _POSITION),
    "nodeinfo": (0, _USER),
    "waypoint": (2, _WAYPOINT),
    "paxcounter": (0, _COUNTS),
    "mapreport": (9, _MAP),
}
"""The number of the latitude, or 0, and the names of what else there is, by the type of a packet."""


def _fixed(value: int | bytes) -> int:
    data = blob(value)
    if len(data) != 4:
        raise Rejected("bad_encoding", "a field that is 32 bits has another wire type")
    return int.from_bytes(data, "little")


_HEADER: dict[int, tuple[str, Callable[[int | bytes], float]]] = {
    1: ("from", _fixed),
    2: ("to", _fixed),
    3: ("channel", whole),
    6: ("id", _fixed),
    7: ("timestamp", _fixed),
    8: ("snr", single),
    12: ("rssi", lambda value: signed(whole(value), 32)),
    15: ("hop_start", whole),
}


def envelope(data: bytes) -> dict[str, Any]:
    """What a ServiceEnvelope says, in the firmware's JSON names; raises `Rejected`."""
    said: dict[str, Any] = {}
    packet: dict[int, int | bytes] = {}
    for number, value in fields(data):
        if number == 1:
            packet = dict(fields(blob(value)))
        elif number == 3:
            said["sender"] = text(value)
    if 5 in packet:
        raise Rejected("encrypted", "only the mesh has the key: turn encryption off in the gateway's MQTT settings")
    if 4 not in packet:
        raise Rejected("bad_shape", "this is neither JSON nor a packet of Meshtastic")
    said |= {name: read(packet[number]) for number, (name, read) in _HEADER.items() if number in packet}
    if "hop_start" in said:
        said["hops_away"] = said["hop_start"] - whole(packet.get(9, 0))
    return said | _decoded(blob(packet[4]))


def _decoded(data: bytes) -> dict[str, Any]:
    port, body = 0, b""
    for number, value in fields(data):
        if number == 1:
            port = whole(value)
        elif number == 2:
            body = blob(value)
    kind = _PORTS.get(port)
    if kind is None:
        raise Rejected("unsupported", f"a packet for port {port} has no values that are known")
    return {"type": kind, "payload": _payload(kind, body)}


def _payload(kind: str, body: bytes) -> dict[str, Any]:
    if kind in ("text", "detection"):
        return {"text": body.decode("utf-8", "replace")}
    if kind == "telemetry":
        parts = [_metrics(blob(part), _TELEMETRY[number]) for number, part in fields(body) if number in _TELEMETRY]
        return {name: value for part in parts for name, value in part.items()}
    first, names = _NAMES[kind]
    return _place(body, first, names) if first else _named(body, names)


def _metrics(data: bytes, names: Sequence[str]) -> dict[str, float]:
    """Numbers by their place in the schema: floats have four bytes."""
    found: dict[str, float] = {}
    for number, value in fields(data):
        if number <= len(names) and (isinstance(value, int) or len(value) == 4):
            name = names[number - 1]
            found[name] = single(value) if isinstance(value, bytes) else value
            if name == "noise_floor":
                found[name] = signed(whole(value), 32)
    return found


def _place(data: bytes, first: int, names: dict[int, str]) -> dict[str, Any]:
    """`first`: the number of the latitude; longitude and, but for waypoints, altitude follow it."""
    found = _named(data, names)
    for number, value in fields(data):
        if number in (first, first + 1):
            found["latitude_i" if number == first else "longitude_i"] = signed(_fixed(value), 32)
        elif number == first + 2 and names is not _WAYPOINT:
            found["altitude"] = signed(whole(value), 32)
    return found


def _named(data: bytes, names: dict[int, str]) -> dict[str, Any]:
    return {
        names[number]: value if isinstance(value, int) else text(value)
        for number, value in fields(data)
        if number in names
    }
