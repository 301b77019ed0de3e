"""Provisioning over MQTT: what a device that came by a claim may ask, and what it is told.

In: PUBLISHes to `provision` with `{"name": …, "request": …, "attributes": {…}}`. Out: the device's credentials, or why
not, to that one connection alone: at the response topic that the request names, with its correlation data (MQTT 5), or
else at `provision/accepted` or `provision/rejected`. Anything else that such a connection publishes ends it.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from headwater.errors import Refused, Rejected, Stale, Unavailable
from headwater.grants import within
from headwater.registry import Identity
from headwater.saying import get_logger
from ingest.contract import Receipt
from ingest.mqtt.courier import Courier
from ingest.mqtt.outbox import Outgoing
from ingest.mqtt.packets import QOS_1, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.rights import PROVISION
from ingest.mqtt.sessions import Session, Sessions
from ingest.provisioning import Asked

REQUEST = "provision"
ACCEPTED, REJECTED = f"{REQUEST}/accepted", f"{REQUEST}/rejected"
TRIES = 10
"""Requests of a connection at most; the one that adds a device is the last."""

_REMEMBERED = 1024
_REQUEST_LENGTH, _NAME, _VALUE, _ATTRIBUTES = 16_384, 64, 256, 50
"""As over HTTPS."""


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says. The same words as over HTTPS."""

    name: str
    request: str = ""
    attributes: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Request).decode


class Provisioning:
    """One for an endpoint. `clock`: the endpoint's."""

    def __init__(self, sessions: Sessions, courier: Callable[[], Courier | None], clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._courier = courier
        self._clock = clock
        self._tries: dict[str, int] = {}  # by session
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, identity: Identity, run: Sequence[Publish], receipt: Receipt, sender: str) -> None:
        """PUBLISHes to one topic of a device that came by a claim; acknowledged at once, answered later."""
        session = self._sessions.named(sender)
        if session is None:
            receipt.failed = True
        elif run[0].topic != REQUEST:
            receipt.failed = True
            session.line.end(ReasonCode.NOT_AUTHORIZED, f"who comes by a claim may publish to {REQUEST!r} alone")
        elif not self._counted(sender, len(run)):
            receipt.failed = True
            session.line.end(ReasonCode.QUOTA_EXCEEDED, "no more requests by this connection")
        else:
            for publish in run:
                task = asyncio.create_task(self._answer(identity.claim, publish, session), name="provisioning")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _counted(self, sender: str, count: int) -> bool:
        """Whether it may ask so often."""
        if len(self._tries) >= _REMEMBERED and sender not in self._tries:
            self._tries = {key: tries for key, tries in self._tries.items() if self._sessions.named(key) is not None}
        self._tries[sender] = tries = self._tries.get(sender, 0) + count
        return tries <= TRIES

    async def _answer(self, claim: str, publish: Publish, session: Session) -> None:
        try:
            said = await self._provisioned(claim, publish)
            self._tries[session.key] = TRIES
            accepted = True
        except Exception as error:  # noqa: BLE001 - a device that waits is told so, whatever it was
            said, accepted = _why(error), False
        # A lost session is not to be told: `put` is then without effect.
        asked = publish.properties
        wanted = asked.response_topic or ""
        topic = wanted if within(wanted, PROVISION) else ACCEPTED if accepted else REJECTED
        properties = Properties(
            payload_format_indicator=1, content_type="application/json", correlation_data=asked.correlation_data
        )
        answer = Publish(topic, msgspec.json.encode(said), QOS_1, 0, properties)
        session.outbox.put(Outgoing(answer, self._clock()), 1, (), 0)

    async def _provisioned(self, claim: str, publish: Publish) -> Mapping[str, object]:
        wanted = publish.properties.response_topic
        if wanted is not None and not within(wanted, PROVISION):
            raise Rejected("not_authorized", f"the answer can go to {PROVISION[0]}, not to {wanted!r}")
        courier = self._courier()
        provisioner = courier.provisioner if courier is not None else None
        if provisioner is None:
            raise Unavailable("nobody adds devices here")
        given = await provisioner.provision(claim, _asked(publish.payload))
        return {
            "name": given.device.name,
            "token": given.token,
            "certificate": given.certificate,
            "ca": given.ca,
        }


def _asked(payload: bytes) -> Asked:
    """Raises `Rejected`."""
    try:
        found = _decode(payload)
    except msgspec.ValidationError as error:
        raise Rejected("bad_shape", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected("bad_json", str(error)) from None
    attributes = found.attributes
    if len(found.request) > _REQUEST_LENGTH:
        raise Rejected("too_large", f"a signing request has {_REQUEST_LENGTH} characters at most")
    if len(attributes) > _ATTRIBUTES:
        raise Rejected("bad_value", f"{_ATTRIBUTES} attributes at most")
    if any(len(name) > _NAME or len(value) > _VALUE for name, value in attributes.items()):
        raise Rejected("bad_value", f"an attribute's name has {_NAME} characters at most, its value {_VALUE}")
    return Asked(found.name, found.request, attributes)


def _why(error: Exception) -> Mapping[str, object]:
    """What a device is told; the codes are those of HTTPS."""
    match error:
        case Rejected() | Refused():
            return {"error": error.reason, "detail": error.detail}
        case Stale():
            return {"error": "conflict", "detail": str(error)}
        case Unavailable():
            return {"error": "unavailable", "detail": str(error), "retry_after": math.ceil(error.retry_after or 1)}
        case _:
            get_logger().error("a device could not be provisioned", exc_info=error)
            return {"error": "internal", "detail": "this is a fault of the server; its log says more"}
