import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.augshift.train import NetworkCell, run
from posinfo.networks.models.augshift import AugShiftConfig, build_latent_classifier
from posinfo.networks.training.augshift import train_augshift
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.crops import UNSHIFTED, Crops, ShiftConfig
from posinfo.work import Work

METHOD = {"width": 2, "latent_weight": 1, "loss": "mean"}
SETTINGS = {
    "method": AugShiftConfig(method="augshift", **METHOD),
    "classes": 5,
    "augmentation": ShiftConfig(max_shift=4, padding="zero"),
    "training": TrainingConfig(
        epochs=12, batch_size=8, optimiser="sgd", lr=0.1, betas=None, momentum=0.9,
        weight_decay=5e-4, schedule="cosine", mirrored=True, keep="last", compile=False,
    ),
    "seed": 3,
}  # fmt: skip


def labelled_images():
    generator = torch.Generator().manual_seed(0)
    tensors = {"mean": torch.tensor([0.4, 0.5, 0.6]), "std": torch.tensor([0.2, 0.25, 0.3])}
    for split, count in {"train": 20, "validation": 10, "test": 12}.items():
        shape = (count, 3, 32, 32)
        pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.cat([torch.tensor([4]), torch.randint(5, (count - 1,), generator=generator)])
        tensors |= {f"{split}.pixels": pixels, f"{split}.labels": labels}
    return Result(tensors=tensors)


@pytest.fixture(scope="session")
def images():
    return labelled_images()


def test_network_is_trained_on_crops_and_measured_on_whole_images(images):
    cell = NetworkCell(**SETTINGS)
    result = run(cell, {"images": images}, Work())
    train = Crops.of(images.tensors, "train", cell.augmentation, Work())
    validation = Crops.of(images.tensors, "validation", UNSHIFTED, Work())
    network = build_latent_classifier(cell.method, 5, 3)
    fitted = train_augshift(
        network, train, validation, cell.method, cell.training, seed=3, work=Work()
    )
    for name, tensor in network.state_dict().items():
        assert torch.equal(result.tensors[name], tensor), name
    assert result.history["train_loss"] == fitted.losses.tolist()
    assert result.history["validation_accuracy"] == fitted.scores.tolist()
    assert len(fitted.scores.unique()) > 2
    assert result.facts == {"epoch": 12}
    assert torch.equal(result.tensors["colours.std"], images.tensors["std"])


def test_training_goes_on_from_its_checkpoint_to_the_same_weights(images, tmp_path):
    cell, work = NetworkCell(**SETTINGS), Work(checkpoint=tmp_path / "a.pt")
    whole = run(cell, {"images": images}, Work())

    class Interrupted(Exception):
        pass

    def stop(*_):
        raise Interrupted

    with pytest.raises(Interrupted):
        run(cell, {"images": images}, Work(checkpoint=work.checkpoint, on_epoch=stop))
    steps = []
    resumed = Work(checkpoint=work.checkpoint, on_progress=steps.append)
    result = run(cell, {"images": images}, resumed)
    assert steps[0] > 0  # those of the first epoch were done before
    assert result.history == whole.history
    for name, tensor in whole.tensors.items():
        assert torch.equal(result.tensors[name], tensor), name


def test_fewer_images_than_a_batch_are_refused(images):
    training = SETTINGS["training"].model_copy(update={"batch_size": 99})
    with pytest.raises(ValueError, match="20 train images are fewer than a batch of 99"):
        run(NetworkCell(**{**SETTINGS, "training": training}), {"images": images}, Work())
