"""Names, labels, quantities and durations as Kubernetes takes them."""

from fractions import Fraction

import pytest

from platform_assets.spec.kubernetes_names import (
    wrong_key,
    wrong_label_name,
    wrong_service_name,
    wrong_subdomain,
    wrong_value,
)
from platform_assets.spec.quantities import days_of, number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", Fraction(1)),
        ("500m", Fraction(1, 2)),
        ("0.5", Fraction(1, 2)),
        ("1k", Fraction(1000)),
        ("1e3", Fraction(1000)),
        ("1E-1", Fraction(1, 10)),
        ("1E", Fraction(10**18)),
        ("5u", Fraction(5, 10**6)),
        ("5n", Fraction(5, 10**9)),
        ("1Ki", Fraction(1024)),
        ("1M", Fraction(10**6)),
        ("1.5Mi", Fraction(3, 2) * 2**20),
        ("2G", Fraction(2 * 10**9)),
        ("2Gi", Fraction(2 * 2**30)),
        ("1Ti", Fraction(2**40)),
        ("1P", Fraction(10**15)),
        ("1Ei", Fraction(2**60)),
    ],
)
def test_a_quantity_is_a_number(text: str, number: Fraction) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize("text", ["", "x", "1ki", "--1", "1e", "1 Gi", "e3"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a Kubernetes quantity"):
        number_of(text)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("86400000ms", 1),
        ("86400s", 1),
        ("1440m", 1),
        ("36h", Fraction(3, 2)),
        ("30d", 30),
        ("2w", 14),
        ("1y", 365),
    ],
)
def test_a_duration_is_days(text: str, days: Fraction) -> None:
    assert days_of(text) == days


def test_names_end_where_kubernetes_ends_them() -> None:
    assert wrong_label_name("a" * 63) is None
    assert wrong_label_name("a" * 64) is not None
    assert wrong_label_name("a.b") is not None
    assert wrong_service_name("a1") is None
    assert wrong_service_name("1a") is not None
    assert wrong_service_name("a" * 63) is None
    assert wrong_service_name("a" * 64) is not None
    assert wrong_subdomain("1a.b-c") is None
    assert wrong_subdomain("a..b") is not None
    assert wrong_subdomain("a-.b") is not None
    assert wrong_subdomain("a" * 253) is None
    assert wrong_subdomain("a" * 254) is not None
    assert wrong_subdomain("a" * 64, 63) is not None


def test_labels_end_where_kubernetes_ends_them() -> None:
    assert wrong_key("nvidia.com/gpu.product") is None
    assert wrong_key("A_b.c-9") is None
    assert wrong_key("a" * 64) is not None
    assert wrong_key("a/b/c") is not None
    assert wrong_key("/a") is not None
    assert wrong_key("a/") is not None
    assert wrong_key("") is not None
    assert wrong_value("") is None
    assert wrong_value("A_b.c-9") is None
    assert wrong_value("a" * 64) is not None
    assert wrong_value("a b") is not None
    assert wrong_value("-a") is not None
