"""What holds for every test: where CI is set, a test that was skipped has failed."""

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for its skips: in CI a missing component is no excuse."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
