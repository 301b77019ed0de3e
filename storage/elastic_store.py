"""Search in Elasticsearch: a document a candidate, in an index a day, and a ledger beside them.

In: batches of candidates. Out: documents by bulk, then the ledger, once all of them are on disk. `_id` is the
candidate's, the version its revision + 1, external: a repeat and an older revision do nothing, whoever writes them, and
a ledger's version is its position + 1, so it only rises. A server that comes back empty has no ledger index, which is
noticed where a write begins: then all is made again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from headwater.config_stack import Elasticsearch
from headwater.errors import ConfigError, PartialWrite, Unavailable
from headwater.log import CANDIDATES
from headwater.message import Candidate
from headwater.times import SECOND
from headwater.times import now as _now
from storage.contract import Circle, Record, Span, Term
from storage.elastic_client import ElasticClient, Missing, open_client, path
from storage.elastic_query import page, question
from storage.elastic_schema import LEDGER_MAPPING, MOST_DAYS, Names, document, moved, settings
from storage.search_batch import DAY, Applied, Kept, first_time, inside, place_of, sensible, sift, visible
from storage.search_words import wanted
from storage.seen import Seen

_BULK_SIZE = 8 * 2**20
"""Bytes of one bulk: the server holds them in its heap, of which it allows a tenth to all that is on its way."""
_PAGE = 1000
_IDS = 5000
_EXISTS = "resource_already_exists_exception"
_NO_INDEX = "index_not_found_exception"
_NOT_YET = "search_phase_execution_exception"
_REFUSED = {
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
    "illegal_argument_exception",
}
"""Errors of a document, not of the server. Everything else passes."""
_ITEMS = "errors,items.*.status,items.*.error.type,items.*.error.reason"

_encode = msgspec.json.Encoder().encode


class ElasticSearch:
    """Use `open_elastic_search`. A `Store` (topic `candidates`) and a `SearchReader`."""

    name = "search"

    def __init__(
        self, client: ElasticClient, config: Elasticsearch, log_id: str, retention: float, now: Callable[[], int]
    ) -> None:
        self._client = client
        self._names = Names(config.prefix)
        self._replicas = config.replicas
        self._log_id = log_id
        self._retention = retention
        self._now = now
        self._made: set[str] = set()  # the days' indexes known to be there
        self._refreshed: Mapping[int, int] | None = None  # the ledger as of the last refresh
        self._seen = Seen("Elasticsearch")

    async def set_up(self) -> None:
        """Make the template and the ledger's index, where they are missing. Others may be at it too."""
        self._made.clear()
        await self._client.call("PUT", path("_index_template", self._names.alias), self._names.template(self._replicas))
        ledger = {"settings": settings(self._replicas), "mappings": LEDGER_MAPPING}
        await self._client.call("PUT", path(self._names.ledger), ledger, ignore=[_EXISTS])
        await self._active(self._names.ledger)

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: documents first, then the ledger. Raises `Stale` if what it had is gone.

        The ledger moves only with a batch that is stored whole: a crash before the quarantine has the rest loses
        nothing, since the batch comes again, and changes nothing.
        """
        async with self._limit():
            refused = await self._write(batch)
        if refused:
            raise PartialWrite(refused)

    async def _write(self, batch: Sequence[Record]) -> Mapping[int, str]:
        if not batch:
            return {}
        keys = list({(record.topic, record.partition) for record in batch})
        applied = await self._applied(keys)
        self._seen.check(keys, applied)
        sifted = sift(batch, applied, self._now(), self._retention)
        refused = {**sifted.refused, **await self._put(sifted.kept)}
        if not refused:
            await self._put_ledger(sifted.ledger)
            self._seen.moved(sifted.ledger)
        return refused

    async def _applied(self, keys: Sequence[tuple[str, int]]) -> Applied:
        """The ledger of these partitions as of now: a read by id sees every write. Sets up what is missing."""
        wanted_ids = {"ids": [self._ledger_id(topic, partition) for topic, partition in keys]}
        answer = await self._client.call("POST", path(self._names.ledger, "_mget"), wanted_ids, ignore=[_NO_INDEX])
        items = answer.get("docs", [answer] * len(keys))
        troubles = {item["error"]["type"] for item in items if "error" in item}
        if _NO_INDEX in troubles:
            await self.set_up()
            return {}
        if troubles:
            raise Unavailable(f"Elasticsearch: the ledger: {', '.join(sorted(troubles))}")
        return {key: item["_source"]["position"] for key, item in zip(keys, items, strict=True) if item["found"]}

    async def _put(self, kept: Sequence[Kept]) -> Mapping[int, str]:
        """Write the documents; index → why, for those that never can be."""
        days = [self._names.index(one.candidate.time) for one in kept]
        for index in sorted(set(days) - self._made):
            await self._client.call("PUT", path(index), ignore=[_EXISTS])  # all it needs to be is in the template
            self._made.add(index)
        refused: dict[int, str] = {}
        lines: list[bytes] = []
        indexes: list[int] = []
        size = 0
        for one, day in zip(kept, days, strict=True):
            lines += (self._action(one.candidate, day), document(one))
            indexes.append(one.place)
            size += len(lines[-1])
            if size >= _BULK_SIZE:
                refused |= await self._bulk(lines, indexes)
                lines, indexes, size = [], [], 0
        refused |= await self._bulk(lines, indexes)
        await self._hide_older([one.candidate for one in kept if one.candidate.revision > 0])
        return refused

    async def _bulk(self, lines: Sequence[bytes], indexes: Sequence[int]) -> Mapping[int, str]:
        if not lines:
            return {}
        answer = await self._client.bulk(lines, filter_path=_ITEMS, timeout=f"{self._client.time * 1000:.0f}ms")
        if not answer["errors"]:
            return {}
        refused: dict[int, str] = {}
        for index, item in zip(indexes, answer["items"], strict=True):
            (result,) = item.values()
            if result["status"] < 300 or result["status"] == 409:  # 409: this revision or a higher one is there
                continue
            kind, reason = result["error"]["type"], result["error"].get("reason", "")
            if result["status"] != 400 or kind not in _REFUSED:
                raise Unavailable(f"Elasticsearch: {result['status']} {kind}: {reason[:300]}")
            refused[index] = f"{kind}: {reason[:300]}"
        return refused

    async def _hide_older(self, revised: Sequence[Candidate]) -> None:
        """A revision may have moved to another day, where `_id` is unknown: take the older one out of sight there."""
        if not revised:
            return
        await self._refresh()
        newest = {one.id: one for one in sorted(revised, key=lambda one: one.revision)}
        ids = list(newest)
        lines: list[bytes] = []
        for start in range(0, len(ids), _PAGE):
            among = {"bool": {"filter": [{"terms": {"id": ids[start : start + _PAGE]}}]}}
            after: tuple[int, str] | None = None
            while hits := await self._page(among, _PAGE, after, newest_first=False, source="false"):
                for hit in hits:
                    one = newest[hit["_id"]]
                    if hit["_index"] != self._names.index(one.time):
                        lines += (self._action(one, hit["_index"]), moved(one))
                after = tuple(hits[-1]["sort"])
        await self._bulk(lines, [-1] * (len(lines) // 2))

    def _action(self, candidate: Candidate, index: str) -> bytes:
        return b'{"index":{"_index":"%b","_id":%b,"version":%d,"version_type":"external_gte"}}' % (
            index.encode(),
            _encode(candidate.id),
            candidate.revision + 1,
        )

    async def _put_ledger(self, ledger: Applied) -> None:
        lines: list[bytes] = []
        for (topic, partition), position in ledger.items():
            where = {"_index": self._names.ledger, "_id": self._ledger_id(topic, partition)}
            lines.append(_encode({"index": where | {"version": position + 1, "version_type": "external_gte"}}))
            said = {"log_id": self._log_id, "topic": topic, "partition": partition, "position": position}
            lines.append(_encode(said))
        if await self._bulk(lines, [-1] * len(ledger)):
            raise Unavailable("Elasticsearch: the ledger's index is not as it was made")

    def _ledger_id(self, topic: str, partition: int) -> str:
        return f"{self._log_id}/{topic}/{partition}"

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`. It is a handful of documents: made visible, then searched."""
        async with self._limit():
            found = await self._ledger(topic)
        self._seen.begin(topic, found)
        return found

    async def _ledger(self, topic: str) -> Mapping[int, int]:
        mine = {"bool": {"filter": [{"term": {"log_id": self._log_id}}, {"term": {"topic": topic}}]}}
        try:
            await self._client.call("POST", path(self._names.ledger, "_refresh"))
            answer = await self._search(self._names.ledger, {"query": mine, "size": 10_000})
        except Missing:
            return {}
        return {hit["_source"]["partition"]: hit["_source"]["position"] for hit in answer["hits"]["hits"]}

    async def ping(self) -> None:
        """See `Store.ping`: writes a document that nobody reads, so that a disk at its flood stage is told too."""
        async with self._limit():
            await self._applied([(CANDIDATES, 0)])
            await self._client.call("PUT", path(self._names.ledger, "_doc", "ping"), {})

    async def maintain(self) -> None:
        """Drop the indexes of days that `retention` no longer reaches. Called now and then, by anyone."""
        async with self._limit():
            there = await self._client.call("GET", path(f"{self._names.alias}-*", "_alias"))
            first = first_time(self._now(), self._retention)
            for index in sorted(there):
                end = self._names.end(index)
                if end is not None and end <= first:
                    await self._client.call("DELETE", path(index), ignore=[_NO_INDEX])
                    self._made.discard(index)

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        async with self._limit():
            await self._refresh()
            mine = {"bool": {"filter": [{"term": {"device": device}}]}}
            after: tuple[int, str] | None = None
            lines: list[bytes] = []
            while hits := await self._page(mine, _PAGE, after, newest_first=False):
                chosen = [hit for hit in hits if _candidate(hit).message.received < before]
                lines += [_encode({"delete": {"_index": hit["_index"], "_id": hit["_id"]}}) for hit in chosen]
                after = tuple(hits[-1]["sort"])
            if lines and (await self._client.bulk(lines, filter_path="errors", refresh="true"))["errors"]:
                raise Unavailable("Elasticsearch: not all could be erased")
            return len(lines)

    async def search(
        self,
        terms: Sequence[Term],
        span: Span,
        limit: int,
        *,
        within: Circle | None = None,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """See `SearchReader.search`.

        A write does not wait to be visible (a refresh a second costs the server less than one a batch). So that what
        the ledger claims is found, the reader asks for a refresh where the ledger moved since its last one.
        """
        async with self._limit():
            ledger = await self._up_to_date()
            asked = None if within is not None and not sensible(within) else wanted(terms)
            if asked is None:
                return [], ledger
            query = question(asked, visible(span, self._now(), self._retention), within)
            found: list[Candidate] = []
            while len(found) < limit:
                size = min(_PAGE, limit - len(found) if within is None else _PAGE)
                hits = await self._page(query, size, after, newest_first=newest_first)
                found += [one for one in map(_candidate, hits) if within is None or _lies_in(within, one)]
                if len(hits) < size:
                    break
                after = tuple(hits[-1]["sort"])
            return found[:limit], ledger

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """See `SearchReader.ids`."""
        await self._up_to_date()
        query = question([], visible(Span(), self._now(), self._retention), None)
        after: tuple[int, str] | None = None
        while hits := await self._page(query, _IDS, after, newest_first=False, source="false"):
            yield [(hit["_id"], hit["_version"] - 1) for hit in hits]
            after = tuple(hits[-1]["sort"])

    async def _up_to_date(self) -> Mapping[int, int]:
        """The ledger, with all that it claims made visible to a search."""
        ledger = await self._ledger(CANDIDATES)
        if ledger != self._refreshed:
            await self._refresh()
            self._refreshed = ledger
        return ledger

    async def _refresh(self) -> None:
        await self._client.call("POST", path(self._names.alias, "_refresh"), ignore_unavailable="true")

    async def _page(
        self, query: object, size: int, after: tuple[int, str] | None, *, newest_first: bool, source: str = "candidate"
    ) -> Sequence[Any]:
        body = page(query, size, after, newest_first=newest_first)
        answer = await self._search(self._names.alias, body, _source=source, version="true", ignore_unavailable="true")
        return answer["hits"]["hits"]

    async def _search(self, of: str, body: object, **parameters: str) -> Any:
        """A search of all shards. One that another process is just making is waited for, once."""
        where = path(of, "_search")
        parameters["allow_partial_search_results"] = "false"
        answer = await self._client.call("POST", where, body, ignore=[_NOT_YET], **parameters)
        if "error" in answer:
            await self._active(of)
            answer = await self._client.call("POST", where, body, **parameters)
        return answer

    async def _active(self, index: str) -> None:
        """Wait until the primary shards of the index, or of the alias's indexes, serve."""
        seconds = f"{self._client.time * 1000:.0f}ms"
        shards = len(
            await self._client.call("GET", path(index, "_alias"))
        )  # one each; "yellow" begins before they serve
        where = path("_cluster", "health", index)
        await self._client.call("GET", where, wait_for_active_shards=str(shards), timeout=seconds)

    @asynccontextmanager
    async def _limit(self) -> AsyncGenerator[None, None]:
        """Each request has its limit; so have all of a call together."""
        try:
            async with asyncio.timeout(3 * self._client.time):
                yield
        except Missing as error:
            raise Unavailable(f"Elasticsearch: {error}") from error
        except TimeoutError:
            raise Unavailable(f"Elasticsearch took more than {3 * self._client.time:g} s") from None


def _candidate(hit: Any) -> Candidate:
    return msgspec.convert(hit["_source"]["candidate"], Candidate)


def _lies_in(circle: Circle, candidate: Candidate) -> bool:
    at = place_of(candidate)
    return at is not None and inside(circle, at)


@asynccontextmanager
async def open_elastic_search(
    config: Elasticsearch, log_id: str, *, retention: float, now: Callable[[], int] = _now, readonly: bool = False
) -> AsyncGenerator[ElasticSearch, None]:
    """Open for the log with this id, and make what is missing unless `readonly`; `retention` in seconds.

    Raises `Unavailable` where the server is, and `ConfigError` for more days than a node has shards for.
    """
    days = retention * SECOND // DAY + 4
    if days * (1 + config.replicas) > MOST_DAYS:
        raise ConfigError(
            f"search.retention: {MOST_DAYS // (1 + config.replicas) - 4} days at most with {config.replicas} replicas,"
            " because each is an index and a node takes 1,000 shards"
        )
    async with open_client(config) as client:
        store = ElasticSearch(client, config, log_id, retention, now)
        if not readonly:
            await store.set_up()
        yield store
