"""What a model's answers are worth: the metrics that an evaluation gate may name.

Defined as scikit-learn defines them, so that they can be compared with what training recorded.
Pure functions of expected and found values; which metrics there are stands in `spec/gates.py`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from platform_assets.serving.evaluation_request import DoesNotFit


def metric_value(metric: str, expected: Sequence[Any], found: Sequence[Any]) -> float:
    """Return the value of `metric`; where classes have one value each, the largest is the answer.

    Raises:
        DoesNotFit: the metric is not defined for such values.
    """
    if metric in _OF_CLASSES:
        answers = [_class(value) for value in found]
        return _OF_CLASSES[metric]([_class(value) for value in expected], answers)
    return _OF_NUMBERS[metric](
        [_number(value, "expected") for value in expected],
        [_number(value, "answered") for value in found],
    )


def _class(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        message = f"expected one output, the model answers several: {', '.join(value)}"
        raise DoesNotFit(message)
    if isinstance(value, list):
        numbers = [_number(one, "answered") for one in value]
        return numbers.index(max(numbers))
    return value


def _number(value: Any, what: str) -> float:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"expected numbers, {what}: {str(value)[:80]!r}"
        raise DoesNotFit(message)
    return float(value)


def _accuracy(expected: Sequence[Any], found: Sequence[Any]) -> float:
    right = [bool(one == other) for one, other in zip(expected, found, strict=True)]
    return sum(right) / len(right)


def _balanced_accuracy(expected: Sequence[Any], found: Sequence[Any]) -> float:
    pairs = list(zip(expected, found, strict=True))
    recalls: list[float] = []
    for one in set(expected):
        of_class = [bool(answer == one) for wanted, answer in pairs if wanted == one]
        recalls.append(sum(of_class) / len(of_class))
    return sum(recalls) / len(recalls)


def _f1_macro(expected: Sequence[Any], found: Sequence[Any]) -> float:
    pairs = list(zip(expected, found, strict=True))
    scores: list[float] = []
    for one in {*expected, *found}:
        right = sum(bool(wanted == one and answer == one) for wanted, answer in pairs)
        either = sum(bool(value == one) for pair in pairs for value in pair)
        scores.append(2 * right / either)
    return sum(scores) / len(scores)


def _mean_absolute_error(expected: Sequence[float], found: Sequence[float]) -> float:
    return sum(abs(one - other) for one, other in zip(expected, found, strict=True)) / len(expected)


def _mean_squared_error(expected: Sequence[float], found: Sequence[float]) -> float:
    return _squares(expected, found) / len(expected)


def _squares(expected: Sequence[float], found: Sequence[float]) -> float:
    missed = (one - other for one, other in zip(expected, found, strict=True))
    return sum(one * one for one in missed)  # a power would raise where a product overflows


def _root_mean_squared_error(expected: Sequence[float], found: Sequence[float]) -> float:
    return math.sqrt(_mean_squared_error(expected, found))


def _r2(expected: Sequence[float], found: Sequence[float]) -> float:
    mean = sum(expected) / len(expected)
    spread = _squares(expected, [mean] * len(expected))
    if spread == 0:
        raise DoesNotFit("r2 is not defined where all expected values are equal")
    return 1 - _squares(expected, found) / spread


_OF_CLASSES: Final[dict[str, Callable[[Sequence[Any], Sequence[Any]], float]]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
}
_OF_NUMBERS: Final[dict[str, Callable[[Sequence[float], Sequence[float]], float]]] = {
    "r2": _r2,
    "mean_absolute_error": _mean_absolute_error,
    "mean_squared_error": _mean_squared_error,
    "root_mean_squared_error": _root_mean_squared_error,
}
