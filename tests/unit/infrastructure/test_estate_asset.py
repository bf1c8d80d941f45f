"""The estate as an asset: what was applied, what the file says now, what becomes out of date."""

from pathlib import Path

import dagster as dg
import pytest

from platform_assets.infrastructure.estate import code_version, estate_asset_of, estate_findings
from platform_assets.infrastructure.estate_file import (
    EstateRefused,
    EstateUnreadable,
    judge_estate_file,
)
from platform_assets.spec.literal_secrets import without_literals
from resources.host import Host
from tests.applied_estates import applied_estate

SOUND = """\
metadata:
  name: lab
clusters:
  cloud:
    image: build/cloud.qcow2
    network: {subnet: 192.168.200.0/24, bridge: virbr200}
    control_plane: [{name: cp, ip: 192.168.200.10, cpu_cores: 2, memory_gb: 4, disk_gb: 40}]
    workers: [{name: worker, ip: 192.168.200.11, cpu_cores: 2, memory_gb: 5, disk_gb: 40}]
host: {cpu_cores: 32, memory_gb: 128, disk_gb: 2000}
"""


def judged(text, tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text(text)
    return judge_estate_file(file, {}, Host())


def applied(text, tmp_path):
    declared, _ = without_literals(judged(text, tmp_path).accepted(), tmp_path / "secrets")
    return applied_estate(tmp_path, declared=declared, source=tmp_path / "lab.yaml")


def checked(estate):
    result = estate_findings(estate, Host())
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_a_sound_file_passes_and_its_machines_are_shown(tmp_path):
    estate = applied(SOUND, tmp_path)
    assert checked(estate).passed
    done = dg.materialize([estate_asset_of(estate)])
    (materialized,) = done.asset_materializations_for_node("infrastructure__estate")
    rows = [record.data for record in materialized.metadata["machines"].records]
    assert [row["name"] for row in rows] == ["cp", "worker"]
    assert materialized.metadata["digest"].value == estate.part_digest()


def test_an_edit_that_is_wrong_fails_the_check_and_what_was_applied_stays(tmp_path):
    estate = applied(SOUND, tmp_path)
    estate.source.write_text(SOUND.replace("memory_gb: 4", "memroy_gb: 4"))
    result = checked(estate)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    told = [record.data for record in result.metadata["findings"].records]
    assert any("did you mean memory_gb" in row["message"] and row["line"] == 7 for row in told)
    assert estate.estate.clusters.cloud.control_plane[0].memory_gb == 4


def test_a_sound_edit_that_was_not_applied_is_told(tmp_path):
    estate = applied(SOUND, tmp_path)
    estate.source.write_text(SOUND.replace("memory_gb: 4", "memory_gb: 8"))
    assert "ai-how config apply" in checked(estate).description


def test_a_file_that_is_gone_fails_the_check(tmp_path):
    estate = applied(SOUND, tmp_path)
    estate.source.unlink()
    result = checked(estate)
    assert not result.passed
    assert "cannot be read" in result.description


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(EstateUnreadable, match="ai-how config init"):
        judge_estate_file(tmp_path / "none.yaml", {}, Host())


def test_a_refusal_tells_every_error_with_its_line(tmp_path):
    found = judged(SOUND.replace("ip: 192.168.200.10", "ip: 10.0.0.1"), tmp_path)
    with pytest.raises(EstateRefused) as refusal:
        found.accepted()
    assert str(tmp_path / "lab.yaml") in str(refusal.value)
    assert "line 7" in str(refusal.value)


def test_layout_and_comments_leave_the_code_version_alone(tmp_path):
    other = SOUND.replace("cpu_cores: 2, memory_gb: 4", "memory_gb: 4.0, cpu_cores: 2") + "# end\n"
    assert code_version(applied(SOUND, tmp_path)) == code_version(applied(other, tmp_path))
    changed = SOUND.replace("memory_gb: 4", "memory_gb: 8")
    assert code_version(applied(SOUND, tmp_path)) != code_version(applied(changed, tmp_path))


def test_a_part_is_out_of_date_only_for_its_own_changes(tmp_path):
    before = applied(SOUND, tmp_path)
    after = applied(SOUND.replace("virbr200", "virbr201"), tmp_path)
    network, control_plane = (
        ("clusters", "cloud", "network"),
        ("clusters", "cloud", "control_plane"),
    )
    assert before.part_digest(network) != after.part_digest(network)
    assert before.part_digest(control_plane) == after.part_digest(control_plane)


def test_a_literal_secret_moves_into_a_file_of_its_own(tmp_path):
    text = SOUND.replace(
        "    control_plane",
        "    mlops: {minio: {credentials: {root_user: a, root_password: canary-1}}}\n"
        "    control_plane",
    )
    declared, files = without_literals(judged(text, tmp_path).estate, Path("/s"))
    credentials = declared["clusters"]["cloud"]["mlops"]["minio"]["credentials"]
    ((file, value),) = files.items()
    assert credentials["root_password"] == {"secret": {"file": str(file)}}
    assert value.get_secret_value() == "canary-1"
    assert "canary" not in str(declared)


def test_a_secret_among_keys_that_are_taken_as_they_are_moves_too(tmp_path):
    text = SOUND.replace(
        "disk_gb: 40}]\n    workers",
        "disk_gb: 40, munge: {key: canary-2, at: $$HOME, a: {token: [canary-3]}}}]\n    workers",
    )
    declared, files = without_literals(judged(text, tmp_path).estate, Path("/s"))
    munge = declared["clusters"]["cloud"]["control_plane"][0]["munge"]
    assert sorted(value.get_secret_value() for value in files.values()) == ["canary-2", "canary-3"]
    assert munge["at"] == "$HOME"
    assert "canary" not in str(declared)
