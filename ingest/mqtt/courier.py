"""Commands and shadows over MQTT: what goes to devices, what comes from them.

In: changes that any process has written (`ingest.control`), subscriptions, PUBLISHes to `devices/{device}/…`. Out: a
command to each connection of its device that hears its topic, once, until the device has it; shadows to those who
listen; answers and changes to the log. Every gateway looks after the connections that it has.

A connection stands for a device if it may send for it and names it in a filter: who watches `devices/+/commands/#`
hears commands as they come, and changes nothing about them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil

import msgspec

from headwater.command import Acknowledged, Answered, Command, Sent, check_answer, reply_topic_of
from headwater.errors import Refused, Rejected, Stale
from headwater.ids import check_device
from headwater.registry import Identity
from headwater.shadow import Shadow, changed, read_change
from headwater.shadow_table import Change
from ingest.contract import Receipt, Rejection
from ingest.control import Control
from ingest.mqtt.outbox import QUEUED, Delivery, Outgoing
from ingest.mqtt.packets import QOS_1, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.router import Router
from ingest.mqtt.sessions import Session, best
from ingest.mqtt.subscriptions import Grant
from ingest.provisioning import Provisioner
from ingest.shadow_writer import Outcome

_TOPIC = re.compile(
    r"devices/(?P<device>[^/]+)/(?:commands/(?P<command>[^/]+)/reply|shadow/(?P<shadow>get|update))", re.DOTALL
)
_JSON = Properties(payload_format_indicator=1, content_type="application/json")
_GIVEN = 256
"""Commands noted as given to a connection, before those that are over are taken out: then, and at each doubling."""


class _Told:
    """What becomes of a command on a connection. `outbox.Told`."""

    __slots__ = ("_command", "_control")

    def __init__(self, control: Control, command: Command) -> None:
        self._control = control
        self._command = command

    def sent(self) -> None:
        command, control = self._command, self._control
        if not command.sent:
            control.note(command.device, command.id, Sent(control.wall()), Receipt(control))

    def acknowledged(self) -> None:
        command, control = self._command, self._control
        command.held = True
        if not command.acknowledged:
            control.note(command.device, command.id, Acknowledged(control.wall()), Receipt(control))


class Courier:
    """One for an endpoint. `clock`: the endpoint's."""

    def __init__(self, control: Control, router: Router, clock: Callable[[], float]) -> None:
        self._control = control
        self._router = router
        self._clock = clock
        control.listeners.append(self._ordered)
        control.watchers.append(self._shadow_changed)

    @property
    def provisioner(self) -> Provisioner | None:
        """Who adds devices that come by a claim, where this process can."""
        return self._control.provisioner

    def hears(self, topic: str) -> bool:
        """What is published there comes here."""
        return topic.startswith("devices/") and _TOPIC.fullmatch(topic) is not None

    def take(self, identity: Identity, run: Sequence[Publish], receipt: Receipt) -> None:
        """PUBLISHes to one such topic; the receipt waits for the log, or says why not."""
        found = _TOPIC.fullmatch(run[0].topic)
        if found is None:
            return
        for at, publish in enumerate(run):
            try:
                self._take(identity, found, publish.payload, receipt)
            except Rejected as error:
                receipt.rejections = [*(receipt.rejections or ()), Rejection(at, error.reason, error.detail)]

    def subscribed(self, session: Session) -> None:
        """It has subscribed, or come back with its subscriptions: it gets what waits for the devices it stands for."""
        now = self._control.wall()
        for device in {_device_of(pattern) for pattern in session.filters}:
            waiting = [command for command in self._control.commands.of(device) if command.due(now)]
            if waiting and session.identity.may_send_for(device):
                session.outbox.follow(self._commands_for(session, waiting))

    def _take(self, identity: Identity, topic: re.Match[str], payload: bytes, receipt: Receipt) -> None:
        device = check_device(topic["device"])
        if not identity.may_send_for(device):
            raise Rejected("not_authorized", f"{identity.name or 'this sender'} may not send for {device}")
        if topic["command"]:
            answered = Answered(self._control.wall(), check_answer(payload))
            self._control.answer(device, topic["command"], answered, receipt)
        elif topic["shadow"] == "get":
            self._tell_shadow(device)
        else:
            self._change(device, payload, receipt)

    # Commands.

    def _ordered(self, command: Command) -> None:
        """A new command is on the log."""
        matches = self._router.subscriptions.match(command.topic)
        for session, grants in matches.items():
            if _stands_for(session, command.device):
                session.outbox.follow(self._commands_for(session, [command]))
            else:
                self._tell(session, self._message(command), grants)

    def _commands_for(self, session: Session, commands: Sequence[Command]) -> Iterator[Delivery]:
        """Looked up when the client can take it: by then it may have been answered elsewhere."""
        for command in commands:
            grants = self._router.subscriptions.match(command.topic).get(session)
            if grants is None or command.topic in session.given or not command.due(self._control.wall()):
                continue
            message = self._message(command)
            message.told = _Told(self._control, command)
            found = best(grants, message, own=False)
            if found is not None:
                self._note_given(session, command)
                yield Delivery(message, found.flags, found.identifiers)

    def _note_given(self, session: Session, command: Command) -> None:
        count = len(session.given)
        if count >= _GIVEN and not count & (count - 1):
            now = self._control.wall()
            known = {one.topic for name in map(_device_of, session.given) for one in self._open(name, now)}
            session.given &= known
        session.given.add(command.topic)

    def _open(self, device: str, now: int) -> list[Command]:
        return [command for command in self._control.commands.of(device) if command.open(now)]

    def _message(self, command: Command) -> Outgoing:
        left = ceil((command.ordered.expires - self._control.wall()) / 1e6)
        given = msgspec.structs.replace(
            _JSON,
            message_expiry_interval=max(1, left),
            response_topic=reply_topic_of(command.device, command.id),
            correlation_data=command.id.encode(),
        )
        return Outgoing(Publish(command.topic, command.payload(), QOS_1, 0, given), self._clock())

    # Shadows.

    def _change(self, device: str, payload: bytes, receipt: Receipt) -> None:
        try:
            change = read_change(payload)
        except Rejected as error:
            self._refuse(device, "", error)
            return
        self._control.shadows.change(
            device,
            lambda known, at: changed(known, change, at),
            change.version,
            receipt,
            partial(self._refuse, device, change.token),
        )

    def _shadow_changed(self, change: Change) -> None:
        """On every gateway, for whoever listens there."""
        if change.after.removed:
            return
        topic = f"devices/{change.device}/shadow/update"
        self._publish(f"{topic}/accepted", change.after.document)
        self._publish(f"{topic}/delta", partial(_delta, change))

    def _refuse(self, device: str, token: str, outcome: Outcome) -> None:
        match outcome:
            case Rejected() | Refused():
                code, detail = outcome.reason, outcome.detail
            case Stale():
                code, detail = "conflict", str(outcome)
            case _:  # accepted, or to be sent again: that is told otherwise
                return
        said = {"error": code, "detail": detail} | ({"token": token} if token else {})
        self._publish(f"devices/{device}/shadow/update/rejected", lambda: said)

    def _tell_shadow(self, device: str) -> None:
        shadow: Shadow = self._control.shadows.table.get(device)
        if shadow.there:
            self._publish(f"devices/{device}/shadow/get/accepted", shadow.document)
        else:
            said = {"error": "no_shadow", "detail": f"{device} has no shadow yet"}
            self._publish(f"devices/{device}/shadow/get/rejected", lambda: said)

    def _publish(self, topic: str, said: Callable[[], object]) -> None:
        """To whoever is connected here and hears it."""
        matches = self._router.subscriptions.match(topic)
        document = said() if matches else None
        if document is None:
            return
        message = Outgoing(Publish(topic, msgspec.json.encode(document), QOS_1, 0, _JSON), self._clock())
        for session, grants in matches.items():
            self._tell(session, message, grants)

    def _tell(self, session: Session, message: Outgoing, grants: Sequence[Grant]) -> None:
        found = best(grants, message, own=False)
        if found is None:
            return
        if session.outbox.following >= QUEUED:
            session.line.end(ReasonCode.QUOTA_EXCEEDED, "too many messages wait to be acknowledged")
        else:
            session.outbox.follow(iter((Delivery(message, found.flags, found.identifiers),)))


def _device_of(pattern: str) -> str:
    """The device that a filter, or a topic, names; "" for none."""
    levels = pattern.split("/", 2)
    return levels[1] if len(levels) > 1 and levels[0] == "devices" else ""


def _stands_for(session: Session, device: str) -> bool:
    return session.identity.may_send_for(device) and any(_device_of(pattern) == device for pattern in session.filters)


def _delta(change: Change) -> object:
    """What a device is told if there is anything new to be done; None if not."""
    delta = change.after.delta
    if not delta or delta == change.before.delta:
        return None
    return {"version": change.after.version, "delta": delta}
