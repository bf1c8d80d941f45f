"""Groups of commands that are imported only when they are asked for.

A command that only reads a file should not wait for the libraries of those that ask databases.
"""

import importlib
from typing import TYPE_CHECKING, ClassVar

from typer.core import TyperGroup
from typer.main import get_group

if TYPE_CHECKING:
    from typer._click import Command, Context


class LazyGroups(TyperGroup):
    """The top of the command line: its own commands, and groups that stand in modules.

    Each module of `MODULES` (beside this one) has a typer app named `app`, which says its own help.
    """

    MODULES: ClassVar[tuple[str, ...]] = (
        "checkpoint",
        "config",
        "endpoint",
        "lineage",
        "plan",
        "retention",
        "serving",
    )

    def list_commands(self, ctx: "Context") -> list[str]:
        """Return the names of all commands, imported or not."""
        return sorted({*super().list_commands(ctx), *self.MODULES})

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":
        """Return the command of that name; its module is imported where it was not yet."""
        if cmd_name in self.MODULES and cmd_name not in self.commands:
            module = importlib.import_module(f"ai_how.cli.{cmd_name}")
            group = get_group(module.app)
            group.name = cmd_name
            self.add_command(group, cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> "tuple[str | None, Command | None, list[str]]":
        """Find the command that `args` begins with; a misspelt one is compared with all."""
        if args and args[0] not in self.list_commands(ctx):
            for name in self.MODULES:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)
