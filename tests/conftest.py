"""What holds for every test: no time limits, who shares a process, no skip in CI."""

import os
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# A machine that is busy with other things is no failure of what is tested.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


class FilesAndLab(LoadScopeScheduling):
    """Keeps a file's tests in one process and in their order, and all that use the lab."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "lab" if file.startswith("tests/lab/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndLab | None:
    """Take it for `--dist loadfile`; reference: pytest-xdist, `make_scheduler`.

    Its own `loadgroup` does nothing with pytest 9.2.
    """
    return FilesAndLab(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session for its skips: in CI a missing component is no excuse."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
