"""A classifier without some of the channels of its latent: does it still name the same class?

No labels are needed: the intact network's answers are what is compared with.
"""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from posinfo.measures.channel_attack import Attack
from posinfo.networks.models.whole_network import classes_of
from posinfo.networks.surgery.ablation import without_channels
from posinfo.networks.surgery.resumable import Resumable
from posinfo.work import Work


def classify_without(
    network: nn.Module,
    layer: str,
    images: Iterable[Float[Tensor, "_ 3 h w"]],
    attacks: Sequence[Attack],
    *,
    means: Float[Tensor, " c"],
    work: Work,
) -> Int64[Tensor, "a n"]:
    """The class of each image under each attack; each image passes the first layers once.

    Args:
        network: in evaluation mode, on ``work.device``; it returns logits (b, k).
        layer: whose output is the latent.
        images: batches on the same device.
        attacks: the sets of channels.
        means: what silenced channels become where their mean is asked for.
        work: ``on_progress`` counts images; logits are of float32, for rounded ones would tie.

    Raises:
        ValueError: the network returns anything but logits.
    """
    resumable = Resumable(network, layer)
    answers = []
    for batch in images:
        with torch.no_grad():  # no tensors of inference mode: see Resumable
            latent = resumable.start(batch)
            of_batch = []
            for each in attacks:
                values = means.to(latent) if each.to_mean else 0.0
                logits = resumable.finish(without_channels(latent, each.channels, values))
                of_batch.append(classes_of(logits, "the network").cpu())
        answers.append(torch.stack(of_batch))
        work.on_progress(len(batch))
    return torch.cat(answers, 1)


def agreement_counts(
    answers: Int[Tensor, "a n"], groups: Int[Tensor, " n"]
) -> Int64[Tensor, "a g r 2"]:
    """How many images of each group have another class than without an attack, and how many not.

    Args:
        answers: the class of each image under each attack, the first of which is none.
        groups: of each image, 0 to g - 1: the photograph that it was cut from.

    Returns:
        One region, the whole image, as ``attack_effects`` takes it.
    """
    same = (answers == answers[:1]).long()
    members = torch.nn.functional.one_hot(groups.long())
    return torch.stack([(1 - same) @ members, same @ members], -1)[:, :, None]


def agreement(counts: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any"]:
    """The share of images that keep their class; NaN where there are none."""
    return counts[..., 1] / counts.sum(-1)
