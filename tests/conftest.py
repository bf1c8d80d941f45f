"""What holds for every test: no time limits, who shares a process, no skip in CI."""

import os
from pathlib import Path

import hypothesis
import pytest

LAB = Path(__file__).parent / "lab"


# A machine that is busy with other things is no failure of what is tested.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, and all that use the lab: they share what they start.

    Reference: pytest-xdist, `--dist loadgroup`.
    """
    for item in items:
        group = "lab" if LAB in item.path.parents else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for its skips: in CI a missing component is no excuse."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
