"""Short-lived tokens: what a browser gets instead of an API key. Nothing is stored of them; a signature vouches.

In: what one may do, until when, by whose key. Out: a token, and back. It is signed with Ed25519 (RFC 8032) by a key
that never leaves the API process that made it; the registry has the public half, by which every gateway checks it. So
nothing on the log or in the tables can make a token.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headwater.errors import Refused
from headwater.registry import Role

PREFIX = "hw_t_"
LONGEST = 3600.0
"""Seconds."""
LONGEST_TOKEN = 8192
_SIGNATURE = 64


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


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Pass).decode


def public_half(key: Ed25519PrivateKey) -> str:
    """As the registry has it: 64 hex digits."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(said: Pass, key: Ed25519PrivateKey) -> str:
    """The token."""
    body = _encode(said)
    return PREFIX + urlsafe_b64encode(key.sign(body) + body).decode().rstrip("=")


def read(token: str) -> tuple[Pass, bytes]:
    """What it says, not yet checked, and what `check` needs. Raises `Refused`."""
    text = token.removeprefix(PREFIX) if len(token) <= LONGEST_TOKEN else ""
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return _decode(whole[_SIGNATURE:]), whole
    except (ValueError, msgspec.MsgspecError):  # binascii's and Unicode's errors are ValueErrors
        raise Refused("bad_credentials", "this is no token") from None


def check(whole: bytes, public: str) -> None:
    """Raises `Refused` if it was not signed by the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(whole[:_SIGNATURE], whole[_SIGNATURE:])
    except (InvalidSignature, ValueError):
        raise Refused("bad_credentials", "the token's signature is wrong") from None
