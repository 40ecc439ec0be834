"""The environments of conf/ are merged as Kedro merges them, and their values make sense."""

import pytest
from kedro.config import OmegaConfigLoader

from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet_ablations.parameters import check_parameters
from tests.conftest import PROJECT


@pytest.fixture
def parameters():
    def load(environment):
        loader = OmegaConfigLoader(
            str(PROJECT / "conf"),
            base_env="base",
            default_run_env=environment,
            merge_strategy={"parameters": "soft"},
        )
        return loader["parameters"]

    return load


def test_paper_is_the_papers_setting(parameters, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "posinfo.networks.backbones.check_source",
        lambda arch, weights, *_: asked.append((arch, weights)),
    )
    loaded = parameters("paper")
    check_parameters(loaded)
    posenet = PosenetParameters.model_validate(loaded["posenet"])
    assert (posenet.readout.epochs, posenet.readout.steps) == (15, None)
    assert (posenet.readout.batch_size, posenet.readout.hidden_width) == (32, "same")
    assert {("vgg16", "imagenet"), ("resnet152", "imagenet")} <= set(asked)
    assert ("vgg16", "hed-bsds500") not in asked
    assert loaded["photos"]["train_dir"].endswith("DUTS-TR-Image")


def test_test_is_valid(parameters):
    check_parameters(parameters("test"))
