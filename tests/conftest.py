"""What every test gets: a fixed seed, one thread, and the same property examples each time."""

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "glasscell",
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("glasscell")

# Tensors here are small: a second thread would mostly wait for the first, and where other
# processes keep the cores busy that waiting makes the suite seven times slower.
torch.set_num_threads(1)

# For what modules draw when they are imported: PyTorch begins with a seed of its own choice.
torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def without_openvino(monkeypatch) -> None:
    """Leaves OpenVINO out: where it has run, a later Ctrl-C, which other tests send, ends the
    process as long as Python's fault handler is on. tests/bench/test_onnx_model.py runs it apart.
    """
    from glasscell.bench import runtimes

    installed = runtimes.Runtime.is_installed.fget
    assert installed is not None
    others = property(lambda runtime: runtime.package != "openvino" and installed(runtime))
    monkeypatch.setattr(runtimes.Runtime, "is_installed", others)
