"""A CUDA device for machines without one: it computes on the CPU and knows what lies where."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import torch
from torch import Generator, Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

CUDA = torch.device("cuda", 0)
NUMPY = {"numpy", "__array__"}
INDEXING = {"__getitem__", "__setitem__"}
# they take tensors of several devices
FREE = {"copy_", "_has_compatible_shallow_copy_type", "__set__"}
# the only functions that CUDA's tensors may not even share with numbers of the CPU
STRICT = {"cat", "concat", "stack", "hstack", "vstack"}
COSTLY = {"conv2d", "conv_transpose2d", "linear", "batch_norm"}  # what a GPU is there for


class MisplacedError(RuntimeError):
    """A function got tensors of two devices; a real GPU would refuse them, too."""


class PretendedCuda(TorchFunctionMode):
    """Within the block, tensors can be sent to ``cuda``, and nothing may mix them with the others.

    ``FakeTensorMode`` cannot run a whole step, whose losses, predictions and errors it has no
    numbers for, and no backward pass without a GPU. Here, every number is the CPU's: what is sent
    to ``cuda`` is a copy whose memory is remembered. Each function that is called with some of them
    answers with more of them, and one that is called with others beside is refused. So is what
    NumPy cannot read and what a generator of the CPU cannot draw. A backward pass is a function,
    like any other: what its own code does is not looked at.

    Attributes:
        costly: how many of the functions of ``COSTLY`` ran on each kind of device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.costly: Counter[str] = Counter()
        # weak references keep the addresses from being used again
        self._there: dict[int, StorageWeakRef] = {}
        self._autocast = patch.object(torch, "autocast", _autocast(torch.autocast))

    def __enter__(self) -> "PretendedCuda":
        self._autocast.start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._autocast.stop()

    def has(self, tensor: Tensor) -> bool:
        """Whether it lies on the pretended device."""
        with torch._C.DisableTorchFunction(), suppress(NotImplementedError, RuntimeError):
            return tensor.untyped_storage()._cdata in self._there
        return False  # a sparse one has no storage

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if special := SPECIAL.get(func):
            return special(self, func, *args, **kwargs)
        name = getattr(func, "__name__", str(func))
        if name == "__get__":  # a shape, a dtype or a view
            return func(*args, **kwargs)
        tensors = list(_tensors((*args, *kwargs.values())))
        there = [self.has(tensor) for tensor in tensors]
        if kwargs.get("device") is not None:
            return self._made(func, args, kwargs)
        if name in INDEXING:
            self._require_indices(name, *args)
        elif name in NUMPY and any(there):
            raise MisplacedError(f"{name} of a tensor on cuda: .cpu() comes first")
        elif name not in FREE:
            _require_one_device(name, tensors, there)
            _require_generator(name, args, kwargs, any(there))
        if name in COSTLY:
            self.costly["cuda" if any(there) else tensors[0].device.type] += 1
        answer = func(*args, **kwargs)
        if name not in FREE and (there[0] if name in INDEXING else any(there)):
            self._send(answer)
        return answer

    def _send(self, answer: Any) -> Any:
        """Remember the memory of tensors as the device's."""
        for tensor in _tensors(answer):
            if tensor.device.type == "cpu" and not self.has(tensor):
                storage = tensor.untyped_storage()
                self._there[storage._cdata] = StorageWeakRef(storage)
        return answer

    def _made(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """What a function makes on the device that it is given."""
        cuda = _is_cuda(kwargs["device"])
        _require_generator(func.__name__, args, kwargs, cuda)
        answer = func(*args, **{**kwargs, "device": "cpu"} if cuda else kwargs)
        if self.has(answer) != cuda and answer.device.type == "cpu":  # as_tensor of a tensor
            answer = answer.clone()
        return self._send(answer) if cuda and not self.has(answer) else answer

    def _require_indices(self, name: str, tensor: Tensor, key: Any, value: Any = None) -> None:
        keys = [each for each in _tensors(key) if each.ndim]
        there = self.has(tensor)
        if not there and any(map(self.has, keys)):
            raise MisplacedError(f"{name} of a tensor on the CPU with indices on cuda")
        # without tensors in the key it is a copy, which may come from anywhere
        if keys and isinstance(value, Tensor) and value.ndim and self.has(value) != there:
            raise MisplacedError(f"{name} with indices: the values are on another device")

    def _device(self, func: Callable, tensor: Tensor) -> torch.device:
        return CUDA if self.has(tensor) else func(tensor)

    def _is_cuda(self, func: Callable, tensor: Tensor) -> bool:
        return self.has(tensor)

    def _is_cpu(self, func: Callable, tensor: Tensor) -> bool:
        return func(tensor) and not self.has(tensor)

    def _grad(self, func: Callable, tensor: Tensor) -> Tensor | None:
        """The backward pass has made it."""
        return self._send(func(tensor)) if self.has(tensor) else func(tensor)

    def _cpu(self, func: Callable, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor.clone(*args, **kwargs) if self.has(tensor) else func(tensor, *args, **kwargs)

    def _cuda(self, func: Callable, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self._to(Tensor.to, tensor, CUDA)

    def _to(
        self, func: Callable, tensor: Tensor, *args: Any, copy: bool = False, **kwargs: Any
    ) -> Tensor:
        if args and isinstance(args[0], Tensor):
            args = (CUDA if self.has(args[0]) else args[0].device, args[0].dtype, *args[1:])
        device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)
        there = self.has(tensor) if device is None else device.type == "cuda"
        if device is not None and not there and device.type != "cpu":
            return func(tensor, *args, copy=copy, **kwargs)  # such as meta
        moved = device is not None and there != self.has(tensor)
        layout = {"memory_format": layout or torch.preserve_format}
        answer = func(tensor, dtype=dtype or tensor.dtype, copy=copy or moved, **layout)
        return self._send(answer) if there else answer


def _autocast(real: type) -> Callable:
    """The real one does nothing on a CUDA device that is not there."""
    return lambda device, *args, **kwargs: real(
        "cpu" if device == "cuda" else device, *args, **kwargs
    )


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):  # a dict may be the memo of a deep copy, without end
        for value in values:
            yield from _tensors(value)


def _is_cuda(device: Any) -> bool:
    return torch.device(device).type == "cuda"


def _require_one_device(name: str, tensors: list[Tensor], there: list[bool]) -> None:
    here = [
        tensor
        for tensor, is_there in zip(tensors, there, strict=True)
        if not is_there and (tensor.ndim or name in STRICT)
    ]
    if any(there) and here:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in here)
        raise MisplacedError(f"{name}: some tensors are on cuda, but on the CPU those of {shapes}")


def _require_generator(name: str, args: tuple, kwargs: dict[str, Any], cuda: bool) -> None:
    generators = [each for each in (*args, *kwargs.values()) if isinstance(each, Generator)]
    if cuda and generators:
        raise MisplacedError(f"{name} on cuda with a generator of the CPU")


SPECIAL: dict[Callable, Callable] = {
    Tensor.device.__get__: PretendedCuda._device,
    Tensor.is_cuda.__get__: PretendedCuda._is_cuda,
    Tensor.is_cpu.__get__: PretendedCuda._is_cpu,
    Tensor.grad.__get__: PretendedCuda._grad,
    Tensor.cpu: PretendedCuda._cpu,
    Tensor.cuda: PretendedCuda._cuda,
    Tensor.to: PretendedCuda._to,
}
