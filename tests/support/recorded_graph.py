"""A capture that works on any device: records operations and replays them over the same memory.

As a CUDA graph does: tensors keep their addresses, numbers of the host stay what they were at the
capture, and nothing can be read back meanwhile.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_OF_THE_HOST = {
    *("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal"),
    *("aten::lift_fresh", "aten::nonzero", "aten::masked_select"),
}
"""Operations for which a GPU is waited for, or that bring numbers from the host."""


class RecordedGraph(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operations of one call of a function, which leaves no trace but this.

    Raises:
        RuntimeError: the function reads a number back, or brings one from the host.
    """

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[tuple[Any, Any, Any, dict[int, Tensor]]] = []
        self._changed: dict[int, tuple[Tensor, Tensor]] = {}
        try:
            with self:
                function()
        finally:
            for tensor, saved in self._changed.values():
                tensor.copy_(saved)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        if name in _OF_THE_HOST:
            raise RuntimeError(f"{name} cannot be captured")
        kwargs = kwargs or {}
        written = _written(func, args, kwargs)
        for tensor in written:
            # Whole storages, for a view may be written of what was saved.
            storage = tensor.untyped_storage()
            whole = torch.empty(0, dtype=torch.uint8).set_(storage)
            self._changed.setdefault(storage.data_ptr(), (whole, whole.clone()))
        result = func(*args, **kwargs)
        given = {x.untyped_storage().data_ptr() for x in _tensors((args, kwargs))}
        fresh = {
            number: x
            for number, x in enumerate(_tensors(result))
            if x.untyped_storage().data_ptr() not in given
        }
        # Else its results are views of memory that other calls write.
        if fresh or written:
            self._calls.append((func, args, kwargs, fresh))
        return result

    @torch.inference_mode()
    def replay(self) -> None:
        for func, args, kwargs, fresh in self._calls:
            again = func(*args, **kwargs)
            if fresh:
                results = (again,) if isinstance(again, Tensor) else _tensors(again)
                for number, tensor in fresh.items():
                    tensor.copy_(results[number])


def _tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    named = zip(func._schema.arguments, args, strict=False)
    pairs = [*named, *((a, kwargs.get(a.name)) for a in func._schema.arguments[len(args) :])]
    return [x for a, x in pairs if a.alias_info and a.alias_info.is_write and x is not None]
