"""Nothing stays of a lab that served a model."""

import pytest

from tests.integration.serving.object_store import published
from tests.lab.conftest import lab_directory
from tests.lab.inference_services import ensure_account, inference_service, is_ready, wait_until
from tests.lab.kserve import apply
from tests.lab.kserve_lab import ensure_kserve_lab
from tests.lab.lab import bring_up
from tests.lab.traces import look
from tests.sample_checkpoints import mlflow_checkpoint


@pytest.mark.slow
@pytest.mark.usefixtures("poor_machine")
def test_a_lab_that_serves_a_model_leaves_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = mlflow_checkpoint(tmp_path_factory.mktemp("root"), "digits", "run", seal=False)
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    before = look()
    lab = bring_up(lab_directory(), keep=False)
    try:
        kserve_lab = ensure_kserve_lab(lab)
        ensure_account(kserve_lab)
        prefix, _ = published(kserve_lab.publisher, "digits", files)
        apply(lab, [inference_service("stays", f"s3://models/{prefix}")])
        wait_until(kserve_lab, "stays", lambda found, _: is_ready(found))
    finally:
        lab.down()
    assert not lab.directory.exists()
    assert look() == before
