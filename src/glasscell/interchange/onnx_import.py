"""The recurrent operators of an ONNX model as a layer of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from glasscell.errors import InputError
from glasscell.interchange.onnx_operator import INPUTS, KINDS, Operator, read
from glasscell.interchange.onnx_package import computed, onnx
from glasscell.interchange.stack import Stack, checked, module_of
from glasscell.interchange.traits import described
from glasscell.nn import Recurrent

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

STATES = ("initial_h", "initial_c")


def from_onnx(
    model: str | os.PathLike | bytes | ModelProto,
    node: str | Sequence[str] | None = None,
    *,
    batch_first: bool | None = None,
) -> Recurrent:
    """The layer of ours that computes what an LSTM, GRU or RNN operator of an ONNX model computes.

    Args:
        model: a file's path, its bytes, or the model.
        node: the operator's name, or that of its first output; several, in their order, become
            one layer of several. Left out, they are all that the model has, and each must read
            the one before.
        batch_first: whether the layer takes (B, T, I) and not (T, B, I). Left out, it is as the
            operator says by `layout`, and nearly always (T, B, I).

    Returns:
        A `glasscell.LSTM`, `GRU` or `RNN` with both biases as there, peepholes, coupled gates and
        activations included. Lengths and initial states that the model takes are the layer's to
        be given. Of an operator with `input_forget` the weights of the forget gate, of which ONNX
        takes no notice, stay behind.

    Raises:
        InputError: no such operator, several that are no stack, weights that are no constants,
            initial states that are constants other than zero, or what our layers do not have:
            clip, a single reverse direction, other activations.
        ImportError: the onnx package is missing.

    Example:
        >>> again = glasscell.from_onnx(glasscell.to_onnx(lstm))
        >>> torch.equal(again.weight_hh_l0, lstm.weight_hh_l0)
        True
    """
    graph = _Reading(_loaded(model))
    nodes = graph.chosen(node)
    found = [read(graph.operator(each), _called(each)) for each in nodes]
    layouts = {graph.attributes(each).get("layout", 0) for each in nodes}
    if len(layouts) > 1:
        raise InputError("node: expected operators of one layout, got both")
    cell = found[0][0]
    for (other, _), each in zip(found, nodes, strict=True):
        if other != cell:
            raise InputError(
                f"{_called(each)}: expected {described(cell)}, as {_called(nodes[0])}, "
                f"got {described(other)}. Convert those that differ each by itself"
            )
    stack = checked(Stack(cell, tuple(weights for _, weights in found)), "node")
    return module_of(stack, batch_first=bool(layouts.pop()) if batch_first is None else batch_first)


def _loaded(model: Any) -> ModelProto:
    if isinstance(model, bytes):
        return onnx().load_from_string(model)
    if isinstance(model, (str, os.PathLike)):
        return onnx().load(os.fspath(model))
    if not isinstance(model, onnx().ModelProto):
        raise InputError(f"model: expected a path, bytes or a model, got {type(model).__name__}")
    return model


def _called(node: NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]}"


class _Reading:
    """A model's graph, asked for its recurrent operators and their constants."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.constants = {each.name: each for each in model.graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.inputs = {each.name for each in model.graph.input} - set(self.constants)

    def chosen(self, node: str | Sequence[str] | None) -> list[NodeProto]:
        """The operators that were asked for, in the order in which they read one another."""
        there = [
            each for each in self.nodes if each.op_type in KINDS and each.domain in ("", "ai.onnx")
        ]
        told = ", ".join(each.name or each.output[0] for each in there)
        if not there:
            raise InputError("model: expected an LSTM, GRU or RNN operator, got none")
        if node is not None:
            names = [node] if isinstance(node, str) else list(node)
            found = [self._named(name, there, told) for name in names]
            if not found:
                raise InputError("node: expected a name or several, got none")
            return found
        for before, after in pairwise(there):
            if not self._reads(after, before):
                raise InputError(
                    f"node: the model has several operators, {told}, and they are no stack of one "
                    f"layer: {_called(after)} does not read all that {_called(before)} gives. "
                    "Name one"
                )
        return there

    def _named(self, name: str, there: list[NodeProto], told: str) -> NodeProto:
        found = [each for each in there if name in (each.name, each.output[0])]
        if len(found) != 1:
            raise InputError(f"node: expected one of {told}, got {name!r}")
        return found[0]

    def _reads(self, after: NodeProto, before: NodeProto) -> bool:
        """Whether an operator's input is another's output Y, its directions side by side."""
        bidirectional = self.attributes(before).get("direction") == "bidirectional"
        layout = self.attributes(before).get("layout", 0)
        step = self._maker(after.input[0])
        if step is None or layout != 0:
            return False
        if step.op_type == "Squeeze" and not bidirectional:
            axes = self.attributes(step).get("axes")
            if axes is None and len(step.input) > 1:
                axes = self.value(step.input[1])
            return axes is not None and list(axes) == [1] and step.input[0] == before.output[0]
        if step.op_type != "Reshape" or not self.is_constant(step.input[1]):
            return False
        turned = self._maker(step.input[0])
        if turned is None or turned.op_type != "Transpose":
            return False
        shape = list(self.value(step.input[1]))
        H = self.attributes(before)["hidden_size"] * (2 if bidirectional else 1)
        return (
            list(self.attributes(turned).get("perm", ())) == [0, 2, 1, 3]
            and len(shape) == 3
            and shape[2] in (-1, H)
            and turned.input[0] == before.output[0]
        )

    def _maker(self, name: str) -> NodeProto | None:
        """The node that makes this value, past those that hand it on as it is."""
        found = self.makers.get(name)
        while found is not None and found.op_type in ("Identity", "Dropout"):
            found = self.makers.get(found.input[0])
        return found

    def attributes(self, node: NodeProto) -> dict[str, Any]:
        def text(value: Any) -> Any:
            return value.decode() if isinstance(value, bytes) else value

        return {each.name: text(onnx().helper.get_attribute_value(each)) for each in node.attribute}

    def operator(self, node: NodeProto) -> Operator:
        """The operator with its constants.

        Raises:
            InputError: weights that are computed, or states and lengths that are constants.
        """
        given = {n: name for n, name in zip(INPUTS, node.input, strict=False) if name}
        weights = {}
        for name in ("W", "R", "B", "P"):
            if name not in given:
                continue
            if not self.is_constant(given[name]):
                raise InputError(
                    f"{_called(node)}: {name}: expected constants, got {given[name]!r}, which "
                    "depends on an input of the model"
                )
            weights[name] = self.value(given[name])
        if "sequence_lens" in given and self.is_constant(given["sequence_lens"]):
            raise InputError(
                f"{_called(node)}: sequence_lens: expected an input of the model, got constants, "
                "which a layer here does not keep; remove them, and give lengths= at each call"
            )
        for name in STATES:
            if name in given and any(self._numbers(given[name])):
                raise InputError(
                    f"{_called(node)}: {name}: expected zeros or an input of the model, got other "
                    "constants, which a layer here does not keep; remove them, and give hx"
                )
        return Operator(node.op_type, self.attributes(node), weights)

    def is_constant(self, name: str) -> bool:
        """Whether a value depends on no input of the model."""
        if name in self.constants or not name:
            return True
        maker = self.makers.get(name)
        return maker is not None and all(self.is_constant(each) for each in maker.input)

    def value(self, name: str) -> np.ndarray:
        """The value of a constant, computed where nodes make it."""
        if name in self.constants:
            return onnx().numpy_helper.to_array(self.constants[name])
        maker = self.makers[name]
        feeds = {each: self.value(each) for each in maker.input if each}
        return np.asarray(computed(maker, feeds)[list(maker.output).index(name)])

    def _numbers(self, name: str) -> Iterator[bool]:
        """For each constant that gets into a state, whether it has anything but zeros."""
        if self.is_constant(name):
            yield bool(np.any(self.value(name)))
            return
        maker = self.makers.get(name)
        if maker is None or maker.op_type == "Shape":  # an input; sizes are no numbers of a state
            return
        if maker.op_type == "ConstantOfShape":
            filled = self.attributes(maker).get("value")
            yield filled is not None and bool(np.any(onnx().numpy_helper.to_array(filled)))
            return
        first = maker.op_type in (
            "Expand",
            "Tile",
            "Slice",
            "Reshape",
            "Unsqueeze",
            "Gather",
            "Split",
        )
        for each in maker.input[:1] if first else maker.input:
            if each:
                yield from self._numbers(each)
