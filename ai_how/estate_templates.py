"""The commented templates of `config/templates`, and writing one of them for a person to edit."""

import os
from pathlib import Path

from ai_how.estate_file import PROJECT
from platform_assets.spec.errors import AiHowError

TEMPLATES = PROJECT / "config" / "templates"
SCHEMA = PROJECT / "config" / "estate.schema.json"
_MODELINE = "# yaml-language-server: $schema="


class TemplateUnknown(AiHowError):
    """There is no template of that name."""


class TemplateNotWritten(AiHowError):
    """A file stands where a template should be written, or cannot be made there."""


def template_names() -> list[str]:
    """Return the names of all templates."""
    return sorted(file.stem for file in TEMPLATES.glob("*.yaml"))


def write_template(name: str, file: Path) -> None:
    """Write the template to `file`; its first line names the JSON schema as seen from there.

    Raises:
        TemplateUnknown: with the names that there are.
        TemplateNotWritten: nothing is ever overwritten; or the file cannot be made.
    """
    if name not in template_names():
        message = f"{name!r}: no such template; choose one of {', '.join(template_names())}"
        raise TemplateUnknown(message)
    first, _, rest = (TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")
    if not first.startswith(_MODELINE):
        rest = f"{first}\n{rest}"
    folder = file.absolute().parent
    inside = folder.is_relative_to(PROJECT)  # then the two can move together
    schema = os.path.relpath(SCHEMA, folder) if inside else str(SCHEMA)
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(f"{_MODELINE}{schema}\n{rest}")
    except FileExistsError as error:
        message = f"{file}: it is there already; name another file, or move that one away"
        raise TemplateNotWritten(message) from error
    except OSError as error:
        message = f"{file}: it cannot be written ({error.strerror}); name another file"
        raise TemplateNotWritten(message) from error
