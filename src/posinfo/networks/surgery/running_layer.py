"""Which layer of a network is running."""

from contextlib import ExitStack
from threading import get_ident
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


class RunningLayer:
    """Within the block, and in this thread, knows the layer whose ``forward`` is running.

    Args:
        network: whose layers are followed.

    Attributes:
        name: of the layer, the innermost one; empty: the network itself, or none of it.
    """

    def __init__(self, network: nn.Module) -> None:
        self._names = {module: name for name, module in network.named_modules()}
        self._running = [""]
        self._thread = get_ident()
        self._hooks = ExitStack()

    @property
    def name(self) -> str:
        """Of the innermost layer."""
        return self._running[-1]

    def __enter__(self) -> "RunningLayer":
        """Follow calls from now on."""
        before = register_module_forward_pre_hook(self._enter_layer)
        after = register_module_forward_hook(self._leave_layer, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(after.remove)
        return self

    def __exit__(self, *error: Any) -> None:
        """Follow no more."""
        self._hooks.close()

    def _enter_layer(self, module: nn.Module, inputs: Any) -> None:
        if module in self._names and get_ident() == self._thread:
            self._running.append(self._names[module])

    def _leave_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if module in self._names and get_ident() == self._thread:
            self._running.pop()
