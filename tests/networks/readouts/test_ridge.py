import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import adaptive_avg_pool2d

from posinfo.networks.readouts.config import RidgeConfig
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.ridge import fit_ridge
from posinfo.stimuli.patterns import make_pattern
from posinfo.work import Work

COUNT, SIDE, CHANNELS = 40, 6, 5
PHOTOGRAPHS = [f"photo {index % 8}" for index in range(COUNT)]


@pytest.fixture
def features():
    values = np.random.default_rng(0)
    ramp = np.linspace(0, 1, SIDE)[:, None]  # one channel knows the row, in one place more
    array = values.normal(size=(COUNT, SIDE, SIDE, CHANNELS)) + 3
    array[..., 0] += 0.5 * ramp
    return array.astype(np.float16)


@pytest.fixture
def targets():
    return torch.stack([make_pattern(name, (24, 24)) for name in ("vertical", "gaussian")])


def config(protocol, penalties=(0.1,), positions=64, **changes):
    ridge = RidgeConfig(penalties=penalties, held_out=0.25, positions=positions, memory_gib=1)
    return protocol.model_copy(update={"head": "ridge", "ridge": ridge, **changes})


def fit(features, targets, settings, photographs=PHOTOGRAPHS, seed=0):
    array = FeatureArray(features)
    return fit_ridge(array, targets, photographs, settings, seed=seed, work=Work())


def windows(features, kernel):
    view = np.lib.stride_tricks.sliding_window_view(
        features.astype(float), (kernel, kernel), (1, 2)
    )
    return view.reshape(-1, CHANNELS * kernel**2)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_solution_is_that_of_scikit_learn(features, targets, protocol, kernel_size):
    readouts, _ = fit(features, targets, config(protocol, kernel_size=kernel_size))
    grid = SIDE - kernel_size + 1
    x = windows(features, kernel_size)
    y = adaptive_avg_pool2d(targets, grid).flatten(1).T.repeat(COUNT, 1).numpy()
    model = Ridge(alpha=0.1 * len(x)).fit(StandardScaler().fit_transform(x), y)
    expected = model.predict(StandardScaler().fit_transform(x)).reshape(COUNT, grid, grid, 2)
    shown = torch.from_numpy(features).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        predicted = readouts(shown).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def test_penalty_is_the_best_on_whole_held_out_photographs(features, targets, protocol):
    settings = config(protocol, penalties=(1e-4, 0.1, 1e4), kernel_size=1)
    readouts, errors = fit(features, targets, settings)
    assert errors.shape == (3, 2)
    assert errors[2, 0] > errors[:2, 0].min()  # an absurd penalty reads no row
    best = [settings.ridge.penalties[index] for index in errors.argmin(0)]
    for target, penalty in enumerate(best):
        alone, _ = fit(features, targets, config(protocol, penalties=(penalty,), kernel_size=1))
        torch.testing.assert_close(
            readouts.convolutions[0].weight[target], alone.convolutions[0].weight[target]
        )


def test_each_penalty_is_tried_by_itself(features, targets, protocol):
    penalties = (0.5, 1.0, 2.0)
    _, errors = fit(features, targets, config(protocol, penalties=penalties, kernel_size=1))
    for penalty, error in zip(penalties, errors, strict=True):
        _, alone = fit(features, targets, config(protocol, penalties=(penalty,), kernel_size=1))
        torch.testing.assert_close(error, alone[0])


def test_steps_of_half_precision_say_nothing(features, targets, protocol):
    """Around 1000, float16 knows halves alone: that one shows the row is a matter of rounding."""
    features[..., 2] = 1000 + 0.5 * (np.arange(SIDE) >= SIDE // 2)[:, None]
    readouts, _ = fit(features, targets, config(protocol, kernel_size=1))
    assert (readouts.convolutions[0].weight[:, 2] == 0).all()
    assert (readouts.convolutions[0].weight[:, 0] != 0).all()


def test_held_out_error_is_measured_on_photographs_that_were_not_fitted(
    features, targets, protocol
):
    _, errors = fit(features, targets, config(protocol, kernel_size=1))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0)).tolist()
    held = np.isin(PHOTOGRAPHS, [f"photo {index}" for index in order[:2]])
    y = adaptive_avg_pool2d(targets, SIDE).flatten(1).T.numpy()
    train, test = (windows(features[rows], 1) for rows in (~held, held))
    scaler = StandardScaler().fit(train)
    model = Ridge(alpha=0.1 * len(train)).fit(
        scaler.transform(train), np.tile(y, ((~held).sum(), 1))
    )
    residual = model.predict(scaler.transform(test)) - np.tile(y, (held.sum(), 1))
    np.testing.assert_allclose(errors[0], (residual**2).mean(0), rtol=1e-4)


def test_sampled_positions_follow_the_seed(features, targets, protocol):
    settings = config(protocol, positions=4)
    first, again, other = (fit(features, targets, settings, seed=seed)[0] for seed in (0, 0, 1))
    kernels = [readouts.convolutions[0].weight for readouts in (first, again, other)]
    assert torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernels[2])


def test_images_are_counted(features, targets, protocol):
    totals, done = [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    fit_ridge(FeatureArray(features), targets, PHOTOGRAPHS, config(protocol), seed=0, work=work)
    assert totals == [COUNT] == [sum(done)]


def test_constant_channel_and_single_photograph_are_no_obstacle(features, targets, protocol):
    features[..., 2] = 0
    settings = config(protocol, kernel_size=1)
    readouts, errors = fit(features, targets, settings, photographs=["one"] * COUNT)
    assert errors.isfinite().all()
    assert (readouts.convolutions[0].weight[:, 2] == 0).all()


def test_large_means_with_a_small_spread_are_no_obstacle(features, targets, protocol):
    shared = np.random.default_rng(1).normal(size=(COUNT, SIDE, SIDE, 1))
    far = (features.astype(float) * 0.3 + shared + 100).astype(np.float16)
    readouts, _ = fit(far, targets, config(protocol, penalties=(1e-4,), kernel_size=1))
    x, y = windows(far, 1), adaptive_avg_pool2d(targets, SIDE).flatten(1).T.repeat(COUNT, 1)
    scaled = StandardScaler().fit_transform(x)
    expected = Ridge(alpha=1e-4 * len(x)).fit(scaled, y.numpy()).predict(scaled)
    with torch.no_grad():
        predicted = readouts(torch.from_numpy(far).float().permute(0, 3, 1, 2))
    np.testing.assert_allclose(
        predicted.permute(0, 2, 3, 1).reshape(-1, 2), expected, rtol=1e-3, atol=1e-4
    )


def test_memory_limit_says_what_to_change(targets, protocol):
    wide = np.zeros((COUNT, SIDE, SIDE, 5000), dtype=np.float16)
    with pytest.raises(ValueError) as raised:
        fit(wide, targets, config(protocol))
    assert str(raised.value) == (
        "a ridge readout of 5000 channels with kernel_size 3 needs 60.3 GiB for its normal "
        "equations; readout.ridge.memory_gib is 1: use fewer blocks, a smaller kernel, or raise "
        "the limit"
    )


def test_constant_inputs_say_nothing_whatever_float32_leaves_of_their_sums(protocol):
    """Channels that a held-out photograph alone moves: constant elsewhere, far from their mean."""
    values = np.random.default_rng(0)
    array = values.normal(size=(32, 28, 28, 120)).astype(np.float16)
    photographs = [f"photo {index % 4}" for index in range(32)]
    held_out = [name == "photo 2" for name in photographs]
    array[..., :80] = 0
    array[held_out, ..., :80] = values.uniform(900, 1700, size=80).astype(np.float16)
    targets = torch.stack([make_pattern("vertical", (28, 28))])
    settings = config(protocol, kernel_size=1, penalties=(1e-4,))
    for chosen in ("photo 0", "photo 1", "photo 2", "photo 3"):  # one of them is held out
        names = [{"photo 2": chosen, chosen: "photo 2"}.get(n, n) for n in photographs]
        readouts, errors = fit(array, targets, settings, photographs=names)
        assert errors.isfinite().all()
        assert all(p.isfinite().all() for p in readouts.parameters())
