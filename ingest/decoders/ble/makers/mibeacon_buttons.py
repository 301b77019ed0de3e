"""Xiaomi's switches, remotes, dimmers and cubes: which key, and how it was pressed.

In: the object's bytes and the model. Out: values by name. Source: github.com/custom-components/ble_monitor (MIT).
"""

from ingest.decoders.ble.reading import Values

_PRESS = {0: "single press", 1: "double press", 2: "long press", 5: "short press", 6: "long press"}
_SWITCH_PRESS = {0: "single press", 1: "long press", 2: "double press"}
_REMOTE = ("on", "off", "sun", "+", "m", "-")
_BINARY = {0: True, 1: False, 3: True, 5: True}
_FAN = ("fan toggle", "light toggle", "wind speed", "color temperature", "wind mode", "brightness")
_VENTILATOR = (
    "swing",
    "power toggle",
    "timer 60 minutes",
    "strong wind speed",
    "timer 30 minutes",
    "low wind speed",
)
_BATHROOM = ("stop", "air exchange", "fan", "speed +", "speed -", "dry", "light toggle", "swing", "heat")
_CUBE = ("right", "left")
_KEYS = {
    "K9B-1BTN": (("one_btn_switch",),),
    "K9B-2BTN": (
        ("two_btn_switch_left",),
        ("two_btn_switch_right",),
        ("two_btn_switch_left", "two_btn_switch_right"),
    ),
    "K9B-3BTN": (
        ("three_btn_switch_left",),
        ("three_btn_switch_middle",),
        ("three_btn_switch_right",),
        ("three_btn_switch_left", "three_btn_switch_middle"),
        ("three_btn_switch_middle", "three_btn_switch_right"),
        ("three_btn_switch_left", "three_btn_switch_right"),
        ("three_btn_switch_left", "three_btn_switch_middle", "three_btn_switch_right"),
    ),
}
_FOUR = (("four_btn_switch_1",), ("four_btn_switch_2",), ("four_btn_switch_3",), ("four_btn_switch_4",))
_CLICKED = {
    "XMWXKG01YL": _KEYS["K9B-2BTN"],
    "PTX-F1-Display": _FOUR,
    "KS1": _FOUR,
    "KS1BP": _FOUR,
}
_COMMANDS = {
    "YLYK01YL-FANCL": ("fan_remote", _FAN),
    "YLYK01YL-VENFAN": ("ventilator_fan_remote", _VENTILATOR),
    "YLYB01YL-BHFRC": ("bathroom_heater_remote", _BATHROOM),
}


def pressed(key: str, press: str) -> Values:
    """One key of a switch."""
    return _keys((key,), press)


def _keys(keys: tuple[str, ...], press: str) -> Values:
    values: Values = dict.fromkeys(keys, "toggle")
    return values | {"button_switch": press}


def button(body: bytes, model: str) -> Values:
    """Object 1001: key, value, kind of press."""
    if len(body) != 3:
        return {}
    key, press = body[0], body[2]
    if model in _KEYS:
        keys = _KEYS[model][key] if key < len(_KEYS[model]) else ()
        return _keys(keys, _SWITCH_PRESS.get(press, "no press"))
    if model == "XMMF01JQD":
        return _one("button", _CUBE, key)
    how, steps = _how(body)
    if model == "YLKG07YL/YLKG08YL":
        turned: Values = {"dimmer": how}
        return turned if steps is None else turned | {"steps": steps}
    if model in _COMMANDS:
        return _one(*_COMMANDS[model], key) | {"button": how}
    values: Values = {"button": how}
    if model == "YLYK01YL":
        values |= _one("remote", _REMOTE, key)
        if key in _BINARY:
            values["remote_single_press" if how == "single press" else "remote_long_press"] = _BINARY[key]
    return values


def click(body: bytes, model: str, press: str) -> Values:
    """Objects of models with keys of their own numbers."""
    if model == "XMWXKG01LM":
        return pressed("one_btn_switch", press)
    if model == "K9BB-1BTN":
        how = {1: "single press", 8: "long press", 15: "double press"}.get(body[0]) if body else None
        return pressed("one_btn_switch", how) if how else {}
    keys = _CLICKED.get(model, ())
    if not body or not 1 <= body[0] <= len(keys):
        return {}
    return _keys(keys[body[0] - 1], press)


def _one(name: str, words: tuple[str, ...], key: int) -> Values:
    return {name: words[key]} if key < len(words) else {}


def _how(body: bytes) -> tuple[str, int | None]:
    """The kind of press, and steps of a dimmer."""
    key, value, press = body
    if press == 3 and key < 2:
        return ("short press", "long press")[key], value
    if press == 4:
        turned, held = (value, "") if key == 0 else (key, " (pressed)")
        return (f"rotate right{held}", turned) if turned <= 127 else (f"rotate left{held}", 256 - turned)
    return _PRESS.get(press, "no press"), None
