"""`headwater devices` and `headwater keys`, against the real API on a real port."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import click
import pytest
import uvicorn
from click.testing import CliRunner, Result
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from headwater.cli import main
from headwater.commands.client import ApiError, Client, segment
from headwater.commands.output import plain, print_json, print_table
from headwater.directory import Directory
from headwater.errors import Refused
from tests.query.registry_app import registry_app

Headwater = Callable[..., Awaitable[Result]]


@asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[str, None]:
    """The app on a port that the system picked; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def at(url: str, token: str = "") -> Headwater:
    """The command line, in a thread, so that the server goes on."""

    async def run(*arguments: str) -> Result:
        environment = {"HEADWATER_URL": url, "HEADWATER_TOKEN": token, "COLUMNS": "200"}
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=environment)

    return run


@asynccontextmanager
async def program(
    folder: Path, anonymous: Literal["loopback", "never"] = "loopback"
) -> AsyncGenerator[tuple[str, Directory], None]:
    async with registry_app(folder, anonymous) as (app, _, directory), served(app) as url:
        yield url, directory


@pytest.fixture
async def running(tmp_path: Path) -> AsyncGenerator[tuple[Headwater, Directory], None]:
    async with program(tmp_path) as (url, directory):
        yield at(url), directory


async def works(result: Awaitable[Result]) -> str:
    found = await result
    assert found.exit_code == 0, found.output
    return found.stdout


async def fails(result: Awaitable[Result], code: int = 1) -> str:
    found = await result
    assert found.exit_code == code, found.output
    assert found.stdout == ""
    return found.stderr


async def test_a_device_is_added_listed_changed_and_removed(running: tuple[Headwater, Directory]):
    headwater, directory = running
    added = await headwater("devices", "add", "gw-1", "--model", "pump", "--speaks-for", "tag-*", "--speaks-for", "b")
    token = added.stdout.strip()
    assert directory.identify("gw-1", token, loopback=False).speaks_for == ("b", "tag-*")
    assert f"mosquitto_pub -h 127.0.0.1 -q 1 -u gw-1 -P {token} -t devices/gw-1/telemetry" in added.stderr
    assert f"curl -H 'Authorization: Bearer {token}'" in added.stderr
    assert "/ingest/gw-1" in added.stderr

    listed = await works(headwater("devices", "list"))
    assert listed.split("\t")[:4] == ["gw-1", "pump", "b tag-*", "enabled"]
    assert listed.count("\n") == 1

    shown = await works(headwater("devices", "disable", "gw-1"))
    assert "state       disabled" in shown
    assert "disabled" in await works(headwater("devices", "show", "gw-1"))
    assert "enabled" in await works(headwater("devices", "enable", "gw-1"))

    rotated = (await works(headwater("devices", "rotate", "gw-1"))).strip()
    assert directory.identify("", rotated, loopback=False).name == "gw-1"

    assert "speaks for\n" in await works(headwater("devices", "set", "gw-1", "--speaks-for-nobody", "--model", ""))
    assert json.loads(await works(headwater("devices", "show", "gw-1", "--json")))["model"] == ""
    assert "x-*" in await works(headwater("devices", "set", "gw-1", "--speaks-for", "x-*"))

    await works(headwater("devices", "remove", "gw-1"))
    assert await works(headwater("devices", "list")) == ""
    assert "there is no device 'gw-1'" in await fails(headwater("devices", "show", "gw-1"))


async def test_for_programs_there_is_json(running: tuple[Headwater, Directory]):
    headwater, directory = running
    device = json.loads(await works(headwater("devices", "add", "a", "--json")))
    assert directory.identify("a", device["token"], loopback=False).device == "a"
    assert [d["name"] for d in json.loads(await works(headwater("devices", "list", "--json")))] == ["a"]
    key = json.loads(await works(headwater("keys", "add", "ops", "--json")))
    assert directory.identify("", key["token"], loopback=False).roles == ("read",)
    assert [k["name"] for k in json.loads(await works(headwater("keys", "list", "--json")))] == ["ops"]


async def test_more_devices_than_a_page_are_all_listed(
    running: tuple[Headwater, Directory], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("headwater.commands.devices._PAGE", 2)
    headwater, _ = running
    for name in "cabed":
        await works(headwater("devices", "add", name))
    listed = await works(headwater("devices", "list"))
    assert [line.split("\t")[0] for line in listed.splitlines()] == list("abcde")


async def test_a_key_is_added_listed_and_removed(running: tuple[Headwater, Directory]):
    headwater, directory = running
    token = (await works(headwater("keys", "add", "ops", "--role", "admin", "--role", "read"))).strip()
    assert directory.identify("", token, loopback=False).roles == ("admin", "read")
    assert (await works(headwater("keys", "list"))).split("\t")[:2] == ["ops", "admin read"]
    await works(headwater("keys", "remove", "ops"))
    assert await works(headwater("keys", "list")) == ""
    assert "there is no API key 'ops'" in await fails(headwater("keys", "remove", "ops"))


async def test_where_everyone_needs_a_key_the_first_one_is_written_into_the_data_folder(tmp_path: Path):
    first = (await works(at("")("keys", "add", "first", "--role", "admin", "--data", str(tmp_path)))).strip()
    async with program(tmp_path, "never") as (url, directory):
        nobody = await fails(at(url)("devices", "add", "a"))
        assert "--token or HEADWATER_TOKEN" in nobody
        await works(at(url, first)("devices", "add", "a"))
        assert "a" in await works(at(url)("devices", "list", "--token", first))
        second = (await works(at(url)("keys", "add", "second", "--data", str(tmp_path)))).strip()
        async with asyncio.timeout(10):  # beside a running one, too: it looks now and then
            while not known(directory, second):
                await asyncio.sleep(0.05)
        assert "lacks the role 'admin'" in await fails(at(url, second)("devices", "list"))
    again = await fails(at("")("keys", "add", "first", "--data", str(tmp_path)))
    assert "there is a 'first' already" in again


def known(directory: Directory, token: str) -> bool:
    try:
        directory.identify("", token, loopback=False)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("name", ["a/b", "+", "#", "", "a b"])
async def test_a_name_that_no_device_can_have_is_refused_before_anything_is_asked(name: str):
    nowhere = at("http://127.0.0.1:1")
    assert "is not a device name" in await fails(nowhere("devices", "add", name), 2)
    assert "is not a device name" in await fails(nowhere("devices", "show", name), 2)
    assert "is not a device name" in await fails(nowhere("keys", "add", name), 2)


async def test_what_contradicts_itself_is_refused(running: tuple[Headwater, Directory]):
    headwater, _ = running
    assert "say what to change" in await fails(headwater("devices", "set", "a"), 2)
    twice = headwater("devices", "set", "a", "--speaks-for", "b", "--speaks-for-nobody")
    assert "contradict" in await fails(twice, 2)
    assert "not a device name" in await fails(headwater("devices", "add", "a", "--speaks-for", "b/c"))


@pytest.mark.parametrize("command", ["devices", "keys"])
async def test_help_shows_examples_on_lines_of_their_own(command: str):
    nowhere = at("")
    text = await works(nowhere(command, "--help"))
    assert f"\n  headwater {command} add" in text
    for line in text[text.index("Commands:") :].splitlines()[1:]:
        assert await works(nowhere(command, line.split()[0], "--help"))


# The client that all commands share


async def test_where_nothing_listens_it_says_so():
    with socket.create_server(("127.0.0.1", 0)) as busy:
        url = f"http://127.0.0.1:{busy.getsockname()[1]}"
    assert f"nothing answers at {url}; is `headwater up` running?" in await fails(at(url)("devices", "list"))


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:99999", "http://x:y", ""])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(click.ClickException, match="is not an address like"):
        Client(url)


@pytest.fixture
async def odd() -> AsyncGenerator[str, None]:
    """Something on a port that is no Headwater."""
    app = FastAPI()

    @app.get("/text")
    async def text() -> Response:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("hello")

    @app.get("/fails")
    async def broken() -> Response:  # pyright: ignore[reportUnusedFunction]
        return PlainTextResponse("<html>no", 502)

    @app.get("/lines")
    async def lines() -> Response:  # pyright: ignore[reportUnusedFunction]
        async def some() -> AsyncGenerator[bytes, None]:
            yield b"data: 1\r\ndat"
            yield b"a: \xff\n\n"

        return StreamingResponse(some())

    @app.get("/slow")
    async def slow() -> Response:  # pyright: ignore[reportUnusedFunction]
        await asyncio.sleep(5)
        return Response()

    async with served(app) as url:
        yield url


async def refused(url: str, path: str, timeout: float = 5) -> click.ClickException:
    with pytest.raises(click.ClickException) as found:
        await asyncio.to_thread(Client(url, timeout=timeout).call, "GET", path)
    return found.value


async def test_what_is_no_headwater_is_told_apart(odd: str):
    assert "not JSON" in (await refused(odd, "/text")).message
    assert "<html>no" in (await refused(odd, "/fails")).message
    assert isinstance(await refused(odd, "/nothing"), ApiError)
    assert "did not answer within 0.05 s" in (await refused(odd, "/slow", 0.05)).message


async def test_a_stream_comes_line_by_line(odd: str):
    found = await asyncio.to_thread(lambda: list(Client(odd).lines("/lines")))
    assert found == ["data: 1", "data: �", ""]


def test_a_name_is_one_segment_of_a_path():
    assert segment("a/b?c#d%") == "a%2Fb%3Fc%23d%25"


def test_nothing_that_came_from_outside_moves_the_cursor(capsys: pytest.CaptureFixture[str]):
    evil = "a\x1b[2J\tb\n\x9bc\u202e"
    assert plain(evil) == "a\\x1b[2J\\tb\\n\\x9bc\\u202e"
    print_table(("x",), [(evil, "[red]d[/red]")])
    print_json({"x": evil + "\udcff"})
    assert not set("\x1b\x9b\u202e\udcff") & set(capsys.readouterr().out)


def test_on_a_terminal_there_is_a_heading(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("name", "model"), [("[bold]a", "pump")])
    said = capsys.readouterr().out
    assert "name" in said
    assert "[bold]a" in said
