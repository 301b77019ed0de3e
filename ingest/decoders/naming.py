"""Names that makers and people chose, made into names of devices: no slash, no space, no wildcard.

In: a friendly name, a MAC address, a topic's levels. Out: what `headwater.ids.check_device` takes.
"""

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

from headwater.errors import Rejected
from headwater.ids import DEVICE_PATTERN
from ingest.decoders.parts import short

_LONGEST = 128
_FOREIGN = re.compile(r"[^A-Za-z0-9_.:@=-]")
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}[:-]?){7}[0-9A-Fa-f]{2}")


@lru_cache(maxsize=16_384)
def device_name(own: str) -> str:
    """`mezzo/kitchen sensor` → `mezzo:kitchen_sensor`; raises `Rejected("bad_device")` for what has no letter or digit.

    A slash is a colon, white space an underscore. Where anything else is lost, or it is too long, four hex digits of
    its hash keep it apart from others.
    """
    if DEVICE_PATTERN.fullmatch(own):
        return own
    plain = "_".join(own.split()).strip("/").replace("/", ":")
    name = _FOREIGN.sub("_", unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode())
    name = name.lstrip("_.:@=-")
    if name != plain or not name or len(name) > _LONGEST:
        if not name or not any(letter.isalnum() for letter in own):
            raise Rejected("bad_device", f"{short(own)} cannot name a device: it has no letter and no digit")
        mark = blake2b(own.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()
        name = f"{name[: _LONGEST - 5]}={mark}"
    return name


def mac_name(own: str) -> str:
    """`c8:25:2d:8e:9c:2c`, `C8252D8E9C2C` → `C8252D8E9C2C`: one name for one radio, whoever reports it."""
    if _MAC.fullmatch(own):
        return own.replace(":", "").replace("-", "").upper()
    return device_name(own)
