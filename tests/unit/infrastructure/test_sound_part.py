"""An asset made from an offending part fails with the findings; others go on."""

import dagster as dg

from platform_assets.infrastructure.capacity_plan import capacity_plan_of
from resources.host import Host
from tests.unit.infrastructure.test_estate_asset import SOUND, applied

TWICE = SOUND.replace("192.168.200.11", "192.168.200.10")


def materialized(text, tmp_path):
    estate = applied(SOUND, tmp_path)
    # As a table or the host may change after an estate was applied, here the estate itself does.
    wrong = applied_without_judging(text, tmp_path, estate)
    return dg.materialize(
        [capacity_plan_of(wrong)], resources={"host": Host()}, raise_on_error=False
    )


def applied_without_judging(text, tmp_path, estate):
    from platform_assets.spec.canonical import canonical
    from platform_assets.spec.loading.load import load

    loaded = load(text.encode(), str(tmp_path / "lab.yaml"), {})
    assert loaded.estate is not None
    return estate.model_copy(update={"declared": canonical(loaded.estate)})


def test_a_sound_part_is_planned(tmp_path):
    assert materialized(SOUND, tmp_path).success


def test_an_offending_part_fails_with_the_findings_and_makes_nothing(tmp_path):
    result = materialized(TWICE, tmp_path)
    assert not result.success
    assert result.get_asset_materialization_events() == []
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert "192.168.200.10" in told.description
    assert "[duplicate-ip]" in told.description
    assert told.metadata["findings"].records
    assert failure.step_failure_data.error.cls_name == "Failure"


def test_what_is_wrong_elsewhere_does_not_matter(tmp_path):
    text = SOUND.replace("virbr200", "a-bridge-name-much-too-long")
    assert materialized(text, tmp_path).success
