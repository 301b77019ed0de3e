"""Writes docs/devices.md: what is understood, by the decoders' own words, and how well by the samples.

Run `python -m tests.decoders.document > docs/devices.md` where the folder of samples is. A test compares.
"""

import inspect
import re
from collections.abc import Sequence

from ingest.decoders.families import FAMILIES
from ingest.decoders.family import Family
from tests.decoders.lorawan import codecs
from tests.decoders.report import Row, decoder_of, row
from tests.decoders.samples import families

HEAD = """\
# Devices: point them here and they work

Whatever a device sends on a topic or path that one of these families has is read by its decoder; nothing has to be set. The topic chooses,
else `?decoder=NAME` of the request, else the device's model, else what the bytes look like. What nobody reads is not lost: it waits
(`headwater rejected list`), and is sent on with its own time once something reads it.

This page is written by `python -m tests.decoders.document > docs/devices.md` from the decoders' own docstrings; a test compares the two.

- **Guides** with the exact settings to type in: [docs/guides](guides/README.md).
- **Try it**: `headwater decoders try sample.json --topic tele/plug-1/SENSOR` shows the messages that a payload becomes; nothing is sent.
- **Other topics than the usual ones**: `decoders: {topics: {zigbee2mqtt: ["z2m/{device#}"]}}` in `config.yaml`. `{device}` is one level,
  `{device#}` several, `+` any level, `#` any levels, `*` any part of a level, `a|b` the one or the other.
- **By HTTP**: `POST /ingest/DEVICE?decoder=NAME`, or `POST /ingest?topic=TOPIC` as if it had come by MQTT. A GET's query is the payload.
- **Names** of fields are the maker's own, levels joined by dots (`ENERGY.Total`, `switch:0.apower`). Units are the usual ones: °C, %, hPa, V, A, W,
  kWh, m/s. A value that means "none" (−127 °C, 0xFFFF, `"null"`, latitude and longitude 0) is left out, and `note.FIELD` says so.
- **Kinds**: `telemetry`; `status` (text `status`: online or offline, from births and last wills); `event`; `description` (texts `name`,
  `model`, `manufacturer`, `firmware`, `unit.FIELD`); `command` (said to the device).
- **Children**: what a gateway says of a tag or sensor is a message of that tag or sensor, with the gateway in `heard_by`. The gateway's own identity must be
  allowed to speak for them (docs/registry.md).

## Your own

**A mapping**, for devices that just send some JSON; no code:

```yaml
# greenhouse.yaml
topics: ["greenhouse/{device}/state"]   # or HTTP: ?decoder=greenhouse
device: meta.serial                     # where the topic does not name it; or a template: "house-{meta.house}-{id}"
time: ts                                # seconds, ms, µs, ns since 1970 or a date: its size tells
sequence: n
each: readings                          # one message for each item of this array or object; $key is its key
fields:
  temperature: {path: t, unit: F}       # to °C; also scale: 0.1, offset: -40
  door: {path: contact, values: {"0": open, "1": closed}}
position: {lat: gps.lat, lon: gps.lng}
absent: [-127, 65535]                   # numbers that mean "no value"
rest: keep                              # what no rule names, by its path; or drop
```

```sh
headwater decoders try sample.json --with greenhouse.yaml --device g1   # nothing is sent, nothing has to run
headwater decoders add greenhouse.yaml                                  # from now on, at every gateway
headwater rejected retry                                                # and what waited
```

`headwater rejected mapping` drafts one from what waits; so does the page.

**A maker's codec** (LoRaWAN's `decodeUplink`, in JavaScript): `headwater decoders add codec.js --model NAME`, where NAME is the model of the device in the registry, or
what the network server calls its device profile, or the maker's model id. It runs in QuickJS, with neither network nor files, for 50 ms and 16 MiB at most (`decoders.codec_time`, `codec_memory`).

**Python**, as an entry point of a package that is installed beside Headwater:

```toml
[project.entry-points."headwater.decoders"]
pairs = "my_package:PAIRS"
```

```python
from headwater.errors import Rejected
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.family import Family


def decode(payload: Payload):
    \"\"\"`t=21.5 h=40` on `pairs/DEVICE/up`.\"\"\"
    draft = Draft(payload)
    for pair in payload.data.decode().split():
        name, equals, value = pair.partition("=")
        if not equals:
            raise Rejected("bad_shape", "pairs like t=21.5")
        draft.number(name, value)
    return [draft.message()]


PAIRS = Family("pairs", decode, topics=("pairs/{device}/up",))
```
"""

TABLE = """\
## How well

Real samples (payloads printed in the makers' documentation, tests and recordings; where each is from stands in its line) against what their source says they
mean: every value that the source states is compared, and a sample of which nothing was compared has failed. *refused*: not valid, encrypted or without
values, as the source says or as docs/sending.md explains. `python -m tests.decoders.report FAMILY` names each difference.

| family | samples | decoded | refused | with an expectation | as expected |
|---|---|---|---|---|---|
"""

CODECS = """
**Makers' LoRaWAN codecs**, as they are, against the examples that their makers give beside them, data, warnings and errors: all of 471 in
TheThingsNetwork/lorawan-devices (June 2021; one example out of date with its codec left out) and of 164 in chirpstack-device-profiles
(`tests/decoders/lorawan/test_makers.py`). Of the samples, 98 of 98 of `chirpstack_codec`, and of `lorawan_codec` 231 of the 263 whose codec was at hand,
in a version older than the samples: what differs is what those codecs said only later. The codecs are not part of the project; without them these tests say so.
"""


def table(rows: Sequence[Row]) -> str:
    """A row a family."""
    lines: list[str] = []
    for one in rows:
        refused = ", ".join(f"{count} {reason}" for reason, count in one.refusals.most_common()) or "–"
        told = f"{one.passed} ({one.passed / one.expecting:.1%})" if one.expecting else "–"
        lines.append(
            f"| `{one.family}` | {one.samples} | {one.decoded} | {refused} | {one.expecting or '–'} | {told} |\n"
        )
    total, passed = sum(one.expecting for one in rows), sum(one.passed for one in rows)
    lines.append(
        f"| all | {sum(one.samples for one in rows)} | {sum(one.decoded for one in rows)} | | {total} | {passed} |\n"
    )
    return TABLE + "".join(lines)


def sections() -> str:
    """A section a family: its docstring."""
    parts = ["## The families\n"]
    for family in sorted(FAMILIES, key=lambda one: (one.title or one.name).casefold()):
        parts.append(_section(family))
    return "\n".join(parts)


def _section(family: Family) -> str:
    text = _docstring(family)
    lines = [f"### {family.title or family.name} (`{family.name}`)\n"]
    if family.topics:
        lines.append("Topics: " + ", ".join(f"`{topic}`" for topic in family.topics) + "\n")
    lines.append(text + "\n")
    return "\n".join(lines)


def _docstring(family: Family) -> str:
    module = inspect.getmodule(family.decode)
    text = inspect.cleandoc((module.__doc__ if module else "") or "")
    return re.sub(r"^(In|Out): ", r"\1: ", text, flags=re.MULTILINE)


def read_families() -> list[str]:
    """Families of samples that have a decoder."""
    return [family for family in families() if decoder_of(family) is not None]


def missing_families() -> list[str]:
    """Families of samples that have none: those that reach neither MQTT nor HTTP."""
    return [family for family in families() if decoder_of(family) is None and family not in codecs.FAMILIES]


def document() -> str:
    """The whole page."""
    rows = [row(family) for family in read_families()]
    rest = ", ".join(f"`{family}`" for family in missing_families())
    none = (
        f"\nWithout a decoder, since they speak over bare TCP or UDP and reach neither MQTT nor HTTP: {rest}.\n"
        if rest
        else ""
    )
    return f"{HEAD}\n{table(rows)}{CODECS}{none}\n{sections()}"


if __name__ == "__main__":
    print(document(), end="")
