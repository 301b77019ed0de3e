"""go-iotdevice: puts Victron Energy devices, Shelly, Teracom and Modbus relays on MQTT.

Topics: `go-iotdevice/tele/NAME`, `…/struct/NAME`, `…/real/NAME/REGISTER`, `…/avail/NAME`, `…/cmnd/NAME/REGISTER`;
before version 3 `PREFIX/tele/iot-device/NAME/state` and `PREFIX/tele/NAME/LWT`.

Out: `{"Model":"SmartShunt","NumericValues":{"Power":{"Cat":"Essential","Desc":"Power","Val":5,"Unit":"W"}}}` →
`Power` 5, and a description with `model`, `unit.Power`, `label.Power`; registers that are enumerations are texts, with
their index in `NAME.Idx`. `avail` and `LWT` are statuses, `struct` describes, `cmnd` is a command.

Format: the documentation in github.com/koestler/go-iotdevice.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.home.values import bare, fill, read, text_of
from ingest.decoders.parts import short

TOPICS = (
    "#/go-iotdevice/avail/{device}",
    "#/go-iotdevice/struct/{device}",
    "#/go-iotdevice/real/{device}/+",
    "#/go-iotdevice/cmnd/{device}/+",
    "#/go-iotdevice/tele/{device}",
    "#/tele/iot-device/{device}/state",
    "#/tele/{device}/state",
)
_GROUPS = ("NumericValues", "EnumValues", "TextValues")
_REALTIME = {"NumVal": "", "TextVal": "", "EnumIdx": ".Idx"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of one."""
    if not payload.data.strip():
        return ()
    levels = payload.source.topic.split("/")
    value = read(payload.data)
    if isinstance(value, str):
        return [_status(payload, levels, value)]
    if not isinstance(value, dict):
        raise Rejected("bad_shape", "go-iotdevice sends JSON objects, this is an array")
    if levels[-3:-2] == ["cmnd"]:
        draft = Draft(payload, kind="command")
        fill(draft, {f"{levels[-1]}{_REALTIME.get(name, '.' + name)}": item for name, item in value.items()})
        return draft.messages()
    if isinstance(value.get("Regs"), list):
        return _structure(payload, value["Regs"])
    if levels[-3:-2] == ["real"]:
        draft = Draft(payload)
        for name, end in _REALTIME.items():
            draft.put(levels[-1] + end, value.get(name))
        return draft.messages()
    return _telemetry(payload, value)


def _telemetry(payload: Payload, value: Mapping[str, Any]) -> list[Message | Rejected]:
    """All registers of a device; what they are called only where it is not known yet."""
    draft = Draft(payload)
    about = Draft(payload, kind="description")
    draft.at = about.at = instant(value.get("Time"))
    for group in _GROUPS:
        registers = value.get(group)
        if isinstance(registers, dict):
            for name, register in registers.items():
                _register(draft, about, name, register)
    if draft.empty:
        raise Rejected("no_fields", "there are no registers in it")
    about.put("model", text_of(value, "Model"))
    known = hash(tuple(about.texts.items()))
    key = f"go_iotdevice:{draft.device}"
    made: list[Message | Rejected] = [*draft.messages()]
    if about.empty or payload.context.recall(key) == known:
        return made
    payload.context.remember(key, known)
    return [*made, *about.messages()]


def _register(draft: Draft, about: Draft, name: str, register: Any) -> None:
    if not isinstance(register, dict):
        raise Rejected("bad_shape", f"the register {short(name)} is no object with `Val`")
    value = register.get("Val")
    if value is not None and not isinstance(value, int | float | str):
        raise Rejected("bad_shape", f"`Val` of the register {short(name)} is no number and no text")
    name = name[:100]
    draft.put(name, value)
    if isinstance(register.get("Idx"), int):
        draft.put(f"{name}.Idx", register["Idx"])
    about.put(f"unit.{name}", text_of(register, "Unit"))
    about.put(f"label.{name}", text_of(register, "Desc"))


def _structure(payload: Payload, registers: Sequence[Any]) -> list[Message | Rejected]:
    about = Draft(payload, kind="description")
    for register in registers:
        name = text_of(register, "Name")[:100] if isinstance(register, dict) else ""
        if name:
            about.put(f"unit.{name}", text_of(register, "Unit"))
            about.put(f"label.{name}", text_of(register, "Desc"))
            about.put(f"type.{name}", text_of(register, "Type"))
    return [*about.messages()]


def _status(payload: Payload, levels: Sequence[str], text: str) -> Message:
    """Whether a device, or the program itself, is there."""
    folded = text.casefold()
    if "avail" in levels or levels[-1] in {"LWT", ""}:
        if folded in {"online", "offline"}:
            draft = Draft(payload, kind="status")
            draft.texts["status"] = folded
            return draft.message()
        raise Rejected("bad_value", f"a status is online or offline, this is {short(text)}")
    if levels[-3:-2] == ["cmnd"]:
        draft = Draft(payload, kind="command")
        draft.put(levels[-1], bare(text))
        return draft.message()
    raise Rejected("bad_json", f"{short(levels[-1])} is a JSON object, this is {short(text)}")
