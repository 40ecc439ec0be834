import pytest
import torch
from torch import nn

from posinfo.networks.training.loop import epoch_generator, fit, fit_epochs
from posinfo.work import Work


def setup(lr=0.1):
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimiser = torch.optim.SGD(model.parameters(), lr)
    return model, optimiser, torch.optim.lr_scheduler.StepLR(optimiser, 1, 0.5)


def test_steps_follow_the_schedule():
    model, optimiser, schedule = setup()
    history = fit(model, [torch.ones(1)] * 2, lambda x: model(x).square(), optimiser, schedule)
    # w: 2 -> 2 - .1 * 4 = 1.6 -> 1.6 - .05 * 3.2 = 1.44
    assert model.weight.item() == pytest.approx(1.44)
    torch.testing.assert_close(history, torch.tensor([[4.0], [2.56]]))


def test_loss_of_an_epoch_is_the_mean_over_its_steps():
    model, optimiser, schedule = setup()
    fitted = fit_epochs(
        model, 1, lambda epoch: [torch.ones(1)] * 2, lambda x: model(x).square(), optimiser,
        schedule, validate=lambda: 1.0, keep="last", seed=0,
    )  # fmt: skip
    assert fitted.losses.tolist() == pytest.approx([(4.0 + 2.56) / 2])


def test_every_seed_and_epoch_draws_by_itself():
    pairs = [(seed, epoch) for seed in range(4) for epoch in range(1, 5)]
    drawn = {pair: torch.rand(4, generator=epoch_generator(*pair)) for pair in pairs}
    assert len(torch.stack([*drawn.values()]).unique(dim=0)) == len(pairs)
    assert torch.equal(torch.rand(4, generator=epoch_generator(2, 3)), drawn[2, 3])


def test_progress_is_told_after_each_step():
    model, optimiser, schedule = setup()
    done = []
    fit(model, [torch.ones(1)] * 3, lambda x: model(x).square(), optimiser, schedule, done.append)
    assert done == [1, 1, 1]


def test_diverging_loss_stops_with_its_step():
    model, optimiser, schedule = setup(lr=1e30)
    with pytest.raises(
        FloatingPointError, match=r"^the loss is \[inf\] in step 2: lower the learning"
    ):
        fit(model, [torch.ones(1)] * 9, lambda x: model(x).square(), optimiser, schedule)


def test_divergence_is_found_between_checks_and_names_the_first_step():
    model, optimiser, schedule = setup()
    batches = [torch.ones(1)] * 57 + [torch.tensor([float("nan")])] + [torch.ones(1)] * 3
    with pytest.raises(FloatingPointError, match=r"^the loss is \[nan\] in step 58: "):
        fit(model, batches, lambda x: model(x).square(), optimiser, schedule)


class Noisy(nn.Module):
    """Draws at random in its forward pass, from a generator that is part of its state."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(3, 1)
        self.norm = nn.BatchNorm1d(3)
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        return self.line(self.norm(x) + torch.rand(x.shape, generator=self.generator))

    def get_extra_state(self):
        return self.generator.get_state()

    def set_extra_state(self, state):
        self.generator.set_state(state)


class Stopped(Exception):
    pass


def train_noisy(
    checkpoint, epochs=5, stop_after=None, score=None, batches=None, keep="best", **callbacks
):
    torch.manual_seed(0)
    model = Noisy()
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 20)
    seen = []

    def drawn(epoch):
        generator = torch.Generator().manual_seed(epoch)
        for step in range(4):
            if stop_after == (epoch, step):
                raise Stopped
            yield torch.rand(8, 3, generator=generator)

    def validate():
        model.eval()
        seen.append(model(torch.ones(2, 3)).sum().item())
        return seen[-1] if score is None else score(len(seen))

    fitted = fit_epochs(
        model, epochs, batches or drawn, lambda x: model(x).square().mean()[None], optimiser,
        schedule, validate=validate, keep=keep, seed=0,
        work=Work(checkpoint=checkpoint, **callbacks),
    )  # fmt: skip
    return model, fitted


@pytest.mark.parametrize("stop", [(1, 2), (3, 0), (5, 3)])
def test_resumed_training_ends_with_the_same_weights(tmp_path, stop):
    whole, expected = train_noisy(tmp_path / "whole.pt")
    with pytest.raises(Stopped):
        train_noisy(tmp_path / "cut.pt", stop_after=stop)
    done = []
    resumed, got = train_noisy(tmp_path / "cut.pt", on_progress=done.append)
    assert done == [4 * (stop[0] - 1)] + [1] * 4 * (6 - stop[0])  # what was done counts too
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    assert torch.equal(got.losses, expected.losses) and torch.equal(got.scores, expected.scores)
    assert got.epoch == expected.epoch


def test_finished_training_is_not_repeated(tmp_path):
    first, _ = train_noisy(tmp_path / "a.pt")
    done = []
    again, fitted = train_noisy(tmp_path / "a.pt", on_progress=done.append)
    assert done == [20] and len(fitted.losses) == 5
    assert set(torch.load(tmp_path / "a.pt")) == {"steps", "losses", "scores", "kept"}
    assert torch.equal(first.line.weight, again.line.weight)


def test_every_epoch_that_is_trained_now_is_reported_once_it_is_stored(tmp_path):
    epochs, stored = [], []

    def on_epoch(*epoch):
        epochs.append(epoch)
        stored.append(len(torch.load(tmp_path / "a.pt", weights_only=True)["losses"]))

    with pytest.raises(Stopped):
        train_noisy(tmp_path / "a.pt", stop_after=(3, 1), on_epoch=on_epoch)
    assert [epoch for epoch, *_ in epochs] == stored == [1, 2]
    _, fitted = train_noisy(tmp_path / "a.pt", on_epoch=on_epoch)
    assert [epoch for epoch, *_ in epochs] == stored == [1, 2, 3, 4, 5]
    torch.testing.assert_close(fitted.losses, torch.tensor([loss for _, loss, _ in epochs]))
    torch.testing.assert_close(fitted.scores, torch.tensor([score for *_, score in epochs]))
    train_noisy(tmp_path / "a.pt", on_epoch=on_epoch)  # finished: nothing is trained
    assert len(epochs) == 5


def test_without_a_checkpoint_the_weights_are_the_same_and_nothing_is_stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain, fitted = train_noisy(None)
    assert not list(tmp_path.iterdir())
    stored, expected = train_noisy(tmp_path / "a.pt")
    for name, value in stored.state_dict().items():
        assert torch.equal(plain.state_dict()[name], value), name
    assert torch.equal(fitted.losses, expected.losses)
    assert torch.equal(fitted.scores, expected.scores)
    with pytest.raises(Stopped):
        train_noisy(None, stop_after=(2, 0))
    done = []
    train_noisy(None, on_progress=done.append)
    assert done == [0] + [1] * 20  # from the first epoch again


def train_with_dropout(checkpoint=None, *, seed=0, epochs=3, lr=0.1, stop_after=None, device="cpu"):
    """The first weights and the loss of each epoch."""

    def stop(epoch, loss, score):
        if epoch == stop_after:
            raise Stopped

    model = nn.Sequential(nn.Linear(3, 64), nn.Dropout(0.5), nn.Linear(64, 1))
    with torch.no_grad():
        for weights in model.parameters():
            weights.fill_(0.1)
    optimiser = torch.optim.SGD(model.parameters(), lr)
    fitted = fit_epochs(
        model, epochs, lambda epoch: [torch.ones(4, 3)] * 2,
        lambda x: model(x).square().mean()[None], optimiser,
        torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0), validate=lambda: 1.0,
        keep="last", seed=seed,
        work=Work(torch.device(device), checkpoint=checkpoint, on_epoch=stop),
    )  # fmt: skip
    return next(model.parameters()), fitted.losses


def test_dropout_is_the_seed_s_in_one_process_and_in_two(tmp_path):
    once, _ = train_with_dropout()
    assert train_with_dropout()[0].equal(once)
    assert not train_with_dropout(seed=1)[0].equal(once)
    with pytest.raises(Stopped):
        train_with_dropout(tmp_path / "a.pt", stop_after=1)
    assert train_with_dropout(tmp_path / "a.pt")[0].equal(once)


def test_every_epoch_has_dropout_of_its_own():
    _, losses = train_with_dropout(lr=0.0)
    assert len(losses.unique()) == 3


def test_dropout_does_not_repeat_the_draws_of_order_and_flips():
    drawn = []

    def loss_of(images):
        drawn.append(torch.rand(8))  # what a layer would draw
        return model(images).mean(0)

    model = nn.Linear(1, 1)
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    fit_epochs(
        model, 2, lambda epoch: [torch.ones(1, 1)], loss_of, optimiser, schedule,
        validate=lambda: 1.0, keep="last", seed=4,
    )  # fmt: skip
    for epoch, values in enumerate(drawn, 1):
        assert not torch.isin(values, torch.rand(8, generator=epoch_generator(4, epoch))).any()


def test_dropout_leaves_the_caller_s_draws_alone():
    torch.manual_seed(5)
    train_with_dropout(epochs=1)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train_with_dropout(epochs=3)
    assert torch.rand(2).equal(expected)


class Gpu:
    """What PyTorch has of a GPU's generator; an epoch is trained with its state alone."""

    state = "the caller's"

    def __init__(self):
        self.seeds = []

    def is_available(self):
        return True

    def get_rng_state(self):
        return self.state

    def manual_seed(self, seed):
        assert self.state == "the caller's", "restored after each epoch"
        self.state = seed
        self.seeds.append(seed)

    def set_rng_state(self, state):
        self.state = state


def test_dropout_on_a_gpu_has_a_seed_that_leaves_the_caller_s_draws_alone(monkeypatch):
    gpu, module_of = Gpu(), torch.get_device_module
    monkeypatch.setattr(
        torch, "get_device_module",
        lambda device: gpu if device == torch.device("mps") else module_of(device),
    )  # fmt: skip
    train_with_dropout(device="mps")
    assert gpu.state == "the caller's" and len(set(gpu.seeds)) == 3
    again = gpu.seeds.copy()
    train_with_dropout(device="mps")
    assert gpu.seeds == again * 2
    gpu.seeds.clear()
    train_with_dropout(device="mps", seed=1)
    assert not set(gpu.seeds) & set(again)


def test_work_can_be_left_out():
    model, optimiser, schedule = setup()
    fitted = fit_epochs(
        model, 2, lambda epoch: [torch.ones(1)], lambda x: model(x).square(), optimiser, schedule,
        validate=lambda: 1.0, keep="last", seed=0,
    )  # fmt: skip
    assert model.weight.item() == pytest.approx(1.44) and fitted.epoch == 2


def test_weights_are_those_of_the_first_best_epoch(tmp_path):
    scores = {1: 0.1, 2: 0.9, 3: 0.3, 4: 0.9, 5: 0.2}
    best, fitted = train_noisy(tmp_path / "a.pt", score=scores.get)
    assert fitted.epoch == 2
    torch.testing.assert_close(fitted.scores, torch.tensor(list(scores.values())))
    second, _ = train_noisy(tmp_path / "b.pt", epochs=2, score=scores.get)
    assert torch.equal(best.line.weight, second.line.weight)


def test_weights_of_the_last_epoch(tmp_path):
    scores = {1: 0.1, 2: 0.9, 3: 0.3}
    last, fitted = train_noisy(tmp_path / "a.pt", 3, score=scores.get, keep="last")
    assert fitted.epoch == 3
    rising, _ = train_noisy(tmp_path / "b.pt", 3, score=float, keep="best")
    assert torch.equal(last.line.weight, rising.line.weight)


def test_divergence_in_an_epoch_keeps_the_checkpoint_before(tmp_path):
    def broken(epoch):
        return [torch.rand(8, 3) if epoch < 3 else torch.full((8, 3), float("nan"))]

    with pytest.raises(FloatingPointError, match=r"^epoch 3: the loss is \[nan\] in step 1: lower"):
        train_noisy(tmp_path / "a.pt", batches=broken)
    assert len(torch.load(tmp_path / "a.pt", weights_only=True)["losses"]) == 2


def test_weights_that_are_no_longer_finite_are_never_stored(tmp_path):
    model, optimiser, schedule = setup(lr=1e38)  # 2 - 1e38 * 4 is beyond float32
    with pytest.raises(FloatingPointError, match="^epoch 1: weight is no longer finite: lower the"):
        fit_epochs(
            model, 1, lambda epoch: [torch.ones(1)], lambda x: model(x).square(), optimiser,
            schedule, validate=lambda: 1.0, keep="best", seed=0,
            work=Work(checkpoint=tmp_path / "a.pt"),
        )  # fmt: skip
    assert not (tmp_path / "a.pt").exists()


def test_score_that_is_no_number(tmp_path):
    with pytest.raises(FloatingPointError, match="^epoch 1: the validation score is nan: lower"):
        train_noisy(tmp_path / "a.pt", score=lambda _: float("nan"))
