"""Live state, documents, search and lake against the log, each comparison a function.

In: the round, a reader, and the `Finding` to fill. Out: nothing else.
"""

from collections.abc import Callable, Mapping

from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.times import SECOND
from query.audit_findings import Finding
from query.audit_log import Newest, Refusal, Where
from query.audit_round import FIRST_PAUSE, Round
from storage.contract import CandidateReader, LakeReader, LiveReader, LiveValue, SearchReader
from storage.search_batch import first_time


async def compare_live(of: Round, live: LiveReader, finding: Finding) -> None:
    """The newest value of each field. Where the log has none (any more), the value's message must be somewhere."""
    seen: set[str] = set()
    async for devices in live.everything():
        for device in devices:
            seen.add(device.device)
            expected = of.messages.newest.get(device.device, {})
            finding.compared += len(device.values)
            for field, newest in expected.items():
                _compare_value(finding, device.device, field, newest, device.values.get(field))
            for field, value in device.values.items():
                named = (device.device, value.id)
                if field not in expected and named not in of.messages:
                    text = f"live value of {field} of device {device.device}: no message {value.id} anywhere"
                    of.doubts.of_message(named, finding, text)
    for name in sorted(of.messages.newest.keys() - seen):
        finding.lacks(f"device {name} in the live state")


def _compare_value(finding: Finding, device: str, field: str, expected: Newest, found: LiveValue | None) -> None:
    if found is None:
        finding.lacks(f"live value of {field} of device {device}, from message {expected.order[2]}")
        return
    order = (found.time, found.received, found.id)
    if order < expected.order:
        finding.lacks(
            f"live value of {field} of device {device} is from message {found.id}; newest is {expected.order[2]}"
        )
    elif order == expected.order and found.value != expected.value:
        finding.differs(
            f"live value of {field} of device {device} is {found.value!r}, its message says {expected.value!r}"
        )


async def compare_documents(of: Round, documents: CandidateReader, finding: Finding) -> None:
    """Each candidate that retention has not taken yet, in its newest revision."""
    kept = round(of.limits.documents * SECOND)
    await _compare_candidates(of, "documents", documents, lambda: of.now() - kept, finding)


async def compare_search(of: Round, search: SearchReader, finding: Finding) -> None:
    """The same; search keeps whole days."""
    await _compare_candidates(of, "search", search, lambda: first_time(of.now(), of.limits.search), finding)


async def _compare_candidates(
    of: Round, name: str, store: CandidateReader | SearchReader, kept_since: Callable[[], int], finding: Finding
) -> None:
    finding.compared, pause = len(of.candidates), FIRST_PAUSE
    while True:
        found = {one: revision async for batch in store.ids() for one, revision in batch}
        since = kept_since() + SECOND
        lacking = [
            (one, chosen)
            for one, chosen in of.candidates.items()
            if found.get(one, -1) < chosen.revision
            and chosen.time >= since
            and Refusal(name, CANDIDATES, *chosen.where) not in of.rejections.refused
        ]
        if not lacking or of.patience.over:
            break
        pause = await of.patience.pause(pause)
    for one, chosen in lacking:
        if one in found:
            finding.differs(f"candidate {one} in {name} is revision {found[one]}; the newest is {chosen.revision}")
        else:
            finding.lacks(f"candidate {one} in {name}; on the log at {chosen.where}")
    for one in sorted(found.keys() - of.candidates.keys()):
        of.doubts.of_candidate(one, finding, f"candidate {one} in {name}; it is nowhere else")


async def compare_lake_messages(of: Round, lake: LakeReader, finding: Finding) -> None:
    """Every message. What the lake has is in doubt no longer."""
    finding.compared = len(of.messages)
    marks = of.messages.marks()
    async for rows in lake.ids(MESSAGES):
        for partition, offset, device, id in rows:  # noqa: A001
            named = (device, id)
            of.doubts.messages.pop(named, None)
            first = marks.mark(named)
            end = of.messages.ends.get(partition)
            if first is not None:
                finding.repeated += not first
            elif end is None or end.first <= offset < end.next:
                finding.exceeds(
                    f"message {id} of device {device} in the lake, from partition {partition} offset {offset}"
                )
    lacking = (where for where in marks.unmarked() if Refusal("lake", MESSAGES, *where) not in of.rejections.refused)
    await of.messages.lacks(lacking, "in the lake", finding)


async def compare_lake_candidates(of: Round, lake: LakeReader, finding: Finding) -> None:
    """Each candidate, in whatever revision, as far back as the log goes."""
    where = {one: chosen.where for one, chosen in of.candidates.items()}
    await _compare_lake_ids(of, CANDIDATES, where, lake, finding)


async def compare_lake_rejected(of: Round, lake: LakeReader, finding: Finding) -> None:
    """The same of what was rejected."""
    await _compare_lake_ids(of, REJECTED, of.rejections.where, lake, finding)


async def _compare_lake_ids(
    of: Round, topic: str, on_log: Mapping[str, Where], lake: LakeReader, finding: Finding
) -> None:
    finding.compared, pause = len(on_log), FIRST_PAUSE
    refused = of.rejections.refused
    while True:
        lacking = {one for one, where in on_log.items() if Refusal("lake", topic, *where) not in refused}
        async for rows in lake.ids(topic):
            for *_, one in rows:
                lacking.discard(one)
                if topic == CANDIDATES:
                    of.doubts.candidates.pop(one, None)
        if not lacking or of.patience.over:
            break
        pause = await of.patience.pause(pause)
    for one in sorted(lacking, key=on_log.__getitem__):
        finding.lacks(f"{one} of {topic} in the lake; on the log at {on_log[one]}")
