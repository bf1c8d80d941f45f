"""A real API server with etcd for the tests of the connection: no node, no controller, no root."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.api_server import ApiServer

# Nobody makes the service accounts that this plugin wants every pod to have.
NO_CONTROLLERS = ("--disable-admission-plugins=ServiceAccount",)


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """Return an API server that all tests share; who stops it starts it again."""
    with (
        tempfile.TemporaryDirectory(prefix="ai-how-api-") as directory,
        ApiServer(Path(directory), flags=NO_CONTROLLERS) as server,
    ):
        yield server
