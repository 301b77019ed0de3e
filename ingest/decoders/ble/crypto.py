"""Adverts under lock: AES-CCM with the key that was made when the device was bound.

In: ciphertext and tag, and how its maker builds the nonce. Out: plain bytes, or `Rejected("encrypted")`. Where keys
are known from: `?bindkey=` of the request, and what this process remembers of an address for which one has fitted.
"""

from collections.abc import Callable
from urllib.parse import parse_qsl

from headwater.errors import Rejected
from ingest.contract import Payload
from ingest.decoders.ble.reading import Key

_ASSOCIATED = b"\x11"


def keys_of(payload: Payload) -> Key:
    """What this payload's request and the memory of this process know of keys."""
    asked = dict(parse_qsl(payload.source.query)).get("bindkey", "") if payload.source.query else ""
    if asked:
        try:
            own = bytes.fromhex(asked)
        except ValueError:
            raise Rejected("bad_value", "bindkey is 24 or 32 hex digits") from None
        if len(own) not in {12, 16}:
            raise Rejected("bad_value", f"bindkey is 24 or 32 hex digits; this has {len(asked)}")
        return lambda _: own

    def recall(address: str) -> bytes | None:
        known = payload.context.recall(f"ble-key:{address}")
        return known if isinstance(known, bytes) else None

    return recall


def open_sealed(
    address: str,
    key: Key,
    nonce: Callable[[bytes], bytes],
    sealed: bytes,
    tag: bytes,
    associated: bytes | None = _ASSOCIATED,
) -> bytes:
    """Decrypt and check. `nonce`: of the address, in its usual order."""
    own = known_key(address, key, 16)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - 6 MB that only encrypted adverts need: 15 ms once
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415

    try:
        return AESCCM(own, tag_length=4).decrypt(nonce(bytes.fromhex(address)), sealed + tag, associated)
    except (InvalidTag, ValueError):
        raise Rejected("encrypted", f"the key for {address} does not fit what it sends") from None


def open_unchecked(address: str, key: Key, nonce: Callable[[bytes], bytes], sealed: bytes, constant: bytes) -> bytes:
    """The form before there were tags: a key of 12 bytes with four constant ones in its middle, and no check.

    CCM without its tag is the counter mode that it encrypts with (RFC 3610, 2.3).
    """
    own = known_key(address, key, 12)
    full = nonce(bytes.fromhex(address))
    size = 15 - len(full)
    start = bytes((size - 1,)) + full + (1).to_bytes(size, "big")
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - see `open_sealed`

    cipher = Cipher(algorithms.AES(own[:6] + constant + own[6:]), modes.CTR(start)).decryptor()
    return cipher.update(sealed) + cipher.finalize()


def known_key(address: str, key: Key, size: int) -> bytes:
    """The key of this address; raises `Rejected("encrypted")` if it is not known, or not of this size."""
    own = key(address) if address else None
    if own is None:
        whose = address or "a device that is not named"
        raise Rejected("encrypted", f"{whose} encrypts what it sends; give its key as ?bindkey=HEX, or unbind it")
    if len(own) != size:
        raise Rejected("encrypted", f"the key for {address} has {len(own)} bytes; this format's has {size}")
    return own
