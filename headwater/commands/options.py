"""Options that commands share: which configuration, which data folder, which addresses.

In: `--config`, `--data`, the environment. Out: a checked `Config` as the command's first argument.
"""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, TypeVar

import click

from headwater.config import Config, load
from headwater.errors import ConfigError

R = TypeVar("R")
DEFAULT_FILE = Path("config.yaml")


def read_configuration(file: Path | None, **overrides: object) -> Config:
    """The configuration of `file`, else of ./config.yaml where there is one; raises `ClickException`."""
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    try:
        return load(chosen, os.environ, **overrides)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def configured(command: Callable[Concatenate[Config, ...], R]) -> Callable[..., R]:
    """Add `--config` and `--data`, and call the command with the `Config` first."""

    @click.option(
        "--config",
        "file",
        envvar="HEADWATER_CONFIG",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A YAML file; ./config.yaml if there is one.",
    )
    @click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Where everything is kept.")
    @wraps(command)
    def reading(file: Path | None, data: Path | None, **kwargs: Any) -> R:
        return command(read_configuration(file, data=data), **kwargs)

    return reading
