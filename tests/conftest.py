"""What holds for every test: how tests share processes, and that a skip in CI is a failure."""

import os
from pathlib import Path

import pytest

LAB = Path(__file__).parent / "lab"


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
