"""`headwater plan`: how many of what, for how many devices. Nothing is read and nothing is asked.

In: the load. Out: a table, or JSON with --json; with --costs the numbers that it is made with, and their sources.
"""

import click

from headwater.commands.devices import as_json
from headwater.commands.output import print_json, print_table
from headwater.errors import ConfigError
from headwater.plan import CONSTANTS, Load
from headwater.plan import plan as planned


class _Share(click.ParamType[float]):
    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From "5%" or 0.05."""
        text = str(value)
        try:
            return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f'{text!r} is neither a number nor a percentage like "5%"', param, ctx)


@click.command()
@click.option("--devices", type=float, help="How many devices: 1000, 1e6.")
@click.option("--rate", type=float, help="Messages a second of one device: 0.1 is one every ten seconds.")
@click.option("--size", type=float, default=200, show_default=True, help="Bytes of a message as JSON.")
@click.option("--fields", type=float, default=3, show_default=True, help="Numbers in a message.")
@click.option("--selected", type=_Share(), default="5%", show_default=True, help="Share that becomes candidates.")
@click.option("--days", type=float, default=7, show_default=True, help="The log's retention.")
@click.option("--costs", is_flag=True, help="Print the numbers that plans are made with, and where they come from.")
@as_json
def plan(
    devices: float | None,
    rate: float | None,
    size: float,
    fields: float,
    selected: float,
    days: float,
    costs: bool,
    as_json: bool,
) -> None:
    """Partitions, gateways, consumers, brokers and storage for a load.

    \b
    headwater plan --devices 1e6 --rate 0.1
    headwater plan --costs
    """
    if costs:
        _print_costs(as_json)
        return
    if devices is None or rate is None:
        raise click.UsageError("--devices and --rate are needed")
    try:
        found = planned(Load(devices, rate, size, fields, selected, days))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        print_json(found._asdict() | {"storage": {name: each._asdict() for name, each in found.storage.items()}})
        return
    rows = [
        ("messages a second", f"{found.messages_per_second:,.0f}"),
        ("partitions", str(found.partitions)),
        ("gateways", str(found.gateways)),
        ("brokers", str(found.brokers)),
        ("consumers, every role in each", str(found.consumer_processes)),
        *((f"… or of {role} alone", str(count)) for role, count in found.consumers.items()),
        *((f"{name}: a day / held", f"{_gb(s.per_day)} / {_gb(s.held)}") for name, s in found.storage.items()),
    ]
    print_table(("what", "how much"), rows)


def _print_costs(as_json: bool) -> None:
    if as_json:
        print_json({name: constant._asdict() for name, constant in CONSTANTS.items()})
        return
    print_table(
        ("what", "value", "unit", "source"),
        ((name, f"{constant.value:g}", constant.unit, constant.source) for name, constant in CONSTANTS.items()),
    )


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
