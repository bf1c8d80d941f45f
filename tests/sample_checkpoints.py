"""Real checkpoints for tests: a scikit-learn pipeline on digits, and what Oumi leaves behind."""

import json
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path

from platform_assets.models.seal import seal as seal_directory


@cache
def _trained(seed: int) -> Path:
    """Train and save once per process and seed; tests get copies."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    images, labels = load_digits(return_X_y=True)
    train_x, _, train_y, _ = train_test_split(images, labels, random_state=seed, test_size=0.25)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(
        train_x, train_y
    )
    kept = tempfile.TemporaryDirectory(prefix="ai-how-sample-")
    _KEPT.append(kept)
    target = Path(kept.name) / "model"
    mlflow.sklearn.save_model(
        pipeline,
        target,
        serialization_format="skops",
        signature=infer_signature(train_x, pipeline.predict(train_x)),
        pip_requirements=["scikit-learn", "skops"],
    )
    return target


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def mlflow_checkpoint(root: Path, model: str, run: str, seed: int = 0, seal: bool = True) -> Path:
    """Make `<root>/<model>/<run>`, an MLflow model directory saved as skops with a signature."""
    directory = root / model / run
    directory.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_trained(seed), directory)
    if seal:
        seal_directory(str(directory), training={"seed": seed, "metrics": {"accuracy": 0.96}})
    return directory


def safetensors(values: dict[str, list[float]]) -> bytes:
    """Return the bytes of a safetensors file that holds `values` as F32 vectors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, numbers in values.items():
        packed = struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {
            "dtype": "F32",
            "shape": [len(numbers)],
            "data_offsets": [len(data), len(data) + len(packed)],
        }
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def huggingface_checkpoint(
    root: Path, model: str, run: str, seal: bool = True, sharded: bool = False
) -> Path:
    """Make `<root>/<model>/<run>` as an Oumi fine-tuning leaves it: the model and all the rest."""
    directory = root / model / run
    directory.mkdir(parents=True)
    _tiny_model(directory, sharded)
    inner = directory / "checkpoint-10"
    inner.mkdir()
    _tiny_model(inner, sharded=False)
    for place in (inner, directory):
        (place / "training_args.bin").write_bytes(b"PK\x03\x04 pickled arguments")
        (place / "trainer_state.json").write_text('{"global_step": 10}')
    (inner / "optimizer.pt").write_bytes(b"\x80\x02 optimizer")
    (inner / "rng_state.pth").write_bytes(b"\x80\x02 random state")
    (inner / "scheduler.pt").write_bytes(b"\x80\x02 scheduler")
    for name, text in {
        "telemetry/world_size.json": '{"world_size": 1}',
        "telemetry/training_config.yaml": "model: {}\n",
        "telemetry/devices_info.txt": "cpu\n",
        "logs/rank_0000.log": "trained\n",
        "metrics_rank0000.jsonl": '{"loss": 1.0}\n',
        "README.md": "# A tiny model\n",
    }.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    if seal:
        seal_directory(str(directory), training={"job_id": "4711", "seed": 1})
    return directory


def _tiny_model(directory: Path, sharded: bool) -> None:
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4}
    for name, content in {
        "config.json": config,
        "generation_config.json": {"max_new_tokens": 8},
        "tokenizer.json": {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}},
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"},
    }.items():
        (directory / name).write_text(json.dumps(content))
    (directory / "chat_template.jinja").write_text("{{ messages }}\n")
    if not sharded:
        (directory / "model.safetensors").write_bytes(safetensors({"w": [1.0, 2.0], "b": [0.5]}))
        return
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    (directory / shards[0]).write_bytes(safetensors({"w": [1.0, 2.0]}))
    (directory / shards[1]).write_bytes(safetensors({"b": [0.5]}))
    index = {"metadata": {"total_size": 12}, "weight_map": {"w": shards[0], "b": shards[1]}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
