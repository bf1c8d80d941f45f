"""Versions and ranges as people write them, and the form that goes to Ansible."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.spec.versions import (
    Range,
    VersionRefused,
    is_complete,
    kubespray_form,
    normalised,
    number,
)


@pytest.mark.parametrize(
    ("component", "text", "expected"),
    [
        ("kubernetes", "v1.28.0", "1.28.0"),
        ("kubernetes", "1.28", "1.28"),
        ("calico", " v3.30.3 ", "3.30.3"),
        ("nvidia_driver", "535.129.03", "535.129.03"),
        ("gpu_operator", "V23.9.0", "23.9.0"),
        ("os", "Debian 13 (Trixie)", "debian 13"),
        ("os", "debian-12", "debian 12"),
        ("os", "ubuntu22.04", "ubuntu 22.04"),
        ("minio", "RELEASE.2023-12-02T10-51-33Z", "RELEASE.2023-12-02T10-51-33Z"),
    ],
)
def test_versions_are_normalised(component: str, text: str, expected: str) -> None:
    assert normalised(component, text) == expected
    assert normalised(component, expected) == expected


@pytest.mark.parametrize(
    ("component", "text", "message"),
    [
        ("kserve", "0.11.x", "expected a version such as 1.35.4, v1.35.4 or 1.35, found '0.11.x'"),
        ("kubespray", "v2.29.0+", "expected a version such as 1.35.4, v1.35.4 or 1.35, found"),
        ("mlflow", "latest", "expected a version such as 1.35.4, v1.35.4 or 1.35, found 'latest'"),
        ("mlflow", "", "expected a version such as 1.35.4, v1.35.4 or 1.35, found ''"),
        ("mlflow", "debian 13", "expected a version such as 1.35.4, v1.35.4 or 1.35, found"),
        ("mlflow", "1.2.3.4.5.6.7", "expected a version of at most 6 plain numbers, found"),
        ("mlflow", "1!3.17.2", "expected a version of at most 6 plain numbers, found '1!3.17.2'"),
        ("os", "13", "expected a system with its version such as debian 13, found '13'"),
        ("minio", "2023.12", "expected a release such as RELEASE.2025-09-07T16-13-09Z, found"),
    ],
)
def test_what_is_no_version_is_refused(component: str, text: str, message: str) -> None:
    with pytest.raises(VersionRefused, match=f"^{re.escape(message)}"):
        normalised(component, text)


@given(st.text(max_size=20))
def test_any_text_is_a_version_or_refused(text: str) -> None:
    try:
        once = normalised("kubernetes", text)
    except VersionRefused:
        return
    assert normalised("kubernetes", once) == once


def test_the_order_is_that_of_numbers_and_of_minios_dates() -> None:
    assert number("1.9.0") < number("v1.10.0")
    assert number("RELEASE.2024-10-02T17-50-41Z") < number("RELEASE.2025-01-20T14-49-07Z")


@pytest.mark.parametrize(
    ("component", "version", "kubespray", "expected"),
    [
        ("kubernetes", "v1.30.4", "v2.27.1", "v1.30.4"),
        ("kubernetes", "1.30.4", "2.27.1", "v1.30.4"),
        ("calico", "3.28.1", "v2.26.0", "v3.28.1"),
        ("containerd", "v1.7.23", "v2.26.1", "1.7.23"),
        ("kubernetes", "v1.32.5", "v2.28.0", "1.32.5"),
        ("calico", "v3.30.3", "2.29.0", "3.30.3"),
        ("kubespray", "2.29.0", "2.29.0", "v2.29.0"),
    ],
)
def test_ansible_gets_the_form_of_its_kubespray(
    component: str, version: str, kubespray: str, expected: str
) -> None:
    assert kubespray_form(component, version, kubespray) == expected


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.31.0 - 1.31.13, 1.32", ["1.31.0", "1.31.13", "1.32.99", "1.31"], ["1.31.14", "1.33"]),
        ("1.25 - 1.27", ["1.25.0", "1.27.16", "1.27"], ["1.24.9", "1.28.0"]),
        ("2.17.3 - 2.17", ["2.17.3", "2.17.14"], ["2.17.2", "2.18.0"]),
        ("1.32 or newer", ["1.32.0", "9.9"], ["1.31.14"]),
        ("1.35 or older", ["1.35.4", "1.0"], ["1.36.0"]),
        ("debian 12, debian 13", ["debian 13", "debian 12.4"], ["ubuntu 12", "debian 11"]),
    ],
)
def test_ranges_include_both_ends(text: str, inside: list[str], outside: list[str]) -> None:
    versions = Range(text)
    assert [one for one in [*inside, *outside] if versions.has(number(one))] == inside
    assert (str(versions), versions) == (text, Range(text))


@pytest.mark.parametrize("text", ["", "1.2 -", "1.2,", "or newer", "new", "1 - 2 - 3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a range such as `1\.31\.0 - 1\.31\.13, 1\.32`"):
        Range(text)


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the lower version first, found '1\.3 - 1\.2'"):
        Range("1.3 - 1.2")
    with pytest.raises(ValueError, match=r"expected the lower version first, found 'debian 11 - "):
        Range("debian 11 - ubuntu 22.04")


def test_completeness_depends_on_the_component() -> None:
    assert is_complete("kubernetes", "1.28.0")
    assert not is_complete("kubernetes", "1.28")
    assert is_complete("postgresql", "15.4")
    assert is_complete("os", "debian 13")
    assert not is_complete("postgresql", "15")
