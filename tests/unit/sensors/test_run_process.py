import os
import subprocess
import sys

from sensors.run_process import belongs_to, is_gone, process_tag, start_ticks

RUN = "0b5f3c1e-1111-2222-3333-444444444444"
OTHER = "77aa3c1e-1111-2222-3333-444444444444"


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def _tag_of(pid: int) -> str:
    _, _, boot, run = process_tag(RUN).split(":")
    return f"{pid}:{start_ticks(pid)}:{boot}:{run}"


def test_a_process_that_runs_is_not_gone():
    assert not is_gone(process_tag(RUN))


def test_a_process_that_ended_is_gone_even_while_nobody_has_reaped_it():
    child = _sleeper()
    tag = _tag_of(child.pid)
    assert not is_gone(tag)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert is_gone(tag)
    child.communicate()
    assert is_gone(tag)


def test_the_same_process_id_with_another_start_time_is_another_process():
    pid, ticks, boot, run = process_tag(RUN).split(":")
    assert is_gone(f"{pid}:{int(ticks) - 1}:{boot}:{run}")


def test_the_same_process_id_and_time_in_another_boot_is_another_process():
    pid, ticks, _boot, run = process_tag(RUN).split(":")
    assert is_gone(f"{pid}:{ticks}:00000000:{run}")


def test_a_tag_copied_to_the_run_that_retries_does_not_belong_to_it():
    tag = process_tag(RUN)
    assert belongs_to(tag, RUN)
    assert not belongs_to(tag, OTHER)
    assert not belongs_to(None, RUN)
    assert not belongs_to("4711", RUN)
