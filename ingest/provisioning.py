"""Devices that add themselves by a claim: the one transaction behind every way in.

In: the name of a claim, and what a device asks for by it. Out: the device in the registry, its own token, and its
certificate where this process has an authority. A use is counted in the transaction that adds the device: of two that
come at once for the last one, at whatever gateway, one gets it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from headwater.config import Config
from headwater.config_registry import RegistrySettings
from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Refused, Rejected, Stale, Unavailable
from headwater.registry import ApiKey, Claim, Device, check_name
from headwater.registry_contract import Registry
from headwater.saying import get_logger
from headwater.times import now

if TYPE_CHECKING:
    from headwater.authority import Authority, Issued  # what it takes to sign is loaded where something is signed

WAITING = 200
"""Devices that may wait for their turn at once; more are told to come again."""

_TRIES = 20
_BUSY = 5.0
"""Seconds."""


class Asked(NamedTuple):
    """What a device wants. `request`: a signing request (PEM) of its own key, for a certificate, or empty."""

    name: str
    request: str = ""
    attributes: Mapping[str, str] = {}


class Provisioned(NamedTuple):
    """What it gets, and is never shown again. `certificate` and `ca`: PEM, or empty."""

    device: Device
    token: str
    certificate: str = ""
    ca: str = ""


class Provisioner:
    """One for a process. `registry`: where the authority is, which may have to be reached first."""

    def __init__(
        self, registry: Callable[[], Awaitable[Registry]], directory: Directory, authority: "Authority | None"
    ) -> None:
        self._registry = registry
        self._directory = directory
        self._authority = authority
        self._turn = asyncio.Lock()  # those who come at once would only make each other try again
        self._waiting = 0

    async def provision(self, claim: str, asked: Asked) -> Provisioned:
        """Add the device. It is known in this process when this returns, and in the others about then.

        Raises `Refused`, `Rejected`; `Stale` where the name is taken; `Unavailable` where the registry is away, or too
        many come at once. None of these counts as a use.
        """
        check_name(asked.name)
        issued = self._issue(asked)
        token = new_token("device")
        if self._waiting >= WAITING:
            raise Unavailable("too many come at once", retry_after=_BUSY)
        self._waiting += 1
        try:
            async with self._turn:
                device = await _added(await self._registry(), claim, asked, token, issued)
        finally:
            self._waiting -= 1
        if not await self._directory.applied(device):
            get_logger().warning("a new device is not known here yet", name=device.name)
        if issued is None or self._authority is None:
            return Provisioned(device, token)
        return Provisioned(device, token, issued.certificate.decode(), self._authority.certificate.decode())

    def _issue(self, asked: Asked) -> "Issued | None":
        if not asked.request:
            return None
        if self._authority is None:
            raise Rejected("bad_value", "nothing is signed here: `registry.ca` is not configured")
        return self._authority.requested(asked.request.encode(), asked.name)


def authority_of(settings: RegistrySettings) -> "Authority | None":
    """Who signs what devices ask for, where there is one. Raises `ConfigError` if it cannot be used."""
    if not settings.ca:
        return None
    from headwater.authority import Authority  # noqa: PLC0415 - 8 MB of library, where certificates are signed

    folder = Path(settings.ca)
    return Authority.read(folder / "ca.pem", folder / "ca-key.pem")


def provisioner_on(registry: Registry, directory: Directory, config: Config) -> Provisioner:
    """For a process that has the authority open. Raises as `authority_of`."""

    async def there() -> Registry:
        return registry

    return Provisioner(there, directory, authority_of(config.registry))


async def _added(registry: Registry, name: str, asked: Asked, token: str, issued: "Issued | None") -> Device:
    for _ in range(_TRIES):
        claim = _usable(await registry.find(Claim, name), asked.name)
        await _check_free(registry, asked.name)
        wanted = Device(
            asked.name,
            digest(token),
            claim.model,
            groups=claim.groups,
            attributes=tuple(asked.attributes.items()),
            certificates=(issued.held,) if issued is not None else (),
        )
        used = msgspec.structs.replace(claim, uses=claim.uses - 1)
        with suppress(Stale):  # another one has used it, or has come by the same name: look again
            _, added = await registry.put_all([(used, claim.version), (wanted, 0)], actor=f"claim {claim.name}")
            assert isinstance(added, Device)  # noqa: S101 - for the type checker: it is `wanted`
            return added
    raise Unavailable("too many come at once", retry_after=_BUSY)


async def _check_free(registry: Registry, name: str) -> None:
    if await registry.find(Device, name) is not None or await registry.find(ApiKey, name) is not None:
        raise Stale(f"there is a {name!r} already: it keeps the credentials that it has")


def _usable(claim: Claim | None, device: str) -> Claim:
    if claim is None:
        raise Refused("bad_credentials", "there is no such claim any more")
    if claim.expires <= now():
        raise Refused("not_authorized", f"the claim {claim.name!r} has expired")
    if not claim.takes(device):
        raise Refused("not_authorized", f"the claim {claim.name!r} is for {claim.names!r}, not for {device!r}")
    if claim.uses < 1:
        raise Refused("not_authorized", f"the claim {claim.name!r} is used up")
    return claim
