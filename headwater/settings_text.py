"""Writes `config.yaml` from the types: every key with its default and a sentence. A test compares the two.

Run `python -m headwater.settings_text > config.yaml` after changing a setting.
"""

import json
import sys
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headwater.config import Config
from headwater.config_models import FieldModel, Model, Select

_HEAD = """\
# Headwater's settings: every key, with its default. Delete what you don't change.
# Each can be set by the environment as well, section and key joined by two underscores:
#   HEADWATER_HTTP__LISTEN=0.0.0.0:8080        HEADWATER_X__Y_FILE=/run/secrets/y   (reads the value from a file)
# Durations: 500ms, 10s, 5m, 1h, 7d. Sizes: 64KiB, 10MB. Unknown keys are refused; `headwater check` tells.
# This file is written from headwater/config*.py.
"""

_EXAMPLE = """\
  # Models say what devices may send, and when a message is worth keeping hot (a candidate record). An example:
  #
  # pump:
  #   devices: ["pump-*"]
  #   fields:
  #     temperature: {type: number, unit: "°C", min: -40, max: 150, change: 0.5, every: 10m}
  #     state: {type: text, values: ["on", "off"]}
  #   select: {every: 1h, silence: 10m}
"""


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = value and value[0] not in "*&!%@`'\"#{}[]|>-?:," and ": " not in value and value[-1] not in ":%"
        return value if plain else json.dumps(value)
    return json.dumps(value)


def _text(description: str, indent: int) -> str:
    return f"{' ' * indent}# {description}\n"


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _section(model: type[BaseModel], values: dict[str, Any], indent: int, *, leave_out_empty: bool = False) -> str:
    text = ""
    for name, field in model.model_fields.items():
        value = values[name]
        below = _model_of(field)
        if below is not None:
            text += f"\n{_text((below.__doc__ or '').strip(), indent)}" if indent == 0 else ""
            text += f"{' ' * indent}{name}:\n{_section(below, value, indent + 2, leave_out_empty=leave_out_empty)}"
            continue
        if leave_out_empty and value in (None, "", [], {}, False):
            continue
        line = f"{' ' * indent}{name}: {_scalar(value)}"
        options = " | ".join(get_args(field.annotation)) if _is_choice(field) else ""
        description = (field.description or "") + (
            f" ({options})" if options and len(get_args(field.annotation)) > 1 else ""
        )
        text += f"{line:<34}  # {description}\n" if description else f"{line}\n"
    return text


def _is_choice(field: FieldInfo) -> bool:
    arguments = get_args(field.annotation)
    return bool(arguments) and all(isinstance(argument, str) for argument in arguments)


def _keys(model: type[BaseModel], indent: int) -> str:
    lines = ""
    for name, field in model.model_fields.items():
        if field.description:
            lines += f"{' ' * indent}#   {name}: {field.description}\n"
    return lines


def render() -> str:
    """The text of `config.yaml`."""
    values = Config().model_dump(mode="json")
    models = values.pop("models")
    without_models = {name: field for name, field in Config.model_fields.items() if name != "models"}
    text = _HEAD + "\n"
    for name, field in without_models.items():
        below = _model_of(field)
        if below is None:
            text += f"{name + ': ' + _scalar(values[name]):<34}  # {field.description}\n"
        else:
            text += f"\n{_text((below.__doc__ or '').strip(), 0)}{name}:\n{_section(below, values[name], 2)}"
    text += f"\n# {Config.model_fields['models'].description}\nmodels:\n{_EXAMPLE}"
    text += "  #\n  # Keys of a model:\n" + _keys(Model, 2)
    text += "  # of one of its fields:\n" + _keys(FieldModel, 2) + "  # of `select`:\n" + _keys(Select, 2) + "  #\n"
    for name, value in models.items():
        text += f"  {name}:\n{_section(Model, value, 4, leave_out_empty=True)}"
    return text


if __name__ == "__main__":
    sys.stdout.write(render())
