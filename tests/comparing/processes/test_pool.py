"""Processes that train at once: what they answer, and what becomes of them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from glasscell.comparing.models import Size
from glasscell.comparing.processes.messages import (
    Answer,
    ProbeOrder,
    TrainOrder,
    TuneOrder,
    answer_as_line,
    answer_of_line,
    order_as_line,
    order_of_line,
)
from glasscell.comparing.processes.pool import ProcessPool
from glasscell.comparing.trainings.timed import Limit

ADDING = {"task": "classic", "name": "adding", "T": 20}


def order(folder, seed=0, steps=2, **changes):
    (folder / "runs").mkdir(exist_ok=True)
    usual = TrainOrder(
        workload=ADDING, cell="gru", size=Size(4), seed=seed, limit=Limit(steps=steps),
        learning_rate=None, folder=str(folder), plan="p",
    )  # fmt: skip
    return replace(usual, **changes)


def test_messages_come_as_they_were_sent(tmp_path):
    size, limit = Size(4, 16, 0.1), Limit(seconds=0.5)
    for each in (
        order(tmp_path),
        ProbeOrder(ADDING, "gru", size),
        TuneOrder(ADDING, "gru", size, str(tmp_path), "s", 100, limit, 2.5),
    ):
        assert order_of_line(order_as_line(7, each)) == (7, each)
    for answer in (
        Answer("progress", part=0.5, score=1.25),
        Answer("done", result={"updates": 3}),
        Answer("failed", why="no memory"),
    ):
        assert answer_of_line(answer_as_line(3, answer)) == (3, answer)


def ended(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_answers_progress_and_errors(tmp_path):
    said = []
    orders = [
        order(tmp_path, 0, 30),
        order(tmp_path, 1, workload={**ADDING, "T": 3}),  # refused
        order(tmp_path, 2, cell="no such cell"),  # an error nobody foresaw
        order(tmp_path, 3),
    ]
    with ProcessPool(2) as pool:
        answers = dict(pool.each(orders, lambda k, answer: said.append((k, answer.event))))
        pids = [each._process.pid for each in pool._processes]
    assert [answers[k].event for k in range(4)] == ["done", "refused", "failed", "done"]
    assert answers[0].result["updates"] == 30
    assert answers[1].why.startswith("T: expected at least 20")
    assert "no such cell" in answers[2].why
    assert {(k, "begun") for k in range(4)} <= set(said)
    assert (0, "progress") in said
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "gru-seed0.json", "gru-seed0.safetensors", "gru-seed3.json", "gru-seed3.safetensors"
    ]  # fmt: skip
    assert len(pids) == 2
    assert all(map(ended, pids))


def test_a_process_that_is_killed_has_failed_and_the_others_go_on(tmp_path):
    killed = []

    with ProcessPool(1) as pool:

        def kill_the_first(k, answer):
            if k == 0 and answer.event == "progress" and not killed:
                killed.append(pool._processes[0]._process.pid)
                os.kill(killed[0], signal.SIGKILL)

        orders = [order(tmp_path, 0, 10**7), order(tmp_path, 1)]
        answers = dict(pool.each(orders, kill_the_first))
    assert answers[0] == Answer("failed", why="its process was killed (signal 9)")
    assert answers[1].event == "done"
    assert [p.name for p in (tmp_path / "runs").glob("*.json")] == ["gru-seed1.json"]


@pytest.mark.slow
def test_leaving_early_leaves_nobody(tmp_path):
    """As Ctrl-C does it: an exception while answers are waited for."""
    pids = []

    def stop_when_both_train(k, answer):
        if answer.event == "progress" and k == 1:
            pids.extend(each._process.pid for each in pool._processes)
            raise KeyboardInterrupt

    pool = ProcessPool(2)
    orders = [order(tmp_path, k, 10**7) for k in range(3)]
    with pytest.raises(KeyboardInterrupt), pool:
        list(pool.each(orders, stop_when_both_train))
    assert len(pids) == 2
    assert all(map(ended, pids))
    assert list((tmp_path / "runs").iterdir()) == []


PARENT = """
import sys
from glasscell.comparing.processes.messages import order_of_line
from glasscell.comparing.processes.pool import ProcessPool

def tell(k, answer):
    print(pool._processes[0]._process.pid, flush=True)

pool = ProcessPool(1)
list(pool.each([order_of_line(sys.argv[1])[1]], tell))
"""


def test_processes_end_with_who_started_them(tmp_path):
    """Even where that one is killed, and can tell nobody."""
    command = [sys.executable, "-c", PARENT, order_as_line(0, order(tmp_path, 0, 10**7))]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    assert ended(pid)
