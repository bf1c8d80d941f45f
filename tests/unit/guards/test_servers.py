"""What the guarded servers read, keep to themselves and refuse, without starting one."""

from pathlib import Path

import pytest

from ai_how.mlflow_server import CredentialsRefused, StoreAccess, read_login
from ai_how.model_server import without_secrets


def test_the_model_servers_environment_holds_no_secret() -> None:
    given = {
        "PATH": "/usr/bin",
        "LC_ALL": "C.UTF-8",
        "AI_HOW_STATE": "/state",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PGPASSWORD": "secret",
        "GITHUB_TOKEN": "secret",
        "MLSERVER_MODEL_IMPLEMENTATION": "somebody.Elses",
        "DATABASE_URL": "postgresql://u:secret@h/d",
    }
    kept = without_secrets(given)
    assert "secret" not in str(kept)
    assert kept["PATH"] == "/usr/bin"
    assert kept["AI_HOW_STATE"] == "/state"
    assert "MLSERVER_MODEL_IMPLEMENTATION" not in kept
    assert without_secrets(kept) == kept


def test_mlflows_own_credentials_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mlflow-credentials.ini"
    file.write_text("[mlflow]\nmlflow_tracking_username = ai-how\nmlflow_tracking_password = s3\n")
    login = read_login(file)
    assert (login.username, login.password) == ("ai-how", "s3")


@pytest.mark.parametrize(
    "text", ["", "hunter2", "[mlflow]\nmlflow_tracking_password = hunter2\n", "[mlflow\nhunter2"]
)
def test_a_broken_credentials_file_is_named_without_what_it_holds(
    tmp_path: Path, text: str
) -> None:
    file = tmp_path / "mlflow-credentials.ini"
    file.write_text(text)
    with pytest.raises(CredentialsRefused) as caught:
        read_login(file)
    assert str(file) in str(caught.value)
    assert "ai-how up" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_do_not_show_when_store_access_is_printed() -> None:
    access = StoreAccess("postgresql+psycopg2://x", "http://127.0.0.1:1", "key", "secret")
    assert "secret" not in repr(access)
