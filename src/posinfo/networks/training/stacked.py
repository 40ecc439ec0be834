"""Training of stacked classifiers: one pass for all seeds, and an epoch of its own for each."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from posinfo.networks.models.stacked_convnets import StackedConvNets
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.loop import fit
from posinfo.work import Work

EVALUATED_AT_ONCE = 500  # images per forward pass of an evaluation

Labelled = tuple[Float[Tensor, "_ c h w"], Int64[Tensor, " _"]]


def train_stacked(
    networks: StackedConvNets,
    train: Labelled,
    validation: Labelled,
    config: TrainingConfig,
    work: Work = Work(),
) -> dict[str, Float[Tensor, "epochs k"]]:
    """Train each classifier as if it were alone, in the order of the images (released code).

    Args:
        networks: on ``work.device``; each ends with the weights of the epoch that ``config.keep``
            says: that of its own lowest validation loss, or the last.
        train: images and classes; the incomplete batch at the end is left out.
        validation: the same; its loss chooses the epoch.
        config: the protocol; ``mirrored`` and ``compile`` are not used.
        work: its device computes, in float32. ``on_total`` and ``on_progress`` count steps;
            ``on_epoch`` is told the means over the classifiers.

    Returns:
        ``train_loss`` and ``validation_loss`` by epoch and classifier.

    Raises:
        FloatingPointError: a loss was not finite.
        ValueError: fewer images than a batch.
    """
    images, labels = (each.to(work.device) for each in train)
    steps = len(labels) // config.batch_size
    if not steps:
        raise ValueError(f"{len(labels)} train images are fewer than a batch")
    optimiser, schedule = config.build(networks, config.epochs * steps)
    work.on_total(config.epochs * steps)

    def batches() -> Iterator[slice]:
        for start in range(0, steps * config.batch_size, config.batch_size):
            yield slice(start, start + config.batch_size)

    def loss_of(batch: slice) -> Float[Tensor, " k"]:
        return _losses(networks(images[batch])[1], labels[batch])

    history, best = [], torch.full((networks.count,), torch.inf)
    kept = {name: each.detach().clone() for name, each in networks.named_parameters()}
    for epoch in range(1, config.epochs + 1):
        losses = fit(networks, batches(), loss_of, optimiser, schedule, work.on_progress).mean(0)
        found = _losses(predict_stacked(networks, validation[0], work)[1], validation[1])
        if not found.isfinite().all():
            raise FloatingPointError(
                f"epoch {epoch}: validation losses are {found.tolist()}: lower the learning rate"
            )
        better = found < best if config.keep == "best" else torch.ones_like(best, dtype=torch.bool)
        best = torch.where(better, found, best)
        _keep(kept, networks, better)
        history.append(torch.stack([losses, found]))
        work.on_epoch(epoch, losses.mean().item(), found.mean().item())
    networks.load_state_dict({**networks.state_dict(), **kept})
    curves = torch.stack(history).unbind(1)
    return dict(zip(("train_loss", "validation_loss"), curves, strict=True))


def predict_stacked(
    networks: StackedConvNets, images: Float[Tensor, "n c h w"], work: Work = Work()
) -> tuple[Float[Tensor, "n s f"], Float[Tensor, "n s k"]]:
    """Features and logits of each classifier, on the CPU."""
    networks.eval()
    # cuDNN's fast algorithms need not give shifted images the same features to the bit
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=False):
        batches = [networks(batch.to(work.device)) for batch in images.split(EVALUATED_AT_ONCE)]
    features, logits = (torch.cat(each).cpu() for each in zip(*batches, strict=True))
    return features, logits


def _losses(logits: Float[Tensor, "n k classes"], labels: Int64[Tensor, " n"]) -> Tensor:
    """Mean cross entropy of each classifier (k,)."""
    every = labels[:, None].expand(-1, logits.shape[1])
    return cross_entropy(logits.transpose(1, 2), every, reduction="none").mean(0)


def _keep(kept: dict[str, Tensor], networks: StackedConvNets, better: Tensor) -> None:
    """Replace the weights of some classifiers."""
    for name, now in networks.named_parameters():
        chosen = better.to(now.device).view(-1, *[1] * (now.ndim - 1))
        kept[name] = torch.where(chosen, now.detach(), kept[name])
