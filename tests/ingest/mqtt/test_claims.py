"""A session that is claimed has what it had until then, at every gateway, whatever its claim had copied."""

from msgspec.structs import replace

from headwater.log import SESSIONS, Entry
from headwater.registry import Identity
from ingest.mqtt.state import SESSION, SessionState, encode
from ingest.mqtt.subscriptions import Grant
from ingest.mqtt.table import Known, Table

HOUR = 3600 * 1_000_000
BEFORE = SessionState(Identity("d1"), "c", "a", "first", 1, HOUR, connected=True, expiry=60, queued=True)
FILTERS = (("plant/#", Grant(1)),)
CLAIM = replace(BEFORE, gateway="b", nonce="second", epoch=2, since=HOUR + 1, claims=True, resumes=True)


class Here:
    """What a gateway has to do with it: nothing, but to note whether claims said less than holds."""

    def __init__(self) -> None:
        self.changed: list[bool] = []

    def claimed(self, state: SessionState, known: Known | None, *, changed: bool) -> None:
        self.changed.append(changed)

    def taken(self, known: Known) -> None: ...

    def refused(self, known: Known) -> None: ...

    def forgotten(self, key: str, before: SessionState) -> bool:
        return True


def read_at(gateway: str, *states: SessionState) -> tuple[Table, list[bool]]:
    """The table of a gateway that has read these."""
    here = Here()
    table = Table(gateway, here, lambda: 0)
    for offset, state in enumerate(states):
        table.apply(Entry(SESSIONS, 0, offset, 0, SESSION + state.key.encode(), encode(state)))
    return table, here.changed


def test_a_subscription_that_was_acknowledged_just_before_a_claim_is_routed_by_all_gateways() -> None:
    """The claim was written by a gateway that had not read of it yet."""
    subscribed = replace(BEFORE, subscriptions=FILTERS, position=7)
    for gateway in ("a", "b", "another"):
        table, changed = read_at(gateway, BEFORE, subscribed, CLAIM)
        (known,) = table.wanted.match("plant/1")
        assert (known.state.gateway, known.state.position, known.state.claims, known.state.resumes) == (
            "b",
            7,
            False,
            False,
        )
        assert changed == [True]


def test_a_claim_that_copied_all_of_it_says_so() -> None:
    subscribed = replace(BEFORE, subscriptions=FILTERS)
    table, changed = read_at("a", subscribed, replace(CLAIM, subscriptions=FILTERS))
    assert len(table.wanted.match("plant/1")) == 1
    assert changed == [False]


def test_a_clean_start_or_a_session_that_is_over_has_nothing_of_what_was() -> None:
    subscribed = replace(BEFORE, subscriptions=FILTERS)
    gone = replace(subscribed, connected=False)
    for before, claim in ((subscribed, replace(CLAIM, resumes=False)), (gone, replace(CLAIM, since=2 * HOUR))):
        table, changed = read_at("a", before, claim)
        assert not table.wanted.match("plant/1")
        assert changed == [False]
