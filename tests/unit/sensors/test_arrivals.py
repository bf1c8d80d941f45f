import os
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from platform_assets import keys
from platform_assets.partitions import CHECKPOINTS
from platform_assets.serving.delivery_job import deliver_checkpoint
from sensors import arrivals as module
from sensors.arrivals import MAX_REQUESTS, arrivals
from tests.applied_estates import applied_estate
from tests.sample_checkpoints import huggingface_checkpoint


@dg.observable_source_asset(key=keys.TRAINED_CHECKPOINT, partitions_def=CHECKPOINTS)
def trained_checkpoint():
    return dg.DataVersionsByPartition({})


def _asset(key, upstream):
    @dg.asset(key=key, deps=[upstream], partitions_def=CHECKPOINTS)
    def step():
        return None

    return step


# A delivery leaves these out, so they must be there.
VERIFIED = [
    dg.asset_check(asset=key, name=keys.VERIFIED_CHECK)(lambda: dg.AssetCheckResult(passed=True))
    for key in (keys.PUBLISHED_COPY, keys.REGISTERED_VERSION, keys.ENDPOINT)
]
DEFS = dg.Definitions(
    assets=[
        trained_checkpoint,
        _asset(keys.PUBLISHED_COPY, keys.TRAINED_CHECKPOINT),
        _asset(keys.REGISTERED_VERSION, keys.PUBLISHED_COPY),
        _asset(keys.ENDPOINT, keys.REGISTERED_VERSION),
    ],
    asset_checks=VERIFIED,
    jobs=[deliver_checkpoint],
    sensors=[arrivals],
)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture(scope="session")
def answering_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: nobody else takes it
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.fixture
def estate(tmp_path, answering_url):
    (tmp_path / "root").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "serving.yaml").write_text("models: {digits: {endpoint: numbers}}\n")
    return applied_estate(
        tmp_path / "state",
        url=answering_url,
        checkpoint_root=tmp_path / "root",
        serving_file=tmp_path / "serving.yaml",
    )


class Daemon:
    """Ticks the sensor as Dagster's daemon does: what a tick asks for is done, then committed."""

    def __init__(self, instance, estate):
        self.instance, self.estate = instance, estate
        self.cursor = None
        self.run_keys: Counter[str] = Counter()
        self.observed: Counter[str] = Counter()

    def tick(self, dies_before_commit=False):
        with dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            definitions=DEFS,
            resources={"estate": self.estate},
            cursor=self.cursor,
        ) as context:
            data = arrivals.evaluate_tick(context)
        if not dies_before_commit:
            for event in data.asset_events:
                self.instance.report_runless_asset_event(event)
                self.observed[event.partition] += 1
            for request in data.dynamic_partitions_requests:
                name = request.partitions_def_name
                self.instance.add_dynamic_partitions(name, request.partition_keys)
            self.run_keys.update(r.run_key for r in data.run_requests)
            self.cursor = data.cursor
        return data


@pytest.fixture
def daemon(estate):
    with dg.instance_for_test() as instance:
        yield Daemon(instance, estate)


def _checkpoint(estate, model, run, seal=True):
    return huggingface_checkpoint(estate.checkpoint_root, model, run, seal=seal)


def _told(capfd):
    return [line for line in capfd.readouterr().err.splitlines() if "is not taken" in line]


def test_a_sealed_checkpoint_is_observed_partitioned_and_asked_for_once(daemon, estate):
    _checkpoint(estate, "digits", "run-1")
    data = daemon.tick()
    (request,) = data.run_requests
    key = request.partition_key
    assert key.startswith("digits.run-1.")
    assert request.run_key == f"{key}:attempt1"
    expected = {keys.CHECKPOINT_TAG: key, keys.ATTEMPT_TAG: "1", keys.ENDPOINT_TAG: "numbers"}
    assert expected.items() <= dict(request.tags).items()
    (event,) = data.asset_events
    assert event.tags["dagster/data_version"].startswith(key[-12:])
    assert not daemon.tick().run_requests
    assert daemon.instance.get_dynamic_partitions("checkpoints") == [key]


def test_a_model_that_is_not_served_is_asked_for_without_an_endpoint(daemon, estate):
    _checkpoint(estate, "letters", "run-1")
    (request,) = daemon.tick().run_requests
    assert keys.ENDPOINT_TAG not in request.tags


def test_two_checkpoints_of_one_endpoint_are_both_asked_for(daemon, estate):
    _checkpoint(estate, "digits", "run-1")
    _checkpoint(estate, "digits", "run-2")
    requests = daemon.tick().run_requests
    assert [r.tags[keys.ENDPOINT_TAG] for r in requests] == ["numbers", "numbers"]


def test_a_directory_without_a_marker_is_waited_for(daemon, estate):
    directory = _checkpoint(estate, "digits", "run-1", seal=False)
    assert "1 directories have no marker" in daemon.tick().skip_message
    seal_now(directory)
    assert len(daemon.tick().run_requests) == 1


def seal_now(directory):
    from platform_assets.models.seal import seal

    seal(str(directory))


def test_sealing_anew_is_a_new_checkpoint_and_a_touched_marker_is_not(daemon, estate):
    directory = _checkpoint(estate, "digits", "run-1")
    daemon.tick()
    os.utime(directory / "_COMPLETE.json")
    assert not daemon.tick().run_requests
    (directory / "_COMPLETE.json").unlink()
    assert not daemon.tick().run_requests
    (directory / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    seal_now(directory)
    assert len(daemon.tick().run_requests) == 1
    assert len(daemon.run_keys) == 2


def test_a_refused_checkpoint_is_told_once_and_taken_when_it_is_sealed_anew(daemon, estate, capfd):
    directory = _checkpoint(estate, "digits", "run-1")
    (directory / "extra.py").write_text("import os")
    daemon.tick()
    daemon.tick()
    (told,) = _told(capfd)
    assert "digits/run-1 is not taken" in told
    assert "extra.py" in told
    (directory / "extra.py").unlink()
    (directory / "_COMPLETE.json").unlink()
    seal_now(directory)
    assert len(daemon.tick().run_requests) == 1


def test_a_refused_checkpoint_is_looked_at_again_in_silence(daemon, estate, capfd, monkeypatch):
    monkeypatch.setattr(module, "REFUSED_AGAIN_S", 0.0)
    directory = _checkpoint(estate, "digits", "run-1")
    directory.chmod(0o777)
    for _ in range(3):
        assert not daemon.tick().run_requests
    assert len(_told(capfd)) == 1
    directory.chmod(0o755)
    assert len(daemon.tick().run_requests) == 1


def test_a_tick_that_dies_before_it_is_committed_loses_no_run_and_makes_no_second(daemon, estate):
    _checkpoint(estate, "digits", "run-1")
    assert len(daemon.tick(dies_before_commit=True).run_requests) == 1
    assert len(daemon.tick().run_requests) == 1
    assert not daemon.tick().run_requests


def test_a_lost_memory_makes_no_other_run_key_and_no_second_observation(daemon, estate):
    _checkpoint(estate, "digits", "run-1")
    daemon.tick()
    (estate.state / "sensors" / "arrivals.sqlite").unlink()
    daemon.tick()
    assert len(daemon.run_keys) == 1
    assert list(daemon.observed.values()) == [1]


def test_many_checkpoints_are_asked_for_a_part_at_a_time_until_none_is_left(daemon, estate):
    runs = MAX_REQUESTS + 7
    for n in range(runs):
        _checkpoint(estate, "digits", f"run-{n}")
    assert len(daemon.tick().run_requests) == MAX_REQUESTS
    assert len(daemon.tick().run_requests) == 7
    assert not daemon.tick().run_requests
    assert len(daemon.run_keys) == runs
    assert set(daemon.run_keys.values()) == {1}


def test_a_tick_out_of_time_goes_on_where_it_stopped(daemon, estate, monkeypatch):
    for n in range(3):
        _checkpoint(estate, "digits", f"run-{n}")
    real = module.judge_checkpoint
    over = threading.Event()

    def slow(*args):
        over.set()
        return real(*args)

    monkeypatch.setattr(module, "judge_checkpoint", slow)
    monkeypatch.setattr(module.World, "is_over", lambda _world: over.is_set())
    for _ in range(3):
        over.clear()
        assert len(daemon.tick().run_requests) == 1
    assert len(daemon.run_keys) == 3


def test_a_part_that_is_down_makes_the_sensor_skip_and_costs_nothing(daemon, estate, closed_url):
    _checkpoint(estate, "digits", "run-1")
    up = daemon.estate
    addresses = up.addresses.model_copy(update={"s3_url": closed_url})
    daemon.estate = up.model_copy(update={"addresses": addresses})
    data = daemon.tick()
    assert not data.run_requests
    assert "1 directories wait to be judged: the object store does not answer" in data.skip_message
    daemon.estate = up
    (request,) = daemon.tick().run_requests
    assert request.run_key.endswith(":attempt1")


def test_a_root_that_cannot_be_listed_makes_the_sensor_skip_with_the_reason(daemon, estate):
    _checkpoint(estate, "digits", "run-1")
    daemon.tick()
    estate.checkpoint_root.rename(estate.checkpoint_root.with_name("away"))
    assert "cannot be listed" in daemon.tick().skip_message
    estate.checkpoint_root.with_name("away").rename(estate.checkpoint_root)
    assert not daemon.tick().run_requests
    assert len(daemon.run_keys) == 1


def test_a_broken_serving_file_makes_the_sensor_skip_with_the_reason(daemon, estate):
    estate.serving_file.write_text("models: {digits: {endpont: numbers}}\n")
    assert "serving.yaml:1: models.digits.endpoint" in daemon.tick().skip_message


def test_ten_thousand_known_checkpoints_cost_one_stat_each_and_a_small_cursor(
    daemon, estate, monkeypatch
):
    for model in ("digits", "letters"):
        for n in range(5000):
            directory = estate.checkpoint_root / model / f"run-{n}"
            directory.mkdir(parents=True)
            (directory / "_COMPLETE.json").touch()
    serving = module.read_serving(estate.serving_file)
    names = module.listed_directories(estate.checkpoint_root)
    rules = {m: module._rules(serving.for_model(m)) for m in ("digits", "letters")}
    daemon.tick()  # the first tick of all begins without a memory
    memory = module.ArrivalMemory(estate.state / "sensors" / "arrivals.sqlite")
    memory.remember(
        (name, module.Remembered(marker, rules[name.split("/")[0]], key, reason, 1e12), None)
        for n, name in enumerate(names)
        if (marker := module.observed_marker(f"{estate.checkpoint_root}/{name}"))
        for key, reason in [(f"k{n}", None) if n % 2 else (None, "refused")]
    )
    stats: Counter[str] = Counter()
    real = os.stat

    def counting(path, **options):
        stats[str(path)] += str(path).startswith(str(estate.checkpoint_root / "digits/"))
        stats[str(path)] += str(path).startswith(str(estate.checkpoint_root / "letters/"))
        return real(path, **options)

    monkeypatch.setattr(os, "stat", counting)
    data = daemon.tick()
    monkeypatch.undo()
    assert not data.run_requests
    assert sum(stats.values()) == 10_000
    assert max(stats.values()) == 1
    assert len(data.cursor) < 200
