"""The exact linear readout: ridge regression from streamed normal equations.

Beyond the papers: SGD finds a readout that depends on its step size and on how long it runs; this
one is the best linear readout there is, up to a penalty that held-out photographs choose. Its
target is averaged to the grid of the readout, and its loss is taken there, not at full resolution.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.convolutional import Readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.held_out import hold_out
from posinfo.work import Work

BATCH_SIZE = 32
GIB = 2**30
HALF_RESOLUTION = 1e-3  # relative, of the float16 in which features are kept
SMALLEST_SD = 1e-6
ROUNDING = 3e-3  # relative: below it, a spread may be what float32 leaves of sums of squares
MATRICES = 4  # of the fit and of the held-out images, their standardised form and its factor


def fit_ridge(
    features: FeatureArray,
    targets: Float[Tensor, "k h w"],
    photographs: Sequence[str],
    config: ReadoutConfig,
    *,
    seed: int,
    work: Work,
) -> tuple[Readouts, Float[Tensor, "p k"]]:
    """The linear readout of each target with the least squared error plus penalty.

    Features are standardised, so that a penalty means the same for every channel.

    Args:
        features: features of the train images, float16, shape (n, s, s, c).
        targets: ground-truth maps at full resolution, one per readout.
        photographs: name of the photograph that each image shows: whole ones are held out.
        config: kernel size, penalties and limits.
        seed: seed of the sampled positions, which only kernels larger than 1 have.
        work: its ``device`` computes, the CPU in place of MPS: the equations are solved in
            float64. ``on_total`` and ``on_progress`` count images.

    Returns:
        The readouts in evaluation mode on the CPU, and the mean squared error on the held-out
        images for each penalty and target.

    Raises:
        ValueError: the normal equations exceed the memory limit, or have no solution.
    """
    device = torch.device("cpu") if work.device.type == "mps" else work.device
    channels, kernel = features.shape[3], config.kernel_size
    require_memory(channels, config)
    work.on_total(len(features))
    held_out = _held_out(photographs, config.ridge.held_out)
    inputs = channels * kernel**2
    fit, held = (_Equations(inputs, len(targets), device) for _ in range(2))
    offset = torch.zeros(inputs, device=device)
    for (x, y), images in _samples(features, targets, config, seed, device):
        if images[0] == 0:
            offset = x.flatten(0, 1).mean(0)  # or float32 would lose a small spread on a large mean
        for part, chosen in ((fit, ~held_out[images]), (held, held_out[images])):
            part.add(x[chosen].flatten(0, 1) - offset, y[chosen].flatten(0, 1))
        work.on_progress(len(images))
    resolution = HALF_RESOLUTION * offset.abs().double()
    solutions = fit.solve(config.ridge.penalties, resolution)
    errors = torch.stack([held.mean_squared_error(solution) for solution in solutions])
    fit.include(held)
    del held
    best = errors.argmin(0).tolist()
    weights = torch.empty_like(solutions[0])
    wanted = sorted(set(best))
    again = fit.solve([config.ridge.penalties[index] for index in wanted], resolution)
    for target, index in enumerate(best):
        weights[:, target] = again[wanted.index(index)][:, target]
    weights[-1] -= offset.double() @ weights[:-1]
    readouts = Readouts(channels, [0] * len(targets), config)
    convolution = readouts.convolutions[0]
    kernels = weights[:-1].T.reshape(len(targets), channels, kernel, kernel)
    convolution.weight.data.copy_(kernels)  # type: ignore[union-attr, operator]
    convolution.bias.data.copy_(weights[-1])  # type: ignore[union-attr, operator]
    return readouts.eval(), errors.cpu()


class _Equations:
    """Sums over rows from which a ridge regression is solved: inputs (and 1) and targets."""

    def __init__(self, inputs: int, targets: int, device: torch.device) -> None:
        options = {"dtype": torch.float64, "device": device}
        self.gram = torch.zeros(inputs + 1, inputs + 1, **options)
        self.cross = torch.zeros(inputs + 1, targets, **options)
        self.energy = torch.zeros(targets, **options)

    def add(self, x: Float[Tensor, "r d"], y: Float[Tensor, "r k"]) -> None:
        x = torch.nn.functional.pad(x, (0, 1), value=1.0)
        self.gram += x.T @ x
        self.cross += x.T @ y
        self.energy += y.square().sum(0)

    def include(self, other: "_Equations") -> None:
        self.gram += other.gram
        self.cross += other.cross
        self.energy += other.energy

    def solve(
        self, penalties: Sequence[float], resolution: Float[Tensor, " d"]
    ) -> list[Float[Tensor, "e k"]]:
        """Weights and intercept of every target for each penalty.

        An input whose sd is not above its resolution says nothing and gets no weight.
        """
        count = self.gram[-1, -1]
        mean, mean_target = self.gram[:-1, -1] / count, self.cross[-1] / count
        correlation = self.gram[:-1, :-1] / count
        correlation.addr_(mean, mean, alpha=-1)
        sd = correlation.diagonal().clamp(min=0).sqrt()
        size = (self.gram.diagonal()[:-1] / count).sqrt()
        least = torch.maximum(resolution, ROUNDING * size).clamp(min=SMALLEST_SD)
        sd = sd.where(sd > least, torch.inf)
        correlation.div_(sd).div_(sd[:, None])
        moments = (self.cross[:-1] / count - torch.outer(mean, mean_target)) / sd[:, None]
        solutions, before = [], 0.0
        for penalty in penalties:
            correlation.diagonal().add_(penalty - before)
            before = penalty
            factor, failed = torch.linalg.cholesky_ex(correlation)
            if failed:
                raise ValueError(
                    f"the ridge equations have no solution with penalty {penalty:g}: "
                    "take larger readout.ridge.penalties"
                )
            weights = torch.cholesky_solve(moments, factor) / sd[:, None]
            solutions.append(torch.cat([weights, (mean_target - mean @ weights)[None]]))
        return solutions

    def mean_squared_error(self, solution: Float[Tensor, "d k"]) -> Float[Tensor, " k"]:
        quadratic = (solution * (self.gram @ solution - 2 * self.cross)).sum(0)
        return (quadratic + self.energy) / self.gram[-1, -1]


def _samples(
    features: FeatureArray,
    targets: Tensor,
    config: ReadoutConfig,
    seed: int,
    device: torch.device,
) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Inputs (b, p, d) and targets (b, p, k) at p positions, and the indices of the b images."""
    kernel, grid = config.kernel_size, config.grid(features.shape[1])
    small = adaptive_avg_pool2d(targets.float(), grid).flatten(1).T.to(device)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(features), BATCH_SIZE):
        images = torch.arange(start, min(start + BATCH_SIZE, len(features)))
        batch = torch.from_numpy(features[images.numpy()]).to(device).float()
        windows = batch.unfold(1, kernel, 1).unfold(2, kernel, 1)  # (b, g, g, c, k, k), a view
        if kernel == 1 or config.ridge.positions >= grid**2:
            positions = torch.arange(grid**2).expand(len(images), -1)
        else:
            scores = torch.rand(len(images), grid**2, generator=generator)
            positions = scores.topk(config.ridge.positions).indices
        rows = torch.arange(len(images))[:, None]
        chosen = windows[rows, positions // grid, positions % grid].flatten(2)
        yield (chosen, small[positions.to(device)]), images


def _held_out(photographs: Sequence[str], share: float) -> Tensor:
    """A mask of the held-out images: those of some photographs, or the last ones of a single."""
    if len(set(photographs)) > 1:
        return hold_out(photographs, share)
    count = len(photographs)
    return torch.arange(count) >= count - max(1, round(share * count))


def require_memory(channels: int, config: ReadoutConfig) -> None:
    """Refuse normal equations that exceed ``readout.ridge.memory_gib``.

    Args:
        channels: number of channels of the features.
        config: kernel size and limit.

    Raises:
        ValueError: they exceed it; the message says what to change.
    """
    needed = MATRICES * 8 * (channels * config.kernel_size**2) ** 2 / GIB
    if needed > config.ridge.memory_gib:
        raise ValueError(
            f"a ridge readout of {channels} channels with kernel_size {config.kernel_size} needs "
            f"{needed:.1f} GiB for its normal equations; readout.ridge.memory_gib is "
            f"{config.ridge.memory_gib:g}: use fewer blocks, a smaller kernel, or raise the limit"
        )
