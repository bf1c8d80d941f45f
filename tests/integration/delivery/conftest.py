"""What the tests of deliveries share."""

import pytest

from resources.mlflow import Mlflow


@pytest.fixture(scope="session")
def mlflow(mlflow_server: Mlflow) -> Mlflow:
    return mlflow_server
