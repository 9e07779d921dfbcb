"""Processes that train at once: what they answer, and what becomes of them."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from glasscell.comparing.workers import Workers

ADDING = {"task": "classic", "name": "adding", "T": 20}
SIZE = {"hidden": 4, "embedding": None, "dropout": 0.0}


def order(folder, seed=0, steps=2, **changes):
    (folder / "runs").mkdir(exist_ok=True)
    return {
        "do": "train", "workload": ADDING, "cell": "gru", "size": SIZE, "seed": seed,
        "limit": {"steps": steps}, "learning_rate": None, "folder": str(folder), "plan": "p",
        **changes,
    }  # fmt: skip


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
    with Workers(2) as workers:
        answers = dict(workers.each(orders, lambda k, event: said.append((k, event["event"]))))
        pids = [worker._process.pid for worker in workers._workers]
    assert [answers[k]["event"] for k in range(4)] == ["done", "refused", "failed", "done"]
    assert answers[0]["result"]["updates"] == 30
    assert answers[1]["why"].startswith("T: expected at least 20")
    assert "no such cell" in answers[2]["why"]
    assert {(k, "begun") for k in range(4)} <= set(said)
    assert (0, "progress") in said
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "gru-seed0.json", "gru-seed0.safetensors", "gru-seed3.json", "gru-seed3.safetensors"
    ]  # fmt: skip
    assert len(pids) == 2
    assert all(map(ended, pids))


def test_a_process_that_is_killed_has_failed_and_the_others_go_on(tmp_path):
    killed = []

    with Workers(1) as workers:

        def kill_the_first(k, event):
            if k == 0 and event["event"] == "progress" and not killed:
                killed.append(workers._workers[0]._process.pid)
                os.kill(killed[0], signal.SIGKILL)

        orders = [order(tmp_path, 0, 10**7), order(tmp_path, 1)]
        answers = dict(workers.each(orders, kill_the_first))
    assert answers[0] == {"event": "failed", "why": "its process was killed (signal 9)"}
    assert answers[1]["event"] == "done"
    assert [p.name for p in (tmp_path / "runs").glob("*.json")] == ["gru-seed1.json"]


@pytest.mark.slow
def test_leaving_early_leaves_nobody(tmp_path):
    """As Ctrl-C does it: an exception while answers are waited for."""
    pids = []

    def stop_when_both_train(k, event):
        if event["event"] == "progress" and k == 1:
            pids.extend(worker._process.pid for worker in workers._workers)
            raise KeyboardInterrupt

    workers = Workers(2)
    orders = [order(tmp_path, k, 10**7) for k in range(3)]
    with pytest.raises(KeyboardInterrupt), workers:
        list(workers.each(orders, stop_when_both_train))
    assert len(pids) == 2
    assert all(map(ended, pids))
    assert list((tmp_path / "runs").iterdir()) == []


PARENT = """
import json, sys
from glasscell.comparing.workers import Workers

def tell(k, event):
    print(workers._workers[0]._process.pid, flush=True)

workers = Workers(1)
list(workers.each([json.loads(sys.argv[1])], tell))
"""


def test_processes_end_with_who_started_them(tmp_path):
    """Even where that one is killed, and can tell nobody."""
    command = [sys.executable, "-c", PARENT, json.dumps(order(tmp_path, 0, 10**7))]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    assert ended(pid)
