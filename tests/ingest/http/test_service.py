"""What connections share: who is known for how long, and the date."""

from headwater.config import load
from headwater.metrics import Metrics
from ingest.http.head import read_head
from ingest.http.service import HEAD_LENGTH, HEADS, VOUCHED, Service
from tests.ingest.http.support import FakeDoor, FakeIntake


def service() -> Service:
    return Service(load(environment={}), FakeIntake(), FakeDoor(), Metrics())


def test_the_door_is_asked_again_now_and_then_though_nothing_changed():
    shared = service()
    rights: set[int] = set()
    for second in range(3 * VOUCHED):
        shared.tick(0, 1_763_700_000 + second + 0.5)
        rights.add(shared.rights)
    assert 3 <= len(rights) <= 4


def test_the_date_is_new_each_second_and_only_then():
    shared = service()
    assert shared.tick(0, 1_763_700_000.1)
    first = shared.replies.one
    assert not shared.tick(1, 1_763_700_000.9)
    assert shared.replies.one is first
    assert shared.tick(2, 1_763_700_001.0)
    assert b"date: Fri, 21 Nov 2025 04:40:01 GMT\r\n" in shared.replies.one


def test_heads_are_remembered_within_bounds():
    shared = service()
    head = read_head(b"POST", b"/ingest", [])
    assert head is not None
    for number in range(HEADS + 10):
        shared.remember(b"POST %d" % number, head)
    shared.remember(b"x" * (HEAD_LENGTH + 1), head)
    assert len(shared.heads) == 10
