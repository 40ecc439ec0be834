"""The PosENet readout: a small convolutional head on frozen features (Islam et al., section 3.1).

Convolutions of one width with BatchNorm and ReLU between them, and a last convolution to one
channel, with BatchNorm and a sigmoid as in the released code or with nothing as in the paper.
Heads that read the same features are trained side by side as the channels of one convolution.
Every layer keeps them apart and SGD updates each weight by its own gradient, so each head learns
what it would learn alone.
"""

from collections.abc import Iterator
from itertools import pairwise
from zlib import crc32

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.upsampled_loss import UpsampledMSE
from posinfo.networks.training.loop import fit
from posinfo.work import Work

BATCH_ORDER_SEED = 0


def initial_seed(pattern: str, seed: int) -> int:
    """The seed of one head's initial weights: each pattern and seed starts somewhere else."""
    return crc32(f"{pattern} {seed}".encode())


class Readouts(nn.Module):
    """Several heads that read the same features.

    Args:
        channels: number of channels of the features.
        seeds: seed of the initial weights of each head.
        config: kernel, layers, width and padding.
    """

    def __init__(self, channels: int, seeds: list[int], config: ReadoutConfig) -> None:
        super().__init__()
        heads = len(seeds)
        hidden = channels if config.hidden_width == "same" else config.hidden_width
        widths = list(pairwise([channels, *[hidden] * (config.layers - 1), 1]))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                width_in if layer == 0 else heads * width_in,
                heads * width_out,
                config.kernel_size,
                padding=config.padding,
                groups=1 if layer == 0 else heads,
            )
            for layer, (width_in, width_out) in enumerate(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(heads * width_out) for _, width_out in widths)
        self.bounded = config.head == "code"
        if not self.bounded:
            self.norms[-1] = nn.Identity()
        self._initialise(seeds)

    def _initialise(self, seeds: list[int]) -> None:
        """Xavier-uniform kernels and zero biases, as released, drawn head by head."""
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
            nn.init.zeros_(convolution.bias)
            kernels = convolution.weight.data.chunk(len(seeds))
            for kernel, generator in zip(kernels, generators, strict=True):
                nn.init.xavier_uniform_(kernel, generator=generator)

    def forward(self, features: Float[Tensor, "n c s s"]) -> Float[Tensor, "n k g g"]:
        """The predicted map of every head; in (0, 1) where the head ends in a sigmoid."""
        *hidden, last = zip(self.convolutions, self.norms, strict=True)
        for convolution, norm in hidden:
            features = torch.relu(norm(convolution(features)))
        convolution, norm = last
        maps = norm(convolution(features).float())
        return torch.sigmoid(maps) if self.bounded else maps


def train_readouts(
    features: FeatureArray,
    targets: Float[Tensor, "k h w"],
    seeds: list[int],
    config: ReadoutConfig,
    work: Work,
) -> tuple[Readouts, Float[Tensor, "e k"]]:
    """Fit one head per target, all in the same passes over the features.

    The order of the batches is the same for every head and seed; a seed varies the initial
    weights alone.

    Args:
        features: features of the train images, float16, shape (n, s, s, c).
        targets: ground-truth maps at full resolution, one per head.
        seeds: seed of the initial weights of each head.
        config: the protocol.
        work: its ``dtype`` is that of the convolutions; the last BatchNorm, the sigmoid and the
            loss are float32. ``on_total`` and ``on_progress`` count steps.

    Returns:
        The fitted heads in evaluation mode on ``work.device``, and the mean loss of each head in
        each epoch.

    Raises:
        FloatingPointError: a loss is not finite.
        ValueError: fewer images than a batch, or no pixels left to predict.
    """
    count, side, _, channels = features.shape
    steps = config.total_steps(count)
    grid = config.grid(side)
    readouts = Readouts(channels, seeds, config).to(work.device)
    readouts = readouts.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = UpsampledMSE(targets, (grid, grid)).to(work.device)
    optimiser = torch.optim.SGD(
        readouts.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, max(1, round(steps * 2 / 3)))

    def loss_of(batch: Tensor) -> Tensor:
        with work.autocast():
            predictions = readouts(batch)
        return config.loss_scale * loss(predictions.float())

    work.on_total(steps)
    batches = _batches(features, config.batch_size, steps, work)
    history = fit(readouts, batches, loss_of, optimiser, schedule, work.on_progress)
    epochs = history.split(count // config.batch_size)
    return readouts.eval(), torch.stack([epoch.mean(0) for epoch in epochs])


def _batches(
    features: FeatureArray, size: int, steps: int, work: Work
) -> Iterator[Float[Tensor, "b c s s"]]:
    """Shuffled batches, epoch after epoch; the incomplete batch at an epoch's end is left out."""
    generator = torch.Generator().manual_seed(BATCH_ORDER_SEED)
    batch = torch.empty(size, *features.shape[1:], dtype=work.dtype, device=work.device)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(len(features), generator=generator)
        chosen, order = order[:size], order[size:]
        batch.copy_(torch.from_numpy(features[chosen.sort().values.numpy()]))
        yield batch.permute(0, 3, 1, 2)
