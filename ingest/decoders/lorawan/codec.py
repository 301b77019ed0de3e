"""Makers' own codecs: JavaScript as The Things Stack and ChirpStack take it, run in QuickJS without any way out.

In: the source, once; then radio payloads with their port. Out: an `Uplink`, or `Rejected("decoder_failed")` with what
the codec says is wrong. Taken: `decodeUplink(input)` with `input.bytes`, `fPort`, `recvTime`, `variables`;
ChirpStack 3's `Decode(fPort, bytes, variables)`; The Things Network 2's `Decoder(bytes, port)`; or `module.exports`.

A codec has a world of its own, kept from call to call as making one takes half a millisecond; its top level runs anew
each time, so that nothing one device said can show up in what another says. One that takes too long, or too much
memory, is stopped and its world thrown away. See docs/decisions/019-quickjs-for-makers-codecs.md.
"""

import re
import threading
from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import msgspec
import quickjs

from headwater.errors import ConfigError, Rejected
from ingest.contract import Codec, Uplink
from ingest.decoders.parts import short

STACK = 256 * 1024
LONGEST_SOURCE = 1024 * 1024
_FOLDER = files("ingest.decoders.lorawan")
_BUFFER = (_FOLDER / "buffer.js").read_text("utf-8")
_WORLD = (_FOLDER / "sandbox.js").read_text("utf-8")
_NOW = -1.0
_EXPORT = re.compile(
    r"^export[ \t]+(?:default[ \t]+)?(?=(?:async[ \t]+)?(?:function|const|let|var|class)\b)"
    r"|^export[ \t]*(?:default[ \t]+\w+|\{[^{}\n]*\})[ \t]*;?[ \t]*$",
    re.MULTILINE,
)
"""What makes a module of a script whose functions are found by their names anyway. Lines keep their numbers."""

Call = Callable[[str, int, float], str]


class Limits(Protocol):
    """What a codec may take for one call: seconds of processor time, and bytes of memory. Part of the configuration."""

    @property
    def codec_time(self) -> float: ...

    @property
    def codec_memory(self) -> int: ...


class Bounds(NamedTuple):
    """The usual limits."""

    codec_time: float = 0.05
    codec_memory: int = 16 * 2**20


class _Said(msgspec.Struct):
    data: dict[str, Any]
    warnings: list[str]


_read = msgspec.json.Decoder(_Said).decode


def compile_codec(name: str, source: str, limits: Limits | None = None) -> Codec:
    """The codec of this source, ready to be called. Raises `ConfigError`: what is wrong with it, and in which line."""
    if len(source) > LONGEST_SOURCE:
        raise ConfigError(f"{name}: a codec has at most {LONGEST_SOURCE} characters")
    return Sandboxed(name, source, limits or Bounds())


class Sandboxed:
    """One codec. A thread that calls it has a world of its own in it: the engine's may not be shared."""

    __slots__ = ("_limits", "_name", "_own", "_source")

    def __init__(self, name: str, source: str, limits: Limits) -> None:
        self._name = name
        self._source = _EXPORT.sub("", source.removeprefix("\ufeff"))
        self._limits = limits
        self._own = threading.local()
        self._open()

    def __call__(self, data: bytes, port: int, received: int = -1) -> Uplink:
        """See `Codec`."""
        call: Call | None = getattr(self._own, "call", None)
        if call is None:
            call = self._open()
        try:
            said = call(data.decode("latin-1"), port, received / 1000 if received >= 0 else _NOW)
        except (quickjs.JSException, quickjs.StackOverflow) as error:
            self._own.call = None
            raise Rejected("decoder_failed", self._sentence(str(error))) from None
        if said.startswith("!"):
            if said.startswith("!InternalError"):
                self._own.call = None
            raise Rejected("decoder_failed", self._sentence(said[1:]))
        try:
            found = _read(said)
        except (msgspec.DecodeError, RecursionError):
            raise Rejected("decoder_failed", self._sentence("what it returned cannot be read")) from None
        return Uplink(found.data, found.warnings)

    def _open(self) -> Call:
        """A new world with the codec in it."""
        world = quickjs.Context()
        world.set_max_stack_size(STACK)
        world.set_memory_limit(self._limits.codec_memory)
        try:
            if "Buffer" in self._source:
                world.eval(_BUFFER)
            prepare: Callable[[str], str] = world.eval(_WORLD)
            world.set_time_limit(self._limits.codec_time)
            wrong = prepare(self._source)
        except (quickjs.JSException, quickjs.StackOverflow) as error:
            wrong = "!" + str(error)
        if wrong:
            raise ConfigError(self._sentence(wrong[1:]))
        call: Call = world.get("call")
        self._own.call = call
        return call

    def _sentence(self, wrong: str) -> str:
        """What a person is told: whose codec, and what was wrong."""
        first = wrong.partition("\n")[0]
        if first == "InternalError: interrupted":
            first = f"it took longer than {self._limits.codec_time * 1000:g} ms and was stopped"
        elif first.startswith("InternalError: out of memory") or first in {"null", "[uninitialized]"}:
            first = f"it took more memory than {self._limits.codec_memory // 2**20} MiB and was stopped"
        return f"codec {short(self._name)}: {first}"
