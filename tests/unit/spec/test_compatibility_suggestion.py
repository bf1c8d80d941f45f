"""What is proposed works, is maintained, changes little, and is proposed again."""

from datetime import date
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.spec.compatibility import COMPONENTS, DEFAULT_FILE, Pin, load_compatibility
from platform_assets.spec.compatibility_rules import END_OF_LIFE, check_compatibility
from platform_assets.spec.compatibility_suggestion import Suggestion, suggest
from platform_assets.spec.findings import errors

ROOT = Path(__file__).parents[3]
TABLE = load_compatibility((ROOT / DEFAULT_FILE).read_text(encoding="utf-8"), DEFAULT_FILE)
TODAY = date(2026, 11, 21)


def pins(versions: dict[str, str]) -> dict[str, Pin]:
    return {name: Pin(version, ("versions", name)) for name, version in versions.items()}


def proposed(today: date = TODAY, **versions: str) -> Suggestion:
    return suggest(pins(versions), TABLE, today)


def some_versions() -> st.SearchStrategy[dict[str, str]]:
    odd = st.sampled_from(["latest", "1.2", "99.0.0", "v1.28", "1.0.0rc1", ""])
    each = {
        name: st.one_of(st.sampled_from((*TABLE.releases[name], "v1.30.1")), odd)
        for name in COMPONENTS
    }
    return st.fixed_dictionaries({}, optional=each)


DAYS = st.dates(date(2023, 6, 1), date(2029, 12, 31))


@settings(max_examples=50)
@given(some_versions(), DAYS)
def test_what_is_proposed_has_no_error_and_no_end(versions: dict[str, str], today: date) -> None:
    found = check_compatibility(
        pins(proposed(today, **versions).versions), TABLE, today, production=True
    )
    assert errors(found) == []
    assert [finding for finding in found if finding.rule == END_OF_LIFE] == []


@settings(max_examples=50)
@given(some_versions(), DAYS)
def test_proposing_twice_changes_nothing(versions: dict[str, str], today: date) -> None:
    once = proposed(today, **versions)
    assert proposed(today, **once.versions) == Suggestion(once.versions, {})


@settings(max_examples=50)
@given(some_versions(), DAYS)
def test_every_difference_has_a_reason_and_nothing_else(
    versions: dict[str, str], today: date
) -> None:
    found = proposed(today, **versions)
    named = {*versions, *found.versions}
    assert set(found.reasons) <= named
    for name in named - set(found.reasons):
        assert found.versions[name].lower() == versions[name].lower().removeprefix("v")
    assert all(found.reasons.values())


def test_a_set_that_works_is_kept_as_it_is() -> None:
    assert proposed(**TABLE.recommended) == Suggestion(TABLE.recommended, {})


def test_only_what_must_change_does() -> None:
    found = proposed(**(TABLE.recommended | {"containerd": "2.2.3"}))
    assert found.versions == TABLE.recommended | {"containerd": "2.0.8"}
    assert found.reasons == {"containerd": "2.2.3 reached its end of life on 2026-11-06"}


def test_the_reason_of_a_contradiction_names_the_others() -> None:
    found = proposed(kubespray="2.29.0", kubernetes="1.35.4", calico="3.31.5")
    assert found.versions == {"kubespray": "2.31.0", "kubernetes": "1.35.4", "calico": "3.31.5"}
    assert found.reasons == {
        "kubespray": "2.29.0 does not go with Kubernetes 1.35.4, Calico 3.31.5"
    }


def test_without_kubespray_the_newest_is_put_in() -> None:
    found = proposed(kubernetes="1.36.4")
    assert found.versions == {"kubespray": "2.31.0", "kubernetes": "1.35.4"}
    assert found.reasons == {
        "kubespray": "no version is named; the newest in the table is meant",
        "kubernetes": "1.36.4 does not go with Kubespray 2.31.0",
    }


def test_a_series_becomes_the_newest_release_that_can_be_installed() -> None:
    found = proposed(kubespray="2.31.0", kubernetes="1.35")
    assert found.versions["kubernetes"] == "1.35.4"
    assert found.reasons == {"kubernetes": "1.35 names no release"}


def test_ended_projects_are_replaced_or_left_out() -> None:
    found = proposed(minio="RELEASE.2025-10-15T17-29-55Z", ingress_nginx="1.15.1")
    assert found.versions == {"seaweedfs": "4.48"}
    assert found.reasons == {
        "ingress_nginx": (
            "1.15.1 reached its end of life on 2026-03-31; left out: use the Gateway API "
            "(gateway_api_enabled of Kubespray) with Envoy Gateway"
        ),
        "minio": (
            "RELEASE.2025-10-15T17-29-55Z reached its end of life on 2026-04-25; left out: use "
            "SeaweedFS 4.48, or another S3 that keeps conditional puts"
        ),
        "seaweedfs": "takes the place of MinIO",
    }


def test_what_takes_the_place_of_an_ended_project_is_kept_where_it_is_named() -> None:
    found = proposed(minio="RELEASE.2025-10-15T17-29-55Z", seaweedfs="4.39")
    kept = proposed(seaweedfs="4.39")
    assert found.versions == kept.versions


def test_what_is_no_version_becomes_the_recommended_one() -> None:
    found = proposed(kserve="0.11.x")
    assert found.versions == {"kserve": "0.20.0"}
    assert found.reasons == {
        "kserve": "expected a version such as 1.35.4, v1.35.4 or 1.35, found '0.11.x'"
    }


def test_where_nothing_is_maintained_the_component_is_left_out() -> None:
    found = proposed(date(2029, 12, 31), knative="1.23.0", os="debian 13")
    assert found.versions == {}
    assert found.reasons == {
        "os": "debian 13 reached its end of life on 2028-08-09; left out: no version that works",
        "knative": "1.23.0 reached its end of life on 2027-02-02; left out: no version that works",
    }


def test_a_project_that_has_not_ended_yet_is_kept() -> None:
    for release in ("RELEASE.2025-09-07T16-13-09Z", "RELEASE.2025-10-15T17-29-55Z"):
        assert proposed(date(2026, 1, 1), minio=release) == Suggestion({"minio": release}, {})
    left_out = proposed(date(2026, 1, 1), ingress_nginx="1.15.1", kubernetes="1.28.1")
    assert "left out: use the Gateway API" not in str(left_out.reasons)


def test_releases_that_only_a_range_names_are_known() -> None:
    assert {"1.28.12", "1.35.4"} <= set(TABLE.releases["kubernetes"])
    assert "1.6.28" in TABLE.releases["containerd"]
