"""The onnx package, imported where it is needed; what of its formats we write."""

from collections.abc import Mapping, Sequence
from typing import Any

OPSET, IR = 17, 10  # of the year that every runtime still in use reads


def onnx() -> Any:
    """The package.

    Raises:
        ImportError: it is not installed; says how to.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError("ONNX needs a package more: pip install 'glasscell[onnx]'") from error
    return onnx


def computed(node: Any, feeds: Mapping[str, Any]) -> Sequence[Any]:
    """What a node gives, by onnx's own reference evaluator, from its inputs by their names."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(node).run(None, dict(feeds))  # type: ignore[return-value]
