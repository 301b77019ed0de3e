"""Decoders that people add, over HTTP, for administrators: makers' codecs and mappings; and all that there are.

In: `/api/v1/registry/decoders…`. Out: JSON, once the change is in force here. A text that cannot be used is refused.
"""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Response
from pydantic import BaseModel, Field

from headwater.config_decoders import Decoders
from headwater.directory import Directory
from headwater.errors import ConfigError, Rejected
from headwater.registry import DECODER_SIZE, DecoderText, checked
from headwater.registry_contract import Registry
from headwater.times import rfc3339
from ingest.decoders.families import FAMILIES
from ingest.decoders.living import compiled, installed
from query.problems import RESPONSES
from query.registry_base import Admin, Changing, IfMatch, Named, tagged
from query.registry_models import Name, Taken

Language = Literal["javascript", "mapping"]
Text = Annotated[str, Field(min_length=1, max_length=DECODER_SIZE, description="The codec or mapping itself.")]
Models = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=128)]],
    Field(
        max_length=100, description="Models, device profiles or makers' names of the devices whose payloads it reads."
    ),
]


class NewDecoder(Taken):
    """A maker's codec in JavaScript, or a mapping in YAML."""

    name: Name
    language: Language
    text: Text
    models: Models = Field(default_factory=list)


class DecoderAnswer(BaseModel):
    """A decoder. `language`: `built-in` and `installed` ones have no text here."""

    name: str
    title: str
    language: Literal["built-in", "installed", "javascript", "mapping"]
    topics: list[str]
    models: list[str]
    version: int = 0
    changed: str = ""
    text: str | None = Field(default=None, description="Only where one decoder is asked for.")


class DecoderPage(BaseModel):
    """All of them, in the order in which they are tried: added ones, installed ones, built-in ones."""

    decoders: list[DecoderAnswer]


def decoder_routes(registry: Registry, directory: Directory, config: Decoders) -> APIRouter:
    """The routes."""
    routes = _Routes(Changing(registry, directory), directory, config)
    router = APIRouter(prefix="/api/v1/registry/decoders", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    add("", routes.all, methods=["GET"], summary="All decoders")
    add("", routes.put, methods=["POST"], status_code=201, summary="Add or replace a codec or mapping")
    add("/{name}", routes.one, methods=["GET"], summary="One that was added, with its text")
    add("/{name}", routes.remove, methods=["DELETE"], status_code=204, summary="Remove one")
    return router


class _Routes:
    def __init__(self, changing: Changing, directory: Directory, config: Decoders) -> None:
        self._changing = changing
        self._directory = directory
        self._config = config
        self._fixed = [(family, "installed") for family in installed()] + [(family, "built-in") for family in FAMILIES]

    async def all(self, _: Admin) -> DecoderPage:
        added = [self._answer(record) for record in self._directory.decoders()]
        names = {one.name for one in added}
        fixed = [
            DecoderAnswer(
                name=family.name,
                title=family.title or family.name,
                language="installed" if where == "installed" else "built-in",
                topics=list(self._config.topics.get(family.name, family.topics)),
                models=list(family.models),
            )
            for family, where in self._fixed
            if family.name not in names
        ]
        return DecoderPage(decoders=[*added, *fixed])

    async def put(self, who: Admin, new: NewDecoder, response: Response) -> DecoderAnswer:
        record = checked(DecoderText(name=new.name, language=new.language, text=new.text, models=tuple(new.models)))
        try:
            compiled(record, self._config)
        except ConfigError as error:
            raise Rejected("bad_value", str(error)) from None
        before = await self._changing.registry.find(DecoderText, new.name)
        record = msgspec.structs.replace(record, version=0 if before is None else before.version)
        record = await self._changing.seen(await self._changing.registry.put(record, record.version, actor=who.name))
        tagged(response, record.version)
        return self._answer(record)

    async def one(self, _: Admin, name: Named, response: Response) -> DecoderAnswer:
        record = await self._changing.registry.find(DecoderText, name)
        if record is None:
            raise HTTPException(404, f"nobody has added a decoder {name!r}")
        tagged(response, record.version)
        answer = self._answer(record)
        answer.text = record.text
        return answer

    async def remove(self, who: Admin, name: Named, if_match: IfMatch = None) -> None:
        record = await self._changing.known(DecoderText, name)
        await self._changing.replace(DecoderText(name=name, removed=True, version=record.version), if_match, who)

    def _answer(self, record: DecoderText) -> DecoderAnswer:
        try:
            family = compiled(record, self._config)[0]
            topics, title = list(family.topics), family.title
        except (ConfigError, Rejected) as error:
            topics, title = [], f"cannot be used: {error}"
        return DecoderAnswer(
            name=record.name,
            title=title,
            language=record.language,
            topics=topics,
            models=list(record.models),
            version=record.version,
            changed=rfc3339(record.changed),
        )
