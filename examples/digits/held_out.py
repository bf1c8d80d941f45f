"""Write the rows by which `config/serving.yaml` gates the digits model.

    python examples/digits/held_out.py FOLDER

The rows are the images that `train.py` never sees: all of them for the evaluation, and one clear
image of each digit as smoke requests. The format stands in `docs/serving.md`.
"""

import csv
import json
import sys
from pathlib import Path

from train import HELD_OUT_EVERY

EVALUATION, SMOKE = "digits.csv", "digits-smoke.jsonl"
# One image of each digit, 0 to 9, that models of fourteen seeds all read right.
CLEAR = (0, 70, 50, 60, 100, 230, 290, 240, 40, 220)


def write(folder: Path) -> None:
    """Write both files into `folder`; the same bytes each time."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    whole = [[int(value) for value in image] for image in images]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EVALUATION).open("w", encoding="utf-8", newline="") as opened:
        rows = csv.writer(opened, lineterminator="\n")
        rows.writerow([*(f"pixel_{number}" for number in range(64)), "expected"])
        rows.writerows(
            [*whole[row], int(labels[row])] for row in range(0, len(labels), HELD_OUT_EVERY)
        )
    with (folder / SMOKE).open("w", encoding="utf-8") as opened:
        for row in CLEAR:
            digit = int(labels[row])
            line = {"name": f"a clear {digit}", "inputs": whole[row], "expected": digit}
            opened.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
