"""One inference request built from what a model says of its inputs, to prove that it answers.

The values are ones and mean nothing. Text has no harmless value, so that a model which takes text
is not asked. Reference: Open Inference Protocol v2, tensor data types.
"""

import math
from collections.abc import Mapping
from typing import Any

_VALUES: dict[str, bool | int | float] = {
    "BOOL": True,
    **dict.fromkeys(("UINT8", "UINT16", "UINT32", "UINT64"), 1),
    **dict.fromkeys(("INT8", "INT16", "INT32", "INT64"), 1),
    **dict.fromkeys(("FP16", "FP32", "FP64"), 1.0),
}
_MAX_VALUES = 2**20


def smoke_request(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a request for one row, or None where the inputs do not tell what would be right."""
    inputs = [_tensor(described) for described in metadata.get("inputs") or ()]
    tensors = [tensor for tensor in inputs if tensor is not None]
    if not tensors or len(tensors) != len(inputs):
        return None
    return {"inputs": tensors}


def _tensor(described: Mapping[str, Any]) -> dict[str, Any] | None:
    value = _VALUES.get(str(described.get("datatype")))
    shape = [max(1, int(size)) for size in described.get("shape") or ()]
    count = math.prod(shape)
    if value is None or count > _MAX_VALUES:
        return None
    return {
        "name": described["name"],
        "datatype": described["datatype"],
        "shape": shape,
        "data": [value] * count,
    }
