"""The certificate that a client has shown: from a transport to what the door goes by.

In: a transport whose handshake has verified the certificate against the configured CA. Out: a `Certificate`, or None.
"""

import asyncio
import ssl
from collections.abc import Iterable
from hashlib import sha256
from typing import cast

from ingest.contract import Certificate

_Name = Iterable[Iterable[tuple[str, str]]]


def certificate_of(transport: asyncio.BaseTransport) -> Certificate | None:
    """What the peer has shown. None without TLS, or if it has shown nothing."""
    secured = transport.get_extra_info("ssl_object")
    if not isinstance(secured, ssl.SSLObject):
        return None
    encoded = secured.getpeercert(binary_form=True)
    shown = secured.getpeercert()
    if not encoded or not shown:  # what was not verified is not shown here
        return None
    names = cast("dict[str, object]", shown)
    sans = cast("Iterable[tuple[str, str]]", names.get("subjectAltName", ()))
    return Certificate(
        fingerprint=sha256(encoded).hexdigest(),
        cn=_common_name(cast("_Name", names.get("subject", ()))),
        sans=tuple(f"{kind}:{value}" for kind, value in sans),
        serial=str(names.get("serialNumber", "")),
        issuer=_text(cast("_Name", names.get("issuer", ()))),
    )


def _common_name(name: _Name) -> str:
    """The one common name; "" if there is none, or several: then nobody can say which counts."""
    found = [value for part in name for key, value in part if key == "commonName"]
    return found[0] if len(found) == 1 else ""


def _text(name: _Name) -> str:
    return ", ".join(f"{key}={value}" for part in name for key, value in part)
