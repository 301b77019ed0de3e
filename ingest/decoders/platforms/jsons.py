"""What the JSON formats of platforms share: reading it, and taking a part that must be an object.

In: bytes, values. Out: objects, or `Rejected`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from headwater.errors import Rejected
from ingest.decoders.parts import short

_read = msgspec.json.Decoder().decode


def read(data: bytes) -> Any:
    """Whatever JSON it is; raises `Rejected("bad_json")`."""
    try:
        return _read(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Rejected("bad_json", f"this is no JSON: {problem}") from None


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object; raises `Rejected`."""
    said = read(data)
    if not isinstance(said, dict):
        raise Rejected("bad_shape", "it is to be a JSON object")
    return said


def object_at(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of this name, {} where it is not there; raises `Rejected("wrong_type")` for anything else."""
    found = said.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Rejected("wrong_type", f"{short(name)} is to be an object")
    return found


def text_at(said: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text or a whole number and not blank, as a text, else ""."""
    for name in names:
        found = said.get(name)
        if isinstance(found, str) and found.strip():
            return found
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return ""


def point(shape: Any) -> tuple[Any, Any, Any] | None:
    """(latitude, longitude, altitude) of a GeoJSON Point, or of a Feature with one; None: it is neither."""
    if isinstance(shape, Mapping) and shape.get("type") == "Feature":
        shape = shape.get("geometry")
    if not isinstance(shape, Mapping) or shape.get("type") != "Point":
        return None
    place = shape.get("coordinates")
    if not isinstance(place, list) or not 2 <= len(place) <= 4:
        return None
    return place[1], place[0], place[2] if len(place) > 2 else None
