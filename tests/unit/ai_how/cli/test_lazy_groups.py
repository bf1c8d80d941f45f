"""A group of commands is imported when it is asked for, and not before."""

import subprocess
import sys

SLOW = ("sqlalchemy", "platform_assets.lineage", "platform_assets.models", "dagster", "mlflow")


def test_judging_a_file_imports_nothing_slow() -> None:
    code = (
        "import sys\n"
        "from ai_how.cli.main import main\n"
        "sys.argv = ['ai-how', 'config', 'validate', 'config/templates/minimal.yaml']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        f"print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == "[]"
