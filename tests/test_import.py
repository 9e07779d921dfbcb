"""What `import glasscell` and its public names bring in: torch, and nothing heavy or optional."""

import json
import subprocess
import sys

HEAVY = ("lightning", "pytorch_lightning", "plotly", "typer", "rich", "onnx", "dash", "polars",
         "torch._dynamo", "torch._inductor", "sympy", "pandas", "matplotlib")  # fmt: skip


# Public names are imported when they are first asked for, so all of them are.
EVERYTHING = "import glasscell\n[getattr(glasscell, name) for name in glasscell.__all__]"


def modules_after(statement: str) -> set[str]:
    """Names of all modules of a fresh interpreter that has run the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_importing_brings_nothing_heavy_that_torch_does_not():
    added = modules_after(EVERYTHING) - modules_after("import torch")
    heavy = sorted(name for name in added for h in HEAVY if name == h or name.startswith(f"{h}."))
    assert heavy == []
    assert "glasscell.nn" in added


def test_importing_alone_does_not_even_bring_torch():
    assert "torch" not in modules_after("import glasscell")


def test_neither_does_using_the_layers_and_traces():
    use = (
        "import torch, glasscell\n"
        "layer = glasscell.LSTM(3, 4)\n"
        "with glasscell.trace(layer) as trace:\n"
        "    layer(torch.randn(5, 2, 3))[0].sum().backward()\n"
        "str(trace), str(glasscell.explain_engine(layer, torch.randn(5, 2, 3)))"
    )
    torch_alone = (
        "import torch\nlayer = torch.nn.LSTM(3, 4)\nlayer(torch.randn(5, 2, 3))[0].sum().backward()"
    )
    added = modules_after(use) - modules_after(torch_alone)
    assert [name for name in added for h in HEAVY if name == h or name.startswith(f"{h}.")] == []


def test_the_public_names_are_there():
    import glasscell

    assert all(hasattr(glasscell, name) for name in glasscell.__all__)
    assert glasscell.__version__.count(".") >= 1
    names = {"LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell", "trace", "explain_engine"}
    assert names <= set(glasscell.__all__)
