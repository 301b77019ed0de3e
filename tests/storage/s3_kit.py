"""What tests on a real S3 server need: settings for a folder of its own in a bucket, and a lake there as a `Place`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
from aiobotocore.session import get_session
from pydantic import SecretStr

from headwater.config import Lake
from headwater.config_stack import S3
from storage.contract import Record
from storage.delta_lake import DeltaLake
from storage.s3_client import connect
from storage.s3_lake import open_s3_lake, open_s3_lake_reader
from tests.services.proxy import Proxy
from tests.services.server import Server
from tests.storage.lake_kit import TOPICS, expected, seen

_BUCKET = f"tests-{uuid4().hex}"


def s3_of(server: Server, *, bucket: str = _BUCKET, port: int | None = None, time: float = 10) -> S3:
    """A folder that nobody else uses, in the tests' bucket unless another one is named."""
    return S3(
        endpoint=f"http://{server.host}:{port or server.port}",
        bucket=bucket,
        prefix=uuid4().hex,
        access_key=SecretStr(server.access_key),
        secret_key=SecretStr(server.secret_key),
        time=time,
    )


def at_port(config: S3, port: int, time: float) -> S3:
    return config.model_copy(update={"endpoint": f"http://127.0.0.1:{port}", "time": time})


def objects(config: S3, folder: str) -> set[str]:
    """All objects of a folder, those below it too."""
    return {one["path"] for batch in obstore.list(connect(config), folder) for one in batch}


async def delete_bucket(config: S3) -> None:
    client: Any = get_session().create_client(  # pyright: ignore[reportUnknownMemberType]
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key.get_secret_value(),
        aws_secret_access_key=config.secret_key.get_secret_value(),
    )
    async with client as s3:
        for key in objects(config.model_copy(update={"prefix": ""}), ""):
            await s3.delete_object(Bucket=config.bucket, Key=key)
        await s3.delete_bucket(Bucket=config.bucket)


class S3LakePlace:
    """A lake on S3, as the laws want it. While it is open its calls go through a proxy that can refuse them."""

    topics = TOPICS

    def __init__(self, server: Server, folder: Path) -> None:
        self.config = s3_of(server)
        self._server = server
        self._cache = folder / "cache"
        self._proxy: Proxy | None = None
        self._open = 0

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[DeltaLake, None]:
        if self._proxy is None:
            self._proxy = Proxy(self._server.port)
            await self._proxy.serve()
        self._open += 1
        try:
            config = at_port(self.config, self._proxy.port, 5)
            async with open_s3_lake(config, log_id, Lake(), cache=self._cache) as lake:
                yield lake
        finally:
            self._open -= 1
            if not self._open:
                await self._proxy.refuse()
                self._proxy = None

    async def read_back(self) -> object:
        async with open_s3_lake_reader(self.config, "log-1", cache=self._cache) as lake:
            return await seen(lake)

    def expected(self, written: Sequence[Record]) -> object:
        return expected(written)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        assert self._proxy is not None
        await self._proxy.refuse()
        try:
            yield
        finally:
            await self._proxy.serve()
