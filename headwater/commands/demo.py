"""What the demo brings with it: recordings, and models of the devices in them.

Out: paths, and the models as configuration. They are in the checkout's `examples/data/`, with their licences.
"""

from pathlib import Path

import click
import yaml
from pydantic import TypeAdapter

from headwater.config_models import Model

FOLDER = Path(__file__).parents[2] / "examples" / "data"
HISTORY = FOLDER / "household_meter.ndjson.gz"
HISTORY_DEVICE = "household-meter"
WALK = FOLDER / "beacon_walk.ndjson.gz"


def demo_models() -> dict[str, Model]:
    """Name → model, of the demo's devices. Raises `ClickException` where there is no checkout."""
    file = FOLDER / "models.yaml"
    if not file.is_file():
        raise click.ClickException(f"the demo's recordings are not at {FOLDER}: run it from a checkout")
    return TypeAdapter(dict[str, Model]).validate_python(yaml.safe_load(file.read_text("utf-8")))
