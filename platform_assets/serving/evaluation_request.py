"""From rows to inference requests, and from answers back to one value per row.

What a model's inputs are is told by the server's metadata. Nothing is asked here. Reference: Open
Inference Protocol v2, tensors in row-major order.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from platform_assets.serving.evaluation_set import Row
from platform_assets.spec.errors import AiHowError

_TEXT: Final = "BYTES"


class DoesNotFit(AiHowError):
    """A row is none of this model's inputs, or an answer none for the rows that were sent."""


def takes_batches(metadata: Mapping[str, Any]) -> bool:
    """Say whether several rows may go in one request: every input's first size is left open."""
    shapes = [list(described.get("shape") or []) for described in metadata.get("inputs") or ()]
    return bool(shapes) and all(len(shape) > 1 and shape[0] < 0 for shape in shapes)


def inference_request(rows: Sequence[Row], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return one request that asks for all `rows`.

    Raises:
        DoesNotFit: the model has other inputs, or no signature that tells them.
    """
    described = metadata.get("inputs") or ()
    if not described:
        raise DoesNotFit("the model's signature tells no inputs; train it with a signature")
    return {"inputs": [_tensor(rows, one, len(described) == 1) for one in described]}


def _tensor(rows: Sequence[Row], described: Mapping[str, Any], only: bool) -> dict[str, Any]:
    name, datatype = str(described["name"]), str(described["datatype"])
    shape = [int(size) for size in described.get("shape") or ()]
    each = [_flat(_of_input(row, name, only)) for row in rows]
    size = math.prod(shape[1:])
    for row, values in zip(rows, each, strict=True):
        expected = size if size > 0 else len(each[0])
        if len(values) != expected:
            message = (
                f"{row.name}: input {name}: expected {expected} values, found {len(values)}: "
                "these rows are not for this model"
            )
            raise DoesNotFit(message)
    # A single size that is left open is what the values are.
    inner = shape[1:] if size > 0 or not shape[1:] else _closed(shape[1:], len(each[0]), name)
    return {
        "name": name,
        "datatype": datatype,
        "shape": [len(rows), *inner],
        "data": [_typed(value, datatype, name) for values in each for value in values],
    }


def _closed(shape: Sequence[int], count: int, name: str) -> list[int]:
    known = math.prod(size for size in shape if size > 0)
    if sum(size <= 0 for size in shape) != 1 or count % known:
        message = f"input {name}: {count} values do not fill the shape {list(shape)}"
        raise DoesNotFit(message)
    return [size if size > 0 else count // known for size in shape]


def _of_input(row: Row, name: str, only: bool) -> Any:  # noqa: ANN401 - any JSON
    if not isinstance(row.inputs, Mapping):
        if only:
            return row.inputs
        message = f"{row.name}: expected an object with a value for input {name}, found a list"
        raise DoesNotFit(message)
    if name in row.inputs:
        return row.inputs[name]
    if only:
        return list(row.inputs.values())
    message = f"{row.name}: expected a value for input {name}, found {', '.join(row.inputs)}"
    raise DoesNotFit(message)


def _flat(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, list):
        return [value]
    return [inner for one in value for inner in _flat(one)]


def _typed(value: Any, datatype: str, name: str) -> bool | int | float | str:  # noqa: ANN401
    if datatype == _TEXT:
        return value if isinstance(value, str) else str(value)
    if isinstance(value, bool | int | float):
        if datatype == "BOOL":
            return bool(value)
        if datatype.startswith("FP"):
            return float(value)
        if float(value).is_integer():
            return int(value)
    message = f"input {name}: expected values of {datatype}, found {value!r}"
    raise DoesNotFit(message)


def answered_rows(answer: Mapping[str, Any], count: int) -> list[Any]:
    """Return the answer to each of `count` rows: a value, a list of several, or one per output.

    Raises:
        DoesNotFit: the answer has no outputs, or not for so many rows.
    """
    outputs = answer.get("outputs") or ()
    if not outputs:
        raise DoesNotFit("the answer has no outputs")
    split = {str(output["name"]): _split(output, count) for output in outputs}
    if len(split) == 1:
        return next(iter(split.values()))
    return [{name: values[row] for name, values in split.items()} for row in range(count)]


def _split(output: Mapping[str, Any], count: int) -> list[Any]:
    data = _flat(output.get("data"))
    if not data or len(data) % count:
        message = f"output {output['name']} has {len(data)} values for {count} rows"
        raise DoesNotFit(message)
    each = len(data) // count
    if each == 1:
        return data
    return [data[row * each : (row + 1) * each] for row in range(count)]


def comes_out(expected: Any, found: Any, tolerance: float) -> bool:  # noqa: ANN401 - any JSON
    """Say whether an answer is the expected one; numbers may be off by `tolerance`."""
    if isinstance(expected, Mapping):
        return (
            isinstance(found, Mapping)
            and expected.keys() <= found.keys()
            and all(comes_out(value, found[name], tolerance) for name, value in expected.items())
        )
    if isinstance(expected, list):
        flat = _flat(expected)
        told = found if isinstance(found, list) else [found]
        return len(flat) == len(told) and all(
            comes_out(one, other, tolerance) for one, other in zip(flat, told, strict=True)
        )
    if _is_number(expected) and _is_number(found):
        return math.isclose(expected, found, rel_tol=0.0, abs_tol=tolerance)
    return type(expected) is type(found) and bool(expected == found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
