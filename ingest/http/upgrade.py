"""A request that offers to speak another protocol → the same request without the offer, which a server may ignore.

Clients send `Upgrade: h2c` with an ordinary POST (Java's HttpClient, `curl --http2`). The parser takes everything
behind such a head for the other protocol; given this head instead, it reads the body as what it is.
"""

from collections.abc import Iterable

_OFFERS = {b"upgrade", b"http2-settings"}


def without_upgrade(method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head as bytes, up to and with the empty line. Header names are in lower case."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            options = (option.strip() for option in value.split(b","))
            value = b", ".join(option for option in options if option.lower() not in _OFFERS)  # noqa: PLW2901
        if name not in _OFFERS:
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"
