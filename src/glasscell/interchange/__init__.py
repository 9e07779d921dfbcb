"""Weights in and out: torch.nn, Keras, Flax and ONNX."""

from glasscell.interchange.flax_layers import from_flax, to_flax
from glasscell.interchange.keras_layers import from_keras, to_keras
from glasscell.interchange.onnx_export import to_onnx
from glasscell.interchange.onnx_import import from_onnx
from glasscell.interchange.torch_layers import from_torch, to_torch

__all__ = [
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_torch",
    "to_flax",
    "to_keras",
    "to_onnx",
    "to_torch",
]
