"""What decoding costs: microseconds a message, by family, beside its budget.

Run: `python -m benchmarks.decoders [FAMILY…] [--repeat N] [--markdown]`. *native* is a payload of 150 bytes with three
fields and a position. A family's figure is the mean over its samples (`tests.decoders.samples`), each at its quickest
of N rounds of 20 calls, divided by the messages it makes, rejected ones included; *worst* is the dearest sample.
*javascript* is a codec of twenty lines on 12 bytes, and its sandbox alone; with makers' codecs in `build/codecs`
(`tests.decoders.lorawan.codecs`) there is a row for these, too. Without the folder of samples only native and
javascript are measured.
"""

import argparse
import timeit
from collections.abc import Callable, Iterator
from typing import NamedTuple

from headwater.errors import Rejected
from ingest.contract import Payload, Source
from ingest.decoders import native
from ingest.decoders.lorawan.codec import compile_codec
from tests.decoders.lorawan import codecs
from tests.decoders.samples import CATALOGUE, RECEIVED, families, samples

NATIVE, JSON, JAVASCRIPT = 3.0, 15.0, 100.0
_CALLS = 20
_NATIVE = (
    b'{"device":"pump-7","at":1763700000123,"seq":41,"fields":{"temperature":21.5,"voltage":647,"pressure":1013.25},'
    b'"position":{"lat":52.5,"lon":13.4}}'
)
_PAYLOAD = bytes.fromhex("0367010d04687305007d01f4")
_CODEC = """
var NAMES = {0x67: "temperature", 0x68: "humidity", 0x7d: "co2"};
function readUInt16BE(bytes, at) { return (bytes[at] << 8) | bytes[at + 1]; }
function decodeUplink(input) {
  var decoded = {}, warnings = [];
  for (var i = 0; i + 2 <= input.bytes.length;) {
    var channel = input.bytes[i++], type = input.bytes[i++];
    switch (type) {
      case 0x67: decoded[NAMES[type] + "_" + channel] = readUInt16BE(input.bytes, i) / 10; i += 2; break;
      case 0x68: decoded[NAMES[type] + "_" + channel] = input.bytes[i] / 2; i += 1; break;
      case 0x7d: decoded[NAMES[type] + "_" + channel] = readUInt16BE(input.bytes, i); i += 2; break;
      default: i += 1; warnings.push("unknown type " + type.toString(16));
    }
  }
  return {data: decoded, warnings: warnings};
}
"""
_EMPTY = "function decodeUplink(input) { return {data: {}}; }"


class Cost(NamedTuple):
    """Microseconds: the mean over `samples`, and the dearest of them."""

    name: str
    samples: int
    mean: float
    worst: float
    budget: float


def quickest(work: Callable[[], object], repeat: int) -> float:
    """Microseconds a message, in the quickest of so many rounds."""

    def call() -> object:
        try:
            return work()
        except Rejected:
            return ()

    made = call()
    messages = len(made) if isinstance(made, list) else 1  # pyright: ignore[reportUnknownArgumentType] # of anything
    return min(timeit.repeat(call, number=_CALLS, repeat=repeat)) / _CALLS / max(messages, 1) * 1e6


def cost(name: str, works: list[Callable[[], object]], budget: float, repeat: int) -> Cost:
    """Each of these by itself."""
    found = [quickest(work, repeat) for work in works]
    return Cost(name, len(found), sum(found) / len(found), max(found), budget)


def measured(chosen: list[str], repeat: int) -> Iterator[Cost]:
    """Native, every family that has a decoder and samples, codecs."""
    if not chosen:
        payload = Payload(_NATIVE, Source("http"), RECEIVED)
        yield cost("native", [lambda: native.decode(payload)], NATIVE, repeat)
        for name, source in (
            ("javascript: a codec of twenty lines", _CODEC),
            ("javascript: the sandbox alone", _EMPTY),
        ):
            codec = compile_codec("benchmark", source)
            yield cost(name, [lambda codec=codec: codec(_PAYLOAD, 1, RECEIVED)], JAVASCRIPT, repeat)
        makers = [work for family in codecs.FAMILIES for work in _makers(family)]
        if makers:
            yield cost("javascript: makers' codecs", makers, JAVASCRIPT, repeat)
    known = {family.name: family.decode for family in CATALOGUE.families}
    for family in chosen or families():
        decode = known.get(family)
        if decode is None or not samples(family):
            continue
        payloads = [sample.payload() for sample in samples(family)]
        yield cost(family, [lambda one=one, decode=decode: decode(one) for one in payloads], JSON, repeat)


def _makers(family: str) -> Iterator[Callable[[], object]]:
    for sample in samples(family):
        path = codecs.path_of(sample)
        if path is not None:
            codec, port = codecs.codec_at(path), sample.raw.get("fPort") or 1
            yield lambda codec=codec, data=sample.data, port=port: codec(data, port, RECEIVED)


def main() -> None:
    """Print a line each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("family", nargs="*")
    arguments.add_argument("--repeat", type=int, default=25)
    arguments.add_argument("--markdown", action="store_true")
    chosen = arguments.parse_args()
    if chosen.markdown:
        print("| decoder | samples | µs a message | the dearest sample | budget |\n|---|---|---|---|---|")
        for one in measured(chosen.family, chosen.repeat):
            over = " **over**" if one.mean > one.budget else ""
            print(f"| {one.name} | {one.samples} | {one.mean:.1f} | {one.worst:.1f} | ≤ {one.budget:g}{over} |")
        return
    print(f"{'decoder':36} {'samples':>7} {'µs':>7} {'worst':>7} {'budget':>7}")
    for one in measured(chosen.family, chosen.repeat):
        over = "  OVER" if one.mean > one.budget else ""
        print(
            f"{one.name:36} {one.samples:7} {one.mean:7.1f} {one.worst:7.1f} {'≤ ' + format(one.budget, 'g'):>7}{over}"
        )
    if not families():
        print("not shown: the families, since the folder with samples is not here")


if __name__ == "__main__":
    main()
