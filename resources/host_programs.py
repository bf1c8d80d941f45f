"""Programs of the host that are asked for their version; one that is not installed is None."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from resources.host_files import FactUnread

# Takes a command line; gives what the program printed, or None where there is no such program.
Ask = Callable[[Sequence[str]], str | None]

_TIMEOUT_S = 10.0
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)?")
# libvirt is one daemon or several; where both are installed they are of one version.
LIBVIRT = ("virtqemud", "libvirtd")
QEMU = ("qemu-system-x86_64",)
ANSIBLE = ("ansible",)


def ask_program(command: Sequence[str]) -> str | None:
    """Run `command` and return what it printed; None where it is not installed.

    Daemons are looked for where an ordinary user's PATH does not reach, and Ansible beside the
    interpreter that runs.

    Raises:
        FactUnread: it cannot be started, fails, or does not answer within ten seconds.
    """
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    )
    program = shutil.which(command[0], path=path)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            check=True,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        message = f"{program}: no answer within {_TIMEOUT_S:.0f} s"
        raise FactUnread(message) from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip()[-200:]
        message = f"{program}: exit code {error.returncode}: {said}"
        raise FactUnread(message) from error
    except OSError as error:
        message = f"{program}: cannot be started: {error}"
        raise FactUnread(message) from error
    return done.stdout


def version_of(programs: Sequence[str], ask: Ask) -> str | None:
    """Return the version of the first of `programs` that is installed; None where none is.

    Raises:
        FactUnread: the program could not be asked, or told no version.
    """
    for program in programs:
        told = ask([program, "--version"])
        if told is None:
            continue
        version = _VERSION.search(told)
        if version is None:
            message = f"{program} --version: expected a version, found {told[:80]!r}"
            raise FactUnread(message)
        return version[0]
    return None
