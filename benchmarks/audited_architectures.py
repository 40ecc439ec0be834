"""What a static audit says of the networks of torchvision and timm, as a table in Markdown.

    python benchmarks/audited_architectures.py                 # all: about an hour on one core
    python benchmarks/audited_architectures.py --only=resnet   # lines that contain it

Weights are random: nothing that is said here depends on them. Detectors are audited by their
backbones. Each network gets the smallest of a few sizes that it takes.
"""

import argparse
import warnings
from collections.abc import Iterator

import timm
import torch
import torchvision
from torch import nn
from torchvision.models import get_model, list_models

from posinfo.experiments.audit.cells import NetworkCell
from posinfo.experiments.audit.numbers import of_structure
from posinfo.experiments.audit.structure import run
from posinfo.networks.models.audited import GivenNetwork, given
from posinfo.networks.surgery.blocks import block_layers
from posinfo.networks.surgery.observed import REFUSALS
from posinfo.networks.surgery.padding import repad
from posinfo.work import Work

SIZES = (64, 96, 128, 224, 256, 299, 384)
LARGER = 224
PADDINGS = ("zero", "reflect", "replicate", "circular", "partial")
TIMM = (
    "beit_base_patch16_224", "botnet26t_256", "cait_xxs24_224", "coat_tiny", "coatnet_nano_rw_224",
    "convit_tiny", "convmixer_768_32", "convnext_atto", "convnextv2_atto", "crossvit_9_240",
    "cs3darknet_s", "cspresnet50", "davit_tiny", "deit_tiny_patch16_224", "densenet121", "dla34",
    "dm_nfnet_f0", "dpn48b", "edgenext_xx_small", "efficientformer_l1", "efficientnet_lite0",
    "efficientvit_b0", "eva02_tiny_patch14_224", "fastvit_t8", "focalnet_tiny_srf",
    "gcvit_xxtiny", "gernet_s", "ghostnet_050", "hardcorenas_a", "hgnet_tiny", "hrnet_w18_small",
    "inception_next_atto", "inception_v4", "levit_128s", "maxvit_nano_rw_256", "mixer_s16_224",
    "mixnet_s", "mobilenetv3_small_050", "mobilenetv4_conv_small", "mobileone_s0",
    "mobilevit_xxs", "mvitv2_tiny", "nest_tiny", "nf_regnet_b0", "pit_ti_224", "poolformer_s12",
    "pvt_v2_b0", "regnetx_002", "repghostnet_050", "repvgg_a0", "res2net50_14w_8s", "resnest14d",
    "resnet10t", "resnetv2_50", "rexnet_100", "sehalonet33ts", "selecsls42", "semnasnet_050",
    "seresnet18", "sequencer2d_s", "skresnet18", "swin_tiny_patch4_window7_224",
    "tf_efficientnet_lite0", "tinynet_e", "tnt_s_patch16_224", "tresnet_m", "twins_svt_small",
    "vgg11", "visformer_tiny", "vit_tiny_patch16_224", "volo_d1_224", "vovnet39a",
    "wide_resnet50_2", "xception41", "xcit_nano_12_p16_224",
)  # fmt: skip


def networks(only: str) -> Iterator[tuple[str, nn.Module, str]]:
    """Name, network, and path to the output among what it returns."""
    bare = {"weights": None, "weights_backbone": None}
    for name in list_models(module=torchvision.models):
        if only in f"torchvision {name}":
            yield f"torchvision {name}", get_model(name, weights=None), ""
    for name in list_models(module=torchvision.models.segmentation):
        if only in f"torchvision {name}":
            yield f"torchvision {name}", get_model(name, **bare), "out"
    for name in list_models(module=torchvision.models.detection):
        if only in f"torchvision {name}":
            yield f"torchvision {name}: backbone", get_model(name, **bare).backbone, "0"
    for name in TIMM:
        if only in f"timm {name}":
            yield f"timm {name}", timm.create_model(name), ""


def smallest(network: GivenNetwork) -> int:
    """The smallest of ``SIZES`` that it takes; a ``ValueError`` says why it takes none."""
    for size in SIZES:
        try:
            network.check(size)
        except REFUSALS as error:
            reason = error
        else:
            return size
    raise ValueError(f"{type(reason).__name__}: {reason}")


def repadded(network: nn.Module, size: int) -> str:
    """Which paddings it takes, at a larger size if the maps of this one are too small, and why not.

    No map of 2×2 px can be reflected by 3.
    """
    taken: dict[int, list[str]] = {size: [], max(size, LARGER): []}
    refused: dict[str, str] = {}
    for padding in PADDINGS:
        for side, names in taken.items():
            try:
                with torch.inference_mode():
                    repad(network, padding)(torch.zeros(1, 3, side, side))
            except REFUSALS as error:
                refused.setdefault(padding, str(error).splitlines()[0].partition(": ")[2][:90])
            else:
                names.append(padding)
                refused.pop(padding, None)
                break
    parts = []
    for side, names in taken.items():
        listed = "all" if len(names) == len(PADDINGS) else ", ".join(names)
        parts += [listed if side == size else f"at {side} px also {listed}"] if names else []
    reasons = "; ".join(dict.fromkeys(refused.values()))
    return ("; ".join(parts) or "none") + (f" ({reasons})" if reasons else "")


def line(name: str, network: nn.Module, output: str) -> list[str]:
    """A line of the table."""
    audited = given(network.eval(), output)
    try:
        size = smallest(audited)
    except ValueError as error:
        return [name, "", "", "", "", f"refused: {str(error).splitlines()[0][:110]}", ""]
    image = torch.zeros(1, 3, size, size)
    deepest = block_layers(audited.module, image, ":", "default", itself=False)[-1]
    audited = given(network, output, (deepest,))  # of five layers, it would take five times as long
    cell = NetworkCell.model_construct(network=audited, weights="", image_size=size)
    structure = run(cell, {}, Work())
    numbers, facts = of_structure(structure), structure.facts
    padding = f"{numbers['uneven_layers'].value:.0f} of {numbers['padded_layers'].value:.0f}"
    even = ", ".join(map(str, facts["even_sizes"])) or "none near"
    field = numbers["receptive_field"].value if "receptive_field" in numbers else 0
    covered = " ".join(filter(None, facts["covered_by"])) or facts["refused"][:90]
    found = f"{field:.0f}" if 0 < field < float("inf") else "no end" if field else ""
    return [name, str(size), padding, even, found, covered, repadded(network, size)]


def main() -> None:
    """Print the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="")
    warnings.simplefilter("ignore")
    columns = [
        "network", "px", "uneven calls", "even at, px", "receptive field, px",
        "from here on all depends on all", "other paddings",
    ]  # fmt: skip
    print(f"| {' | '.join(columns)} |\n|{':--|' * len(columns)}")
    for entry in networks(parser.parse_args().only):
        print(f"| {' | '.join(line(*entry)).replace(chr(10), ' ')} |", flush=True)


if __name__ == "__main__":
    main()
