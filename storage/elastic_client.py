"""The Elasticsearch client: one call a request, JSON by msgspec, every failure named for what the caller must do.

In: method, path, body. Out: the decoded answer, or `Missing` (404), `Unavailable` (all else: refused or hanging
connections, time-outs, overload, blocks, shards not there). Nothing is retried here.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
from elastic_transport import JsonSerializer, NdjsonSerializer, TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from headwater.config_stack import Elasticsearch
from headwater.errors import Unavailable

_CONNECTIONS = 4
_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_LINES = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Missing(Exception):
    """What was asked for is not there: an index, an alias."""


class _Json(JsonSerializer):
    """The answers' floats and integers as they are, and a third of the time."""

    def json_dumps(self, data: Any) -> bytes:
        return _encode(data)

    def json_loads(self, data: str | bytes) -> Any:
        return _decode(data)


class _JsonOfVendor(_Json):
    mimetype = "application/vnd.elasticsearch+json"


class _LinesOfVendor(NdjsonSerializer):
    mimetype = "application/vnd.elasticsearch+x-ndjson"


class ElasticClient:
    """Use `open_client`. `time`: the most seconds a request takes."""

    def __init__(self, client: AsyncElasticsearch, seconds: float) -> None:
        self._client = client
        self.time = seconds

    async def call(
        self, method: str, path: str, body: object = None, *, ignore: Sequence[str] = (), **parameters: object
    ) -> Any:
        """One request. Errors of the types in `ignore` are answers too: the error's body."""
        headers = {"accept": _JSON}
        if body is not None:
            headers["content-type"] = _JSON
        return await self._call(method, path, headers, body, ignore, parameters)

    async def bulk(self, lines: Sequence[bytes], **parameters: object) -> Any:
        """A `_bulk` request of these lines."""
        headers = {"accept": _JSON, "content-type": _LINES}
        return await self._call("POST", "/_bulk", headers, b"\n".join([*lines, b""]), (), parameters)

    async def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: object,
        ignore: Sequence[str],
        parameters: Mapping[str, object],
    ) -> Any:
        try:
            async with asyncio.timeout(self.time):
                answer = await self._client.perform_request(
                    method, path, params=parameters or None, headers=headers, body=body
                )
                return answer.body
        except TimeoutError:
            raise Unavailable(f"Elasticsearch gave no answer within {self.time:g} s") from None
        except ApiError as error:
            kind = _kind(error.body)
            if kind in ignore:
                return error.body
            if error.status_code == 404:
                raise Missing(f"{method} {path}: {kind}") from error
            raise Unavailable(f"Elasticsearch: {error.status_code} {kind}: {_reason(error.body)}") from error
        except TransportError as error:
            raise Unavailable(f"Elasticsearch: {error}") from error


def path(*parts: str) -> str:
    """A path of these parts, each quoted."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _kind(body: Any) -> str:
    match body:
        case {"error": {"type": str(kind)}}:
            return kind
        case _:
            return "error"


def _reason(body: Any) -> str:
    match body:
        case {"error": {"reason": str(reason)}}:
            return reason[:300]
        case _:
            return str(body)[:300]


@asynccontextmanager
async def open_client(config: Elasticsearch) -> AsyncGenerator[ElasticClient, None]:
    """Nothing connects yet. Closed below the yield."""
    options: dict[str, Any] = {}
    if config.ca is not None:
        options["ca_certs"] = str(config.ca)
    if config.user:
        options["basic_auth"] = (config.user, config.password.get_secret_value())
    client = AsyncElasticsearch(
        list(config.urls),
        connections_per_node=_CONNECTIONS,
        request_timeout=config.time,
        max_retries=0,
        retry_on_timeout=False,
        serializers={
            "application/json": _Json(),
            "application/vnd.elasticsearch+json": _JsonOfVendor(),
            "application/vnd.elasticsearch+x-ndjson": _LinesOfVendor(),
        },
        **options,
    )
    try:
        yield ElasticClient(client, config.time)
    finally:
        await client.close()
