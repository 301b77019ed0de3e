"""`headwater devices import|export`, `headwater groups` and `headwater addresses`, against the real API on a real port."""

import csv
import json
from pathlib import Path

import pytest

from headwater.directory import Directory
from tests.query.test_registry_commands import Headwater, at, fails, program, running, works
from tests.taking import within

_ = running  # the fixture
Running = tuple[Headwater, Directory]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_an_export_is_what_an_import_takes_and_a_second_one_changes_nothing(tmp_path: Path, form: str):
    file = tmp_path / f"fleet.{form}"
    async with program(tmp_path) as (url, _):
        one = at(url)
        (tmp_path / "a").mkdir()
        added = ("devices", "add", "a", "--group", "g", "--group", "h", "--asset", "Press 2, left", "--attribute")
        token = (await works(one(*added, 'note=it says "é"'))).strip()
        await works(one("devices", "add", "gw", "--speaks-for", "tag-*", "--speaks-for-group", "g"))
        await works(one("devices", "disable", "gw"))
        await works(one("devices", "export", str(file)))
        assert token not in file.read_text()
        again = await one("devices", "import", str(file))
        assert "0 added, 0 changed, 2 unchanged, 0 refused" in again.stderr
        before = json.loads(await works(one("devices", "list", "--json")))
    async with program(tmp_path / "a") as (url, _):
        other = at(url)
        dry = await other("devices", "import", str(file), "--dry-run")
        assert "2 added" in dry.stderr
        assert await works(other("devices", "list")) == ""
        await works(other("devices", "import", str(file)))
        after = json.loads(await works(other("devices", "list", "--json")))
    untold = {"version", "changed"}
    assert [{key: one[key] for key in one if key not in untold} for one in after] == [
        {key: one[key] for key in one if key not in untold} for one in before
    ]


async def test_thousands_of_devices_are_there_in_seconds_with_their_tokens(running: Running, tmp_path: Path):
    headwater, directory = running
    file, tokens = tmp_path / "fleet.csv", tmp_path / "tokens.csv"
    file.write_text("name,asset\n" + "".join(f"d{n},a{n % 7}\n" for n in range(3000)))
    with within(20):
        said = await headwater("devices", "import", str(file), "--tokens", str(tokens))
    assert "3000 added" in said.stderr
    found = dict(csv.reader(tokens.read_text().splitlines()))
    assert len(found) == 3000
    assert directory.identify("d2999", found["d2999"], loopback=False).device == "d2999"
    assert tokens.stat().st_mode & 0o77 == 0
    assert "not overwritten" in await fails(headwater("devices", "import", str(file), "--tokens", str(tokens)))


async def test_what_cannot_be_read_says_where(running: Running, tmp_path: Path):
    headwater, _ = running
    for name, text, said in (
        ("a.csv", "name,colour\na,red\n", "no such columns: colour"),
        ("b.csv", "name,attributes\na,{\n", "line 2"),
        ("c.csv", "name,disabled\na,perhaps\n", "line 2"),
        ("d.jsonl", '{"name": "a"}\n[1]\n', "line 2: a device is a JSON object"),
        ("e.jsonl", '{"name": "a/b"}\n{"name": "c"}\n', "device 1: bad_device"),
    ):
        (tmp_path / name).write_text(text)
        assert said in await fails(headwater("devices", "import", str(tmp_path / name)))


async def test_groups_are_added_listed_changed_and_removed(running: Running):
    headwater, _ = running
    await works(headwater("groups", "add", "line-3", "--publish", "plant/{device}/#", "--quota", "gateway"))
    await works(headwater("devices", "add", "a", "--group", "line-3", "--asset", "oven"))
    await works(headwater("devices", "add", "b", "--asset", "oven"))
    assert (await works(headwater("groups", "list"))).split("\t")[:4] == ["line-3", "plant/{device}/#", "", "gateway"]
    assert (await works(headwater("devices", "list", "--group", "line-3"))).split("\t")[0] == "a"
    assert (await works(headwater("devices", "list", "--asset", "oven"))).count("\n") == 2
    shown = await works(headwater("groups", "set", "line-3", "--subscribe", "x", "--publish-nothing", "--quota", ""))
    assert "subscribe   x" in shown
    assert "publish\n" in shown
    assert "say what to change" in await fails(headwater("groups", "set", "line-3"), 2)
    both = headwater("groups", "set", "line-3", "--publish", "x", "--publish-nothing")
    assert "contradict" in await fails(both, 2)
    await works(headwater("groups", "remove", "line-3"))
    assert "there is no group 'line-3'" in await fails(headwater("groups", "show", "line-3"))


async def test_an_address_is_blocked_listed_and_let_in_again(running: Running):
    headwater, directory = running
    await works(headwater("addresses", "block", "192.0.2.0/24", "--reason", "floods", "--for", "1h"))
    assert (await works(headwater("addresses", "list"))).split("\t")[:2] == ["192.0.2.0/24", "floods"]
    assert directory.blocked("192.0.2.1")
    await works(headwater("addresses", "unblock", "192.0.2.0/24"))
    assert not directory.blocked("192.0.2.1")
    assert "own addresses" in await fails(headwater("addresses", "block", "127.0.0.1"))
    assert "--for" in await fails(headwater("addresses", "block", "192.0.2.1", "--for", "soon"), 2)


async def test_groups_asset_and_attributes_of_a_device_are_changed_and_shown(running: Running):
    headwater, _ = running
    await works(headwater("devices", "add", "a", "--group", "g", "--attribute", "site=north", "--attribute", "old=x"))
    changed = ("--group", "h", "--group", "i", "--asset", "press 2", "--attribute", "old=", "--attribute", "floor=1")
    shown = await works(headwater("devices", "set", "a", *changed))
    assert "groups      h i\nasset       press 2\nattributes  floor=1 site=north\n" in shown
    assert "groups" not in await works(headwater("devices", "set", "a", "--no-group"))
    assert "contradict" in await fails(headwater("devices", "set", "a", "--group", "g", "--no-group"), 2)
