"""Traces on disk: a round trip of everything, and files that are not what they should be."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.nn.pairs import initial
from tests.tracing.models import LAYERS, LAYOUTS, LENGTHS, Loop, input_in, make
from torch import nn

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def assert_equal(again, trace):
    assert again.names == trace.names
    assert str(again) == str(trace)
    for (name, a), (_, b) in zip(again.items(), trace.items(), strict=True):
        assert a.name == name
        assert (a.kind, a.reverse, a.gate_maps) == (b.kind, b.reverse, b.gate_maps)
        assert torch.equal(a.lengths, b.lengths)
        for quantity in (*b.quantities, *(f"pre.{gate.name}" for gate in b.gate_maps)):
            assert torch.equal(a[quantity], b[quantity])
            assert torch.equal(a.tokens(quantity), b.tokens(quantity))
            assert a[quantity].dtype == b[quantity].dtype
            assert not a[quantity].requires_grad
        assert torch.equal(a.initial_hidden, b.initial_hidden)
        if b.c_0 is not None:
            assert torch.equal(a.initial_cell, b.initial_cell)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_round_trip(name, layout, dtype, tmp_path):
    layer = make(name, num_layers=2, bidirectional=True, dtype=dtype,
                 batch_first=layout == "batch_first")  # fmt: skip
    input, _ = input_in(layout, torch.randn(6, 5, 3, dtype=dtype))
    hx = initial(layer, None if layout == "unbatched" else 5, dtype)
    with glasscell.trace(layer) as trace:
        layer(input, hx)
    trace.save(tmp_path / "run.safetensors")
    again = glasscell.load_trace(str(tmp_path / "run.safetensors"))
    assert_equal(again, trace)
    if layout != "unbatched":
        assert torch.equal(again["l1"].sequence("hidden", 2), trace["l1"].sequence("hidden", 2))


def test_round_trip_of_lengths(tmp_path):
    layer = glasscell.LSTM(3, 4, batch_first=True, bidirectional=True)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(5, 6, 3), lengths=LENGTHS)
    trace.save(tmp_path / "run")
    assert_equal(glasscell.load_trace(tmp_path / "run"), trace)


def test_round_trip_of_several_calls_and_cells(tmp_path):
    model = nn.ModuleDict({"layer": nn.GRU(3, 4), "loop": Loop(nn.LSTMCell(3, 4))})
    x = torch.randn(6, 5, 3)
    with glasscell.trace(model) as trace:
        model["layer"](x)
        model["layer"](x[:2])
        model["loop"](x)
    trace.save(tmp_path / "run")
    again = glasscell.load_trace(tmp_path / "run")
    assert_equal(again, trace)
    assert torch.equal(again["layer.l0", 1].hidden, trace["layer.l0", 1].hidden)
    assert torch.equal(again["loop.cell"].cell, trace["loop.cell"].cell)
    again.save(tmp_path / "again")
    assert_equal(glasscell.load_trace(tmp_path / "again"), trace)


def test_round_trip_of_an_empty_batch(tmp_path):
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 0, 3))
    trace.save(tmp_path / "run")
    assert_equal(glasscell.load_trace(tmp_path / "run"), trace)


def saved(folder: Path) -> Path:
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
    trace.save(folder / "run")
    return folder / "run"


def metadata(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata()), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        glasscell.load_trace(tmp_path / "nowhere")


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.99], ids=str)
def test_a_truncated_file(kept, tmp_path):
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(glasscell.InputError, match=r"run: not a trace, or damaged"):
        glasscell.load_trace(path)


@pytest.mark.parametrize("content", [b"hello, this is a text file", b"\x00" * 64, b"PK\x03\x04"])
def test_a_file_of_another_kind(content, tmp_path):
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(glasscell.InputError, match="run: not a trace"):
        glasscell.load_trace(tmp_path / "run")


def test_safetensors_of_something_else(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "run")
    with pytest.raises(glasscell.InputError, match="run: not a trace"):
        glasscell.load_trace(tmp_path / "run")


DAMAGE = {
    "no layers": lambda layers: None,
    "layers are no list": lambda layers: {},
    "layers of nothing": lambda layers: [{}],
    "a layer that is a number": lambda layers: [1],
    "no batch sizes": lambda layers: [
        {key: value for key, value in layers[0].items() if key != "batch_sizes"}
    ],
    "batch sizes of text": lambda layers: [layers[0] | {"batch_sizes": ["a"]}],
    "too many tokens": lambda layers: [layers[0] | {"batch_sizes": [9] * 6}],
    "an unknown squash": lambda layers: [layers[0] | {"cell": "lstm(output_squash=other)"}],
    "gates of another cell": lambda layers: [layers[0] | {"cell": "gru"}],
    "an unknown cell": lambda layers: [layers[0] | {"cell": "other"}],
    "a gate that reads what there is not": lambda layers: [
        layers[0] | {"cell": "lstm(candidate=gate(reads=('x', 'y')))"}
    ],
    "a layer without tensors": lambda layers: layers * 2,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_trace_whose_description_is_damaged(damage, tmp_path):
    path = saved(tmp_path)
    header, tensors = metadata(path)
    layers = DAMAGE[damage](json.loads(header.pop("layers")))
    save_file(tensors, path, header | ({} if layers is None else {"layers": json.dumps(layers)}))
    with pytest.raises(glasscell.InputError, match="run: not a trace"):
        glasscell.load_trace(path)


@pytest.mark.parametrize("missing", ["h", "gates", "pre", "h_0", "h_n"])
def test_a_trace_with_a_tensor_missing(missing, tmp_path):
    path = saved(tmp_path)
    header, tensors = metadata(path)
    del tensors[f"0/{missing}"]
    save_file(tensors, path, header)
    with pytest.raises(glasscell.InputError, match="run: not a trace"):
        glasscell.load_trace(path)


def test_a_folder_is_not_a_trace(tmp_path):
    with pytest.raises((OSError, glasscell.InputError), match=tmp_path.name):
        glasscell.load_trace(tmp_path)


def test_saving_where_there_is_no_folder(tmp_path):
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
    with pytest.raises(OSError, match="there is no such folder"):
        trace.save(tmp_path / "nowhere" / "run")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = saved(tmp_path)
    content = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # the last thing before the new file takes its place
    with pytest.raises(OSError, match="no space is left"):
        saved(tmp_path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["run"]


def test_saving_again_replaces_the_file(tmp_path):
    path = saved(tmp_path)
    first = path.read_bytes()
    saved(tmp_path)
    assert path.read_bytes() != first
    assert os.listdir(tmp_path) == ["run"]


def test_others_may_read_a_saved_trace_as_any_new_file(tmp_path):
    path = saved(tmp_path)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode


def test_saving_does_not_change_the_trace(tmp_path):
    layer = nn.LSTM(3, 4)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
    trace.save(tmp_path / "run")
    trace["l0"].cell.sum().backward()
    assert layer.weight_hh_l0.grad is not None
