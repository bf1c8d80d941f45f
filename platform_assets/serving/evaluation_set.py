"""Rows of inputs with what is expected of a model: the files that gates name.

Two forms, told apart by the ending, UTF-8, at most 16 MiB and 10,000 rows:

* `.jsonl`: one object per line, `{"inputs": …, "expected": …, "name": "optional"}`. `inputs` is a
  list of numbers or texts (nested as the tensor is), or an object from input names to values;
  `expected` is the value of the one output, a list where it has several values, or an object from
  output names to these.
* `.csv`: a header; the column `expected`, an optional column `name`, and every other column an
  input. A value that reads as a number is one, `true` and `false` are truth values.

The SHA-256 of the file goes into every report. What a row becomes on the wire stands in
`evaluation_request.py`, what the answers are worth in `evaluation_metrics.py`.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platform_assets.spec.errors import AiHowError

MAX_BYTES: Final = 16 * 2**20
MAX_ROWS: Final = 10_000
_EXPECTED: Final = "expected"
_NAME: Final = "name"


class EvaluationSetRefused(AiHowError):
    """A file of rows that a gate names is missing, or is not what the format says."""


@dataclass(frozen=True)
class Row:
    """One request's inputs and the answer that is expected; `name` tells a person which row."""

    name: str
    inputs: Any
    expected: Any


@dataclass(frozen=True)
class EvaluationSet:
    """A file's rows, in its order, with the digest of its bytes."""

    file: str
    sha256: str
    rows: tuple[Row, ...]


def read_evaluation_set(folder: Path, file: str) -> EvaluationSet:
    """Read `file`, relative to `folder`.

    Raises:
        EvaluationSetRefused: names the file and line, what was expected and what was found.
    """
    where = folder / file
    try:
        with where.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        message = (
            f"{where}: the rows that a gate names cannot be read: {error.strerror}; put the file "
            "there, or mend `gates` in the serving file"
        )
        raise EvaluationSetRefused(message) from error
    if len(data) > MAX_BYTES:
        message = f"{where}: expected at most {MAX_BYTES} bytes, found more; take fewer rows"
        raise EvaluationSetRefused(message)
    rows = []
    for row in _rows(data, where):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            message = f"{where}: expected at most {MAX_ROWS} rows, found more; take fewer"
            raise EvaluationSetRefused(message)
    if not rows:
        raise EvaluationSetRefused(f"{where}: expected at least one row, found none; add some")
    return EvaluationSet(file, hashlib.sha256(data).hexdigest(), tuple(rows))


def _rows(data: bytes, where: Path) -> Iterator[Row]:
    readers = {".jsonl": _json_lines, ".csv": _csv}
    if where.suffix not in readers:
        message = f"{where}: expected a file ending in .jsonl or .csv; rename or convert it"
        raise EvaluationSetRefused(message)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{where}: expected UTF-8, found {error.reason} at byte {error.start}; convert it"
        raise EvaluationSetRefused(message) from error
    return readers[where.suffix](text, where)


def _json_lines(text: str, where: Path) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            message = f"{where}:{number}: expected one JSON object, found: {error}; mend the line"
            raise EvaluationSetRefused(message) from error
        keys = set(found) if isinstance(found, dict) else set()
        if not {"inputs", _EXPECTED} <= keys <= {"inputs", _EXPECTED, _NAME}:
            told = sorted(keys) if isinstance(found, dict) else type(found).__name__
            message = (
                f"{where}:{number}: expected an object with inputs, expected and at most a name, "
                f"found {told}; mend the line"
            )
            raise EvaluationSetRefused(message)
        yield Row(str(found.get(_NAME, f"line {number}")), found["inputs"], found[_EXPECTED])


def _no_constant(word: str) -> float:
    message = f"{word}, which is no JSON"
    raise ValueError(message)


def _csv(text: str, where: Path) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(lines, [])
        inputs = [name for name in header if name not in {_EXPECTED, _NAME}]
        if _EXPECTED not in header or not inputs or len(set(header)) != len(header):
            message = (
                f"{where}:1: expected a header of different names, one of them {_EXPECTED}, found "
                f"{','.join(header)[:200]!r}; mend the header"
            )
            raise EvaluationSetRefused(message)
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(header):
                message = (
                    f"{where}:{lines.line_num}: expected {len(header)} cells as the header has, "
                    f"found {len(cells)}; mend the line"
                )
                raise EvaluationSetRefused(message)
            row = dict(zip(header, cells, strict=True))
            name = row.get(_NAME) or f"line {lines.line_num}"
            values = {column: _value(row[column]) for column in inputs}
            yield Row(name, values, _value(row[_EXPECTED]))
    except csv.Error as error:
        message = f"{where}:{lines.line_num}: expected CSV, found: {error}; mend the line"
        raise EvaluationSetRefused(message) from error


def _value(cell: str) -> bool | int | float | str:
    if cell in {"true", "false"}:
        return cell == "true"
    for kind in (int, float):
        try:
            number = kind(cell)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return cell
