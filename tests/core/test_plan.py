"""Plans: what they promise for any load, what they refuse, and that docs/scaling.md shows what the command prints."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from headwater.commands.plan import plan as command
from headwater.config import Config
from headwater.errors import ConfigError
from headwater.plan import CONSTANTS, PARTITIONS_MOST, Load, plan

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


_loads = st.builds(
    Load,
    devices=st.floats(1, 2e6),
    rate=st.floats(1e-6, 1),
    size=st.floats(1, 10_000),
    fields=st.floats(1, 50),
    selected=st.floats(0, 1),
    days=st.floats(0.1, 400),
)


@given(_loads)
def test_every_role_fits_into_the_partitions_and_no_core_is_fuller_than_planned(load: Load):
    found = plan(load)
    assert 1 <= max(found.consumers.values()) <= found.partitions <= PARTITIONS_MOST
    assert found.consumer_processes <= found.partitions
    assert found.gateways * CONSTANTS["connections"].value >= load.devices
    for role, processes in found.consumers.items():
        share = load.selected if role in {"documents", "search"} else 1
        seconds = load.devices * load.rate * share * CONSTANTS[role].value / 1e6
        assert seconds / processes <= CONSTANTS["utilisation"].value * (1 + 1e-9)
    assert found.brokers == 1 or found.brokers >= 3
    assert all(store.per_day >= 0 and store.held >= 0 for store in found.storage.values())


@given(_loads)
def test_twice_the_devices_never_need_less(load: Load):
    one, two = plan(load), plan(load._replace(devices=2 * load.devices))
    assert (two.partitions, two.gateways, two.brokers) >= (one.partitions, one.gateways, one.brokers)
    assert two.consumer_processes >= one.consumer_processes
    assert all(two.storage[name].held >= store.held for name, store in one.storage.items())


def test_a_small_load_needs_one_of_each():
    found = plan(Load(100, 0.01))
    assert (found.partitions, found.gateways, found.brokers, found.consumer_processes) == (4, 1, 1, 1)


@pytest.mark.parametrize("name", ["devices", "rate", "size", "fields", "selected", "days"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e300", "many"])
def test_a_load_that_makes_no_sense_is_refused_by_name(name: str, value: str):
    if (name, value) == ("selected", "0"):
        return
    result = run(f"--{name}", value, *_rest(name))
    assert result.exit_code != 0
    assert name in result.output
    assert "Traceback" not in result.output


def _rest(name: str) -> list[str]:
    given = {"devices": "10", "rate": "1"}
    return [text for other, value in given.items() if other != name for text in (f"--{other}", value)]


def test_more_than_one_log_can_carry_is_said_with_a_way_out():
    with pytest.raises(ConfigError, match="at most 1024: split the devices"):
        plan(Load(1e9, 10))
    assert "Error: " in run("--devices", "1e9", "--rate", "10").output


def test_what_is_missing_is_named():
    assert "--devices and --rate are needed" in run("--devices", "10").output


def test_a_share_may_be_a_percentage():
    args = ("--devices", "1e5", "--rate", "1", "--json", "--selected")
    assert run(*args, "20%").output == run(*args, "0.2").output != run(*args, "5%").output


def test_as_json_it_is_the_plan():
    found = json.loads(run("--devices", "1e6", "--rate", "0.1", "--json").output)
    expected = plan(Load(1e6, 0.1))
    assert found["partitions"] == expected.partitions
    assert found["consumers"] == expected.consumers
    assert found["storage"]["lake"]["per_day"] == expected.storage["lake"].per_day


def test_every_number_has_a_source_and_those_of_the_configuration_are_its_defaults():
    printed = run("--costs").output
    assert all(constant.source in printed for constant in CONSTANTS.values())
    config = Config()
    assert CONSTANTS["connections"].value == config.mqtt.connections
    assert CONSTANTS["documents_days"].value * 86_400 == config.documents.retention
    assert CONSTANTS["search_days"].value * 86_400 == config.search.retention


@pytest.mark.parametrize("name", ["gateway", "selector", "live", "lake"])
def test_measured_costs_stand_in_the_benchmarks(name: str):
    assert f"{CONSTANTS[name].value:g}" in (ROOT / "docs/benchmarks.md").read_text("utf-8")


def test_the_worked_example_is_what_the_command_prints():
    text = (ROOT / "docs/scaling.md").read_text("utf-8")
    shown = text.partition("$ headwater plan --devices 1e6 --rate 0.1\n")[2].partition("```")[0]
    assert shown == run("--devices", "1e6", "--rate", "0.1").output
