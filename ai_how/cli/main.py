"""The `ai-how` command: the groups it is made of, and what its exit codes mean.

0 clean, 1 finding, 2 cannot tell (an error of ours), 64 wrong usage.
"""

import sys
import warnings

import typer
from rich.console import Console
from typer.main import get_command

from ai_how.cli import doctor, platform
from ai_how.cli.lazy_groups import LazyGroups
from platform_assets.spec.errors import AiHowError
from resources.errors import ResourceError

CANNOT_TELL = 2
WRONG_USAGE = 64
INTERRUPTED = 130

app = typer.Typer(
    name="ai-how",
    cls=LazyGroups,
    no_args_is_help=True,
    add_completion=False,
    help="One workstation as a hyperscaler: checkpoints become endpoints, with proof.",
    epilog="Exit codes: 0 clean, 1 finding, 2 cannot tell, 64 wrong usage.",
)
platform.register(app)
app.command()(doctor.doctor)


def main() -> None:
    """Run the command line; an error of ours is one message, never a traceback."""
    # Dagster's word on its own API, said to whoever writes assets; not to whoever asks for a table.
    warnings.filterwarnings("ignore", message=".* is currently in (beta|preview)")
    try:
        status = get_command(app).main(prog_name="ai-how", standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]  # only its subclasses are raised
        sys.exit(WRONG_USAGE)
    except (AiHowError, ResourceError) as error:
        Console(stderr=True, soft_wrap=True).print(f"ai-how: {error}", markup=False, style="red")
        sys.exit(CANNOT_TELL)
    sys.exit(status or 0)
