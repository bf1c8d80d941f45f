"""Commands that end: run with a time limit, and an error that shows what they said."""

import subprocess
from collections.abc import Sequence

LIMIT_S = 60.0


class LabFailed(Exception):
    """The lab cannot be started, used or taken down; the message says where and why."""


def run(*command: object, timeout_s: float = LIMIT_S, given: str | None = None) -> str:
    """Run a command and return what it wrote.

    Raises:
        LabFailed: it is not there, failed, or did not end in time.
    """
    words: Sequence[str] = [str(word) for word in command]
    line = " ".join(words)
    try:
        answer = subprocess.run(
            words, input=given, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        message = f"{words[0]}: no such program; `make lab-setup` installs what the lab needs"
        raise LabFailed(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"`{line}`: did not end within {timeout_s:g} s"
        raise LabFailed(message) from error
    if answer.returncode:
        said = (answer.stderr.strip() or answer.stdout.strip())[-2000:]
        message = f"`{line}` ended with {answer.returncode}: {said}"
        raise LabFailed(message)
    return answer.stdout
