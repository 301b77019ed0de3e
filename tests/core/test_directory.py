"""Who may come in: answered from the changes on topic `registry`, in whatever order and however often they come."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import Refused, RefusedReason, Unavailable
from headwater.log import REGISTRY, Entry, Log, NewEntry
from headwater.registry import ANONYMOUS, ApiKey, Device, Identity, Role, RulesChange
from headwater.saying import capture_logs
from ingest.contract import Door
from tests.core.registry_kit import a_log, device_entry, entry, key_entry, ready

TOKEN = "hw_d_of-pump-7"
NAMES = ("pump-7", "tank:1", "gw@home")


def refused(directory: Directory, name: str, secret: str, *, loopback: bool = False) -> RefusedReason:
    with pytest.raises(Refused) as found:
        directory.identify(name, secret, loopback=loopback)
    return found.value.reason


def test_it_is_a_door():
    door: Door = ready()
    assert door.identify("", "", loopback=True) == ANONYMOUS


# A device comes in with its name and token (MQTT), or its token alone (HTTP).


@pytest.mark.parametrize("name", ["pump-7", ""])
def test_a_device_with_its_token_is_itself_and_speaks_for_its_children(name: str):
    directory = ready([device_entry("pump-7", token=TOKEN, speaks_for=("tag-*",))])
    identity = directory.identify(name, TOKEN, loopback=False)
    assert identity == Identity(name="pump-7", device="pump-7", speaks_for=("tag-*",))
    assert identity.may_send_for("tag-12")
    assert not identity.may_send_for("pump-8")
    assert not identity.may("read")


@pytest.mark.parametrize("name", ["ops", ""])
def test_an_api_key_has_its_roles_and_is_no_device(name: str):
    directory = ready([key_entry("ops", token="hw_k_ops")])
    identity = directory.identify(name, "hw_k_ops", loopback=False)
    assert identity == Identity(name="ops", roles=("read",))
    assert not identity.may_send_for("ops")


@pytest.mark.parametrize("loopback", [True, False])
@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("pump-7", "hw_d_wrong"),
        ("pump-7", TOKEN + " "),
        ("pump-7", "x" * 100_000),
        ("pump-8", TOKEN),
        ("nobody", "hw_d_wrong"),
        ("", "hw_d_wrong"),
        ("tank:1", "hw_d_wrong"),
        ("pump-7", "\udcff"),
        ("\udcff", TOKEN),
    ],
)
def test_a_wrong_credential_is_refused_and_never_taken_for_nobody(name: str, secret: str, loopback: bool):
    directory = ready([device_entry("pump-7", token=TOKEN), device_entry("tank:1")])
    assert refused(directory, name, secret, loopback=loopback) == "bad_credentials"


def test_the_digest_of_a_token_is_no_token():
    directory = ready([device_entry("pump-7", token=TOKEN)])
    assert refused(directory, "pump-7", digest(TOKEN)) == "bad_credentials"
    assert refused(directory, "", digest(TOKEN)) == "bad_credentials"


def test_the_text_of_a_refusal_does_not_tell_which_names_exist():
    directory = ready([device_entry("pump-7", token=TOKEN)])
    texts: set[str] = set()
    for name in ("pump-7", "nobody"):
        with pytest.raises(Refused) as found:
            directory.identify(name, "wrong", loopback=False)
        texts.add(str(found.value))
    assert len(texts) == 1


# Nobody needs a credential on loopback, unless configured.


def test_on_loopback_nobody_is_anonymous_and_a_name_without_a_secret_is_that_name():
    directory = ready()
    assert directory.identify("", "", loopback=True) == ANONYMOUS
    assert directory.identify("gw-3", "", loopback=True) == Identity(name="gw-3", trusted=True)


@pytest.mark.parametrize("name", ["", "gw-3", "pump-7"])
def test_elsewhere_or_where_it_is_configured_everyone_needs_one(name: str):
    entries = [device_entry("pump-7", token=TOKEN)]
    assert refused(ready(entries), name, "", loopback=False) == "no_credentials"
    assert refused(ready(entries, anonymous="never"), name, "", loopback=True) == "no_credentials"


@pytest.mark.parametrize("name", ["a/b", "+", "#", "devices/+/telemetry", ".hidden", "a b", "x" * 129, "\udcff", "a\n"])
def test_a_name_with_wildcards_or_slashes_is_refused_on_loopback_too(name: str):
    assert refused(ready(), name, "", loopback=True) == "bad_credentials"


def test_a_disabled_device_is_refused_with_its_token_and_by_its_name_alone():
    directory = ready([device_entry("pump-7", token=TOKEN, disabled=True)])
    assert refused(directory, "pump-7", TOKEN) == "disabled"
    assert refused(directory, "", TOKEN) == "disabled"
    assert refused(directory, "pump-7", "", loopback=True) == "disabled"
    assert refused(directory, "pump-7", "wrong") == "bad_credentials"


# Changes


def test_a_new_token_ends_the_old_one_at_once():
    directory = ready([device_entry("pump-7", token=TOKEN)])
    directory.apply([device_entry("pump-7", 2, token="hw_d_new")])
    assert refused(directory, "pump-7", TOKEN) == "bad_credentials"
    assert refused(directory, "", TOKEN) == "bad_credentials"
    assert directory.identify("", "hw_d_new", loopback=False).device == "pump-7"


def test_a_removed_name_is_unknown_and_an_older_entry_does_not_bring_it_back():
    directory = ready([device_entry("pump-7", token=TOKEN, model="pump")])
    assert directory.model_of("pump-7") == "pump"
    directory.apply([device_entry("pump-7", 2, removed=True), device_entry("pump-7", 1, token=TOKEN)])
    assert refused(directory, "pump-7", TOKEN) == "bad_credentials"
    assert directory.model_of("pump-7") == ""
    assert directory.identify("pump-7", "", loopback=True).trusted


def test_a_removed_device_does_not_take_the_key_of_its_name_with_it():
    directory = ready([key_entry("pump-7", token="hw_k_7"), device_entry("pump-7", 2, removed=True)])
    assert directory.identify("pump-7", "hw_k_7", loopback=False).roles == ("read",)


def test_watchers_hear_the_name_of_what_has_changed_once_until_they_stop():
    directory = ready()
    heard: list[str] = []
    stop = directory.watch(heard.append)
    directory.apply([device_entry("pump-7"), device_entry("pump-7"), key_entry("ops", token="t")])
    assert heard == ["pump-7", "ops"]
    directory.apply([device_entry("pump-7", 2, disabled=True), device_entry("pump-7", 1)])
    assert heard == ["pump-7", "ops", "pump-7"]
    stop()
    stop()
    directory.apply([device_entry("pump-7", 3)])
    assert heard == ["pump-7", "ops", "pump-7"]


def test_a_watcher_already_meets_the_change_and_one_that_fails_harms_no_other():
    directory = ready([device_entry("pump-7", token=TOKEN)])
    answers: list[str] = []

    def fails(_: str) -> None:
        raise RuntimeError("broken")

    directory.watch(fails)
    directory.watch(lambda name: answers.append(refused(directory, name, TOKEN)))
    with capture_logs() as said:
        directory.apply([device_entry("pump-7", 2, removed=True)])
    assert answers == ["bad_credentials"]
    assert [line["level"] for line in said] == ["error"]


def test_what_nobody_here_wrote_is_reported_and_left_out():
    directory = ready()
    foreign = (b"", b"[]", b"{", b'{"kind":"asset"}', b'{"kind":"device","device":{"name":7}}', b"\xff")
    entries = [Entry(REGISTRY, 0, 0, 0, b"x", value) for value in foreign]
    with capture_logs() as said:
        directory.apply([*entries, Entry(REGISTRY, 0, 0, 0, b"x", None), entry(RulesChange(1, msgspec.Raw(b"{}")))])
        directory.apply([*entries[:1], device_entry("pump-7", token=TOKEN)])
    assert directory.identify("pump-7", TOKEN, loopback=False).device == "pump-7"
    assert len(said) == len(foreign) + 1


# The law: however the topic is cut, repeated and shuffled, the highest version of each name is what counts.


roles: st.SearchStrategy[Role] = st.sampled_from(["ingest", "read", "admin"])


@st.composite
def histories(draw: st.DrawFn) -> list[Device | ApiKey]:
    """Versions 1 to n of some devices and keys; each version has a token of its own."""
    records: list[Device | ApiKey] = []
    for name in NAMES:
        for version in range(1, draw(st.integers(0, 4)) + 1):
            model, disabled, removed = draw(st.tuples(st.sampled_from(["", "pump"]), st.booleans(), st.booleans()))
            token = digest(f"d {name} {version}")
            records.append(Device(name, token, model, disabled=disabled, removed=removed, version=version))
        for version in range(1, draw(st.integers(0, 3)) + 1):
            role, removed = draw(st.tuples(roles, st.booleans()))
            records.append(ApiKey(name, digest(f"k {name} {version}"), (role,), removed=removed, version=version))
    return records


def answers(directory: Directory) -> dict[tuple[str, str], Identity | str]:
    """What it says to every name with every token there ever was."""
    said: dict[tuple[str, str], Identity | str] = {}
    tokens = ["", *(f"{kind} {name} {version}" for kind in "dk" for name in NAMES for version in range(1, 6))]
    for name in ("", *NAMES):
        for token in tokens:
            try:
                said[name, token] = directory.identify(name, token, loopback=True)
            except Refused as error:
                said[name, token] = error.reason
    return said | {("model of", name): directory.model_of(name) for name in NAMES}


@given(histories(), st.data())
def test_any_cut_any_order_and_any_repetition_give_the_same_directory(
    records: list[Device | ApiKey], data: st.DataObject
):
    newest = {(type(record), record.name): record for record in records}
    expected = answers(ready([entry(record) for record in newest.values()]))
    repeated = data.draw(st.lists(st.sampled_from(records), max_size=10)) if records else []
    shuffled = data.draw(st.permutations(records + repeated))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=5)))
    directory = ready()
    for start, end in pairwise([0, *cuts, len(shuffled)]):
        directory.apply([entry(record) for record in shuffled[start:end]])
    assert answers(directory) == expected


# Following the log


async def put(log: Log, *entries: Entry) -> None:
    results = await log.append(REGISTRY, [NewEntry(e.partition, e.key, e.value) for e in entries])
    assert all(isinstance(result, int) for result in results)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.001)


async def test_it_is_ready_when_it_knows_all_that_was_there_at_the_start(tmp_path: Path):
    async with a_log(tmp_path) as log:
        await put(log, *(device_entry(f"pump-{n}", token=f"t{n}") for n in range(12_000)))
        directory = Directory()
        async with directory.following(log):
            assert directory.identify("pump-11999", "t11999", loopback=False).device == "pump-11999"


async def test_a_change_is_in_force_at_once(tmp_path: Path):
    async with a_log(tmp_path, registry_partitions=2) as log:
        directory = Directory(check_every=3600)
        async with directory.following(log):
            device = Device("pump-7", digest(TOKEN), version=1)
            waiting = asyncio.create_task(directory.applied(device))
            await put(log, entry(device))
            assert await waiting
            assert directory.identify("pump-7", TOKEN, loopback=False).device == "pump-7"
            await put(log, device_entry("pump-7", 2, removed=True)._replace(partition=1))
            assert await directory.applied(Device("pump-7", version=2))
            assert refused(directory, "pump-7", TOKEN) == "bad_credentials"


async def test_the_wait_for_a_change_has_a_limit(tmp_path: Path):
    async with a_log(tmp_path) as log:
        directory = Directory()
        async with directory.following(log):
            assert not await directory.applied(Device("pump-7", version=1), seconds=0.01)


class Trouble:
    """A log that can be away: calls fail, and followers are cut off or hear nothing."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.away = False
        self.deaf = False
        self.ended = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise Unavailable("away")
        return getattr(self._log, name)

    async def read(
        self, topic: str, partition: int, start: int, *, follow: bool = False
    ) -> AsyncGenerator[object, None]:
        if self.deaf and follow:
            await asyncio.sleep(3600)
        async for entries in self._log.read(topic, partition, start, follow=follow):
            if self.away:
                raise Unavailable("away")
            yield entries


def fresh(directory: Directory, token: str) -> bool:
    try:
        return directory.identify("", token, loopback=False).device == "pump-7"
    except Unavailable:
        return False


async def test_without_the_log_it_answers_for_the_stated_time_and_then_trusts_no_token(tmp_path: Path):
    seconds = [0.0]
    async with a_log(tmp_path) as log:
        await put(log, device_entry("pump-7", token=TOKEN))
        trouble = Trouble(log)
        directory = Directory(stale_after=600, check_every=0.005, clock=lambda: seconds[0])
        with capture_logs() as said:
            async with directory.following(trouble):  # type: ignore[arg-type]
                trouble.away = True
                await until(lambda: bool(said))
                seconds[0] = 599
                assert directory.identify("pump-7", TOKEN, loopback=False).device == "pump-7"
                seconds[0] = 601
                with pytest.raises(Unavailable):
                    directory.identify("pump-7", TOKEN, loopback=False)
                assert directory.identify("", "", loopback=True) == ANONYMOUS
                trouble.away = False
                await put(log, device_entry("pump-7", 2, token="hw_d_new"))
                assert await directory.applied(Device("pump-7", version=2))
                await until(lambda: fresh(directory, "hw_d_new"))
    assert [line["level"] for line in said] == ["warning", "info"]


async def test_a_change_that_the_follower_did_not_hear_of_is_found_by_looking(tmp_path: Path):
    async with a_log(tmp_path) as log:
        trouble = Trouble(log)
        trouble.deaf = True
        directory = Directory(check_every=0.01)
        async with directory.following(trouble):  # type: ignore[arg-type]
            await put(log, device_entry("pump-7", token=TOKEN))
            assert await directory.applied(Device("pump-7", version=1))


async def test_a_log_that_cannot_be_read_in_time_keeps_it_from_starting(tmp_path: Path):
    class Hanging(Trouble):
        async def ends(self, topic: str) -> object:
            await asyncio.sleep(3600)

    async with a_log(tmp_path) as log:
        with pytest.raises(Unavailable):
            async with Directory().following(Hanging(log), start_time=0.01):  # type: ignore[arg-type]
                pytest.fail("it must not serve")


async def test_nothing_of_it_runs_on_afterwards(tmp_path: Path):
    async with a_log(tmp_path) as log:
        before = asyncio.all_tasks()
        async with Directory().following(log):
            assert asyncio.all_tasks() > before
        assert asyncio.all_tasks() == before
