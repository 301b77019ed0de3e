"""The signature of a short-lived token, made and checked.

In: what a token says, and a key. Out: the token. It is signed with Ed25519 (RFC 8032) by a key that never leaves the
API process that made it; the registry has the public half, by which every gateway checks it. So nothing on the log or
in the tables can make a token. A file of its own: cryptography is 8 MB, which a gateway without such
tokens does not load.
"""

from base64 import urlsafe_b64encode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headwater.errors import Refused
from headwater.passes import PREFIX, SIGNATURE, Pass

_encode = msgspec.json.Encoder().encode


def public_half(key: Ed25519PrivateKey) -> str:
    """As the registry has it: 64 hex digits."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(said: Pass, key: Ed25519PrivateKey) -> str:
    """The token."""
    body = _encode(said)
    return PREFIX + urlsafe_b64encode(key.sign(body) + body).decode().rstrip("=")


def check(whole: bytes, public: str) -> None:
    """Raises `Refused` if it was not signed by the private half of `public`."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(whole[:SIGNATURE], whole[SIGNATURE:])
    except (InvalidSignature, ValueError):
        raise Refused("bad_credentials", "the token's signature is wrong") from None
