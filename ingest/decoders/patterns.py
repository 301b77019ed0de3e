"""Topic patterns of decoders: which topics a family has, and which level names the device.

In: a pattern. Out: a regular expression. `+` is one level, `#` any number of them (also none, also in the middle),
`{device}` the level, `{device:shelly*}` one like that, and `{device#}` the levels, one or more, that name the device.
`*` is any part of a level, `a|b` the one or the other.
"""

import re

_LEVEL = {"+": "[^/]*", "{device}": "(?P<device>[^/]*)", "{device#}": "(?P<device>.+?)"}


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`#/tele/{device#}/SENSOR` → a regular expression whose group `device` is what names it. Raises `ValueError`."""
    levels = pattern.split("/")
    if sum(level.startswith("{device") for level in levels) > 1:
        raise ValueError(f"{pattern!r}: `{{device}}` once at most")
    if levels.count("#") + levels.count("{device#}") > 2:
        raise ValueError(f"{pattern!r}: at most two parts may stand for any number of levels")
    body = ""
    for place, level in enumerate(levels):
        first, last = place == 0, place == len(levels) - 1
        if level != "#":
            body += _LEVEL.get(level) or _partly(level)
            body += "" if last or levels[place + 1 :] == ["#"] else "/"
        elif last:
            body += ".*" if first else "(?:/.*)?"  # as in MQTT, `a/#` also fits `a`
        else:
            body += "(?:.+?/)?"
    return re.compile(body, re.DOTALL)


def _partly(level: str) -> str:
    """`switch:*`, `{device:shelly*}`, `tele|stat` or a level as it is."""
    named = level.startswith("{device:") and level.endswith("}")
    body = re.escape(level[8:-1] if named else level).replace(r"\*", "[^/]*").replace(r"\|", "|")
    return f"(?P<device>{body})" if named else f"(?:{body})" if "|" in body else body
