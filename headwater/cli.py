"""The one command, `headwater`. Its subcommands load what they need when they are called, so that help is quick.

In: arguments. Out: an exit code; an error is one line that says what to do.
"""

from importlib import import_module
from typing import Any

import click

from headwater import __version__
from headwater.commands.ending import leave

_COMMANDS = {
    "up": "headwater.commands.up:up",
    "check": "headwater.commands.check:check",
    "send": "headwater.commands.send:send",
    "agent": "headwater.commands.agent:agent",
    "replay": "headwater.commands.replay:replay",
    "simulate": "headwater.commands.simulate:simulate",
    "tail": "headwater.commands.tail:tail",
    "devices": "headwater.commands.devices:devices",
    "claims": "headwater.commands.claims:claims",
    "groups": "headwater.commands.groups:groups",
    "addresses": "headwater.commands.groups:addresses",
    "ca": "headwater.commands.ca:ca",
    "decoders": "headwater.commands.decoders:decoders",
    "rejected": "headwater.commands.rejected:rejected",
    "keys": "headwater.commands.keys:keys",
    "audit": "headwater.commands.audit:audit",
    "plan": "headwater.commands.plan:plan",
    "gateway": "headwater.commands.gateway:gateway",
    "consumer": "headwater.commands.consumer:consumer",
    "api": "headwater.commands.api:api",
}
"""Name → where it is. In the order of the help."""


class _Commands(click.Group):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the program, and not as a part of one: whichever way it ends, without Python's last rites (`leave`)."""
        try:
            return super().__call__(*args, **kwargs)
        except SystemExit as end:
            leave(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return getattr(import_module(module), name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="headwater")
def main() -> None:
    """Headwater: what devices send is logged before it is acknowledged, and stored once in effect.

    \b
    headwater up                                   start everything in one process
    headwater send pump-7 temperature=21.5         send a message
    headwater tail                                 see messages arrive
    headwater devices add pump-7                   give a device a token
    """


if __name__ == "__main__":
    main()
