"""The makers' own codecs that samples name, and a decoder for such a sample.

In: a sample of `lorawan_codec` or `chirpstack_codec`; the codecs themselves, which are not part of the project: put the
`vendor` folder of TheThingsNetwork/lorawan-devices into `build/codecs/lorawan_codec`, and `vendors` of
chirpstack/chirpstack-device-profiles into `build/codecs/chirpstack_codec`. Out: the codec; messages.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from headwater.message import Message
from ingest.contract import Codec, Payload
from ingest.decoders.draft import Draft
from ingest.decoders.lorawan.codec import compile_codec
from tests.decoders.samples import RECEIVED, Sample

FOLDER = Path(__file__).resolve().parents[3] / "build" / "codecs"
FAMILIES = ("lorawan_codec", "chirpstack_codec")


def path_of(sample: Sample) -> Path | None:
    """The file with the codec of a sample, None where it is not here."""
    row = sample.raw
    if sample.family == "lorawan_codec":
        path = FOLDER / sample.family / "vendor" / row["vendor"] / row["decoder"]
        return path if path.is_file() else None
    return of_test(FOLDER / sample.family / row["source"].partition(":")[2].partition("@")[0])


def of_test(path: Path) -> Path | None:
    """The codec that ChirpStack's file of tests is for: of its name, or the only one whose name begins so."""
    name = path.stem.removeprefix("test_decode_")
    same = path.with_name(f"{name}.js")
    if same.is_file():
        return same
    near = sorted(path.parent.glob(f"{name}-*.js"))
    return near[0] if len(near) == 1 else None


@cache
def codec_at(path: Path) -> Codec:
    """The codec in this file, compiled once."""
    return compile_codec(path.stem, path.read_text("utf-8"))


def decoder_of(sample: Sample) -> Callable[[Payload], list[Message]] | None:
    """What decodes this sample: its maker's codec, where it is here."""
    path = path_of(sample)
    if path is None:
        return None

    def decode(payload: Payload) -> list[Message]:
        made = codec_at(path)(payload.data, sample.raw.get("fPort") or 1, RECEIVED)
        draft = Draft(payload, "device-1")
        draft.tree(made.data)
        if made.warnings:
            draft.put("note.codec", "; ".join(made.warnings))
        return draft.messages()

    return decode
