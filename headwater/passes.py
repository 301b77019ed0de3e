"""Short-lived tokens: what a browser gets instead of an API key. Nothing is stored of them; a signature vouches.

In: a token. Out: what one may do by it, until when, by whose key; `headwater.signatures` makes one and checks it.
"""

from base64 import urlsafe_b64decode

import msgspec

from headwater.errors import Refused
from headwater.registry import Role

PREFIX = "hw_t_"
LONGEST = 3600.0
"""Seconds."""
LONGEST_TOKEN = 8192
SIGNATURE = 64
"""Bytes of it, which begin a token; what it says follows."""


class Pass(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a token says. `key`: the API key that asked for it. `expires`: microseconds UTC. `signer`: who signed it.

    `devices`: those it may speak for; the filters are as those of a group.
    """

    key: str
    signer: str
    expires: int
    roles: tuple[Role, ...] = ()
    devices: tuple[str, ...] = ()
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Pass).decode


def read(token: str) -> tuple[Pass, bytes]:
    """What it says, not yet checked, and all of its bytes, which `signatures.check` needs. Raises `Refused`."""
    text = token.removeprefix(PREFIX) if len(token) <= LONGEST_TOKEN else ""
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return _decode(whole[SIGNATURE:]), whole
    except (ValueError, msgspec.MsgspecError):  # binascii's and Unicode's errors are ValueErrors
        raise Refused("bad_credentials", "this is no token") from None
