"""The estate's file is judged once for each edit, and not for being there."""

import dagster as dg
import pytest

from sensors.estate_file import estate_edited
from tests.applied_estates import applied_estate


@pytest.fixture
def estate(tmp_path):
    file = tmp_path / "lab.yaml"
    file.write_text("metadata: {name: lab}\n")
    return applied_estate(tmp_path, declared={"metadata": {"name": "lab"}}, source=file)


def tick(estate, cursor):
    """Return how many runs a tick asks for, and the cursor that it leaves."""
    context = dg.build_sensor_context(cursor=cursor, resources={"estate": estate})
    answer = estate_edited(context)
    if isinstance(answer, dg.SkipReason):
        return 0, context.cursor
    return len(answer.run_requests), answer.cursor


def test_the_first_look_asks_for_nothing_and_remembers(estate):
    asked, cursor = tick(estate, None)
    assert asked == 0
    assert cursor


def test_an_edit_is_judged_once(estate):
    _, cursor = tick(estate, None)
    estate.source.write_text("metadata: {name: other}\n")
    asked, edited = tick(estate, cursor)
    assert asked == 1
    assert tick(estate, edited) == (0, edited)


def test_a_file_that_vanishes_is_judged_and_so_is_its_return(estate):
    _, cursor = tick(estate, None)
    text = estate.source.read_text()
    for _ in range(2):
        estate.source.unlink()
        gone, cursor = tick(estate, cursor)
        estate.source.write_text(text)
        back, cursor = tick(estate, cursor)
        assert (gone, back) == (1, 1)
