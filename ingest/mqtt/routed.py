"""Messages that go through the log: for sessions of other gateways, and for those that outlive their connection.

In: PUBLISHes of this gateway's clients; entries of topic `routed`, whichever gateway wrote them. Out: an entry for each
PUBLISH that somebody hears whom this gateway does not reach straight; deliveries to sessions of this gateway. No queue
is kept for a session that is away: the log is its queue, and it is read from where the session left off.
"""

from collections.abc import Callable, Sequence

from headwater.log import Entry
from ingest.contract import Receipt
from ingest.mqtt.journal import Journal
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.outbox import Outgoing
from ingest.mqtt.packets import QOS_1, QOS_2, RETAIN, Publish
from ingest.mqtt.router import Router
from ingest.mqtt.sessions import Session
from ingest.mqtt.state import Choice, RoutedMessage, decode_routed, encode, handed_on
from ingest.mqtt.subscriptions import Grant, Matches
from ingest.mqtt.table import Known, Table

Chosen = tuple[Publish, Session, Grant]
"""A message for one member of a shared subscription whom this gateway reaches straight."""


class Routed:
    """`gateway`: this one. `session_of`: a session connected here. `clock`, `wall`: seconds, microseconds."""

    def __init__(
        self,
        gateway: str,
        table: Table,
        session_of: Callable[[str], Session | None],
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self.journal: Journal
        self.router: Router
        self._gateway = gateway
        self._table = table
        self._session_of = session_of
        self._clock = clock
        self._wall = wall

    def forward(self, run: Sequence[Publish], rejected: frozenset[int], receipt: Receipt, sender: str) -> list[Chosen]:
        """Append what must be; the receipt waits for that. Returns what is for members reached straight.

        `run`: PUBLISHes with one topic; `rejected`: those of them that nobody is to hear.
        """
        topic = run[0].topic
        wanted = self._table.wanted.match(topic)
        chosen: list[Chosen] = []
        for at, publish in enumerate(run):
            if at in rejected:
                continue
            choices = self._choose(publish, chosen) if self._table.groups.members.count else ()
            if choices or (wanted and self._needed(wanted, publish.qos)):
                message = RoutedMessage(
                    self._gateway,
                    sender,
                    self._wall(),
                    topic,
                    publish.payload,
                    publish.flags & (QOS_1 | QOS_2 | RETAIN),
                    handed_on(publish.properties),
                    choices,
                )
                self.journal.add(sender.encode(), encode(message), receipt)
        return chosen

    def _needed(self, wanted: Matches[Known], qos: int) -> bool:
        """Somebody is connected elsewhere, or keeps a position: what has QoS 0 does not wait for anybody."""
        for known, grants in wanted.items():
            state = known.state
            if state.connected and state.gateway != self._gateway:
                return True
            if qos and state.queued and any(grant.qos for grant in grants):
                return True
        return False

    def _choose(self, publish: Publish, straight: list[Chosen]) -> tuple[Choice, ...]:
        choices: list[Choice] = []

        def rank(key: str, grant: Grant) -> int:
            known = self._table.sessions.get(key)
            if self._session_of(key) is not None or (known is not None and known.state.connected):
                return 0
            return 1 if known is not None and min(grant.qos, publish.qos) else -1

        for key, grant in self._table.groups.choose(publish.topic, rank):
            session = self._session_of(key)
            if session is not None and not (session.lasting and min(grant.qos, publish.qos)):
                straight.append((publish, session, grant))
            else:
                choices.append(Choice(key, grant))
        return tuple(choices)

    def apply(self, entry: Entry) -> None:
        """Deliver an entry to those connected here; note where those who are away have something waiting."""
        if entry.value is None:
            return
        message = decode_routed(entry.value)
        publish = message.publish(self._wall())
        if publish is None:
            return
        here, offset = message.origin == self._gateway, entry.offset
        outgoing = Outgoing(publish, self._clock())
        for session, grants in self.router.subscriptions.match(message.topic).items():
            self._deliver(session, outgoing, grants, message.sender, offset, here=here)
        for known in self._table.wanted.match(message.topic):
            _wait(known, offset)
        for choice in message.choices:
            session = self._session_of(choice.key)
            if session is not None:
                self._deliver(session, outgoing, (choice.grant,), "", offset, here=here)
            elif (known := self._table.sessions.get(choice.key)) is not None:
                _wait(known, offset)

    def _deliver(
        self, session: Session, message: Outgoing, grants: Sequence[Grant], sender: str, offset: int, *, here: bool
    ) -> None:
        if isinstance(session, KeptSession) and session.lasting:
            session.take(message, grants, sender, offset, here=here)
        elif not here:
            session.deliver(message, grants, sender)


def _wait(known: Known, offset: int) -> None:
    """The first message that waits for a session that is away."""
    if known.waiting_from is None and not known.state.connected:
        known.waiting_from = offset
