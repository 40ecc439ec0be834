"""`kedro run --pipeline=channel_attack` from end to end, on tiny settings."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from posinfo.experiments import CHANNEL_ATTACK
from posinfo.networks.models.segmenters import SegmenterConfig, build_segmenter
from posinfo.networks.models.trained_file import trained_colours, without_colours
from posinfo.networks.training.segmentation import LabelledPixels
from posinfo.stimuli.scenes import CLASSES
from tests.integration.conftest import (
    CONFIG,
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    to_compute,
)
from tests.stimuli.test_cityscapes import write_cityscapes
from tests.stimuli.test_voc import write_voc

MINE = """
from torch import nn


def build():
    network = nn.Sequential()
    network.add_module("trunk", nn.Conv2d(3, 10, 3, padding=1))
    network.add_module("head", nn.Conv2d(10, 21, 1))
    return network
"""
REPORTS = "08_reporting/channel_attack"
PLAIN, PLANTED = "small_deeplab", "small_deeplab-circular-planted2-shifted"
CHANNELS = {PLAIN: 32, PLANTED: 34}


@pytest.fixture(scope="module")
def attacked(finished) -> Copy:
    return finished("channel_attack")


def table(attacked, name):
    return pd.read_csv(attacked.data / REPORTS / f"{name}.csv", keep_default_na=False)


def test_scores_have_a_row_per_attack_region_and_seed(attacked):
    scores = table(attacked, "scores")
    assert list(scores.columns) == [
        "network", "protocol", "ranking", "n_channels", "band", "region", "draw", "seed",
        "replacement", "miou",
    ]  # fmt: skip
    networks = scores.groupby(["network", "seed"], sort=False)
    assert list(networks.groups) == [(PLAIN, 0), (PLAIN, 1), (PLANTED, 0)]
    for _, rows in networks:
        assert set(rows.region) == {"full", "left", "right", "centre"}
        held_out = rows[(rows.protocol == "held_out") & (rows.region == "full")]
        assert held_out.ranking.value_counts().to_dict() == {
            "none": 1, "probe": 2, "overall": 2 * 3, "random": 2 * 3, "random_matched": 3,
        }  # fmt: skip
    assert scores.miou.between(0, 1).all()


def test_scores_are_those_of_the_stored_network(attacked):
    """Each top of `overall`, silenced by hand in the stored weights."""
    scores = table(attacked, "scores").query("ranking == 'overall' and replacement == 'zero'")
    label = f"{PLAIN}-seed1"
    stored = load_file(
        attacked.data / f"06_models/channel_attack/train/{label}/tensors.safetensors"
    )
    scenes = load_file(
        attacked.data / "03_primary/channel_attack/scenes/symmetric/tensors.safetensors"
    )
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="zero", planted=0)
    network = build_segmenter(config, 8, seed=5).eval()
    network.load_state_dict(without_colours(stored))
    data = LabelledPixels(scenes["test.pixels"], scenes["test.labels"], trained_colours(stored))
    ranking = table(attacked, "channel_ranking").query(f"network == '{PLAIN}' and seed == 1")
    order = ranking.sort_values("rank_overall").channel.to_numpy()
    rows = scores.query(f"network == '{PLAIN}' and seed == 1 and protocol == 'held_out'")
    top = rows[rows.band == "0-8"].set_index("region").miou
    with torch.inference_mode():
        latent = network.backbone(data.images(slice(None)))["out"]
        latent[:, order[:8].copy()] = 0
        small = network.classifier(latent)
        logits = torch.nn.functional.interpolate(
            small, data.labels.shape[1:], mode="bilinear", align_corners=False
        )
    for region, columns in (("full", slice(0, 96)), ("right", slice(48, 96))):
        right, found = (each[..., columns].numpy() for each in (data.labels, logits.argmax(1)))
        ious = []
        for kind in range(8):
            union = ((right == kind) | (found == kind)).sum()
            if union:
                ious.append(((right == kind) & (found == kind)).sum() / union)
        assert top[region] == pytest.approx(np.mean(ious))


def test_channels_have_a_row_each(attacked):
    ranking = table(attacked, "channel_ranking")
    for (network, _), rows in ranking.groupby(["network", "seed"]):
        assert list(rows.channel) == list(range(CHANNELS[network]))
        for order in ("rank_overall", "rank_left", "rank_right", "rank_probe"):
            assert sorted(rows[order]) == list(range(CHANNELS[network]))
        first = rows.sort_values("rank_overall").mean_abs_difference.astype(float)
        assert first.is_monotonic_decreasing
        signed = rows.sort_values("rank_left").mean_signed_difference.astype(float)
        assert signed.is_monotonic_decreasing


def test_intact_networks_have_a_row_each(attacked):
    networks = pd.read_csv(attacked.data / REPORTS / "networks.csv").set_index(["network", "seed"])
    scores = table(attacked, "scores").query("ranking == 'none'")
    assert list(networks.index) == [(PLAIN, 0), (PLAIN, 1), (PLANTED, 0)]
    for row in scores.itertuples():
        found = networks.loc[(row.network, row.seed), f"miou_{row.protocol}_{row.region}"]
        assert found == pytest.approx(row.miou)
    channels = table(attacked, "channel_ranking")
    medians = channels.groupby(["network", "seed"]).probe_x.median()
    assert networks.probe_x.to_dict() == pytest.approx(medians.to_dict())
    assert networks.miou_mirrored.between(0, 1).all()


def test_classes_have_their_own_scores(attacked):
    """The mean over the classes that are there is the mean IoU of the same attack."""
    ious = pd.read_csv(attacked.data / REPORTS / "class_iou.csv")
    assert set(ious["class"]) == set(CLASSES)
    place = ["network", "seed", "protocol", "ranking", "band", "replacement"]
    means = ious.groupby(place).iou.mean()
    scores = table(attacked, "scores").query("region == 'full'")
    scores = scores[~scores.ranking.str.contains("random")]
    assert means.to_dict() == pytest.approx(scores.set_index(place).miou.to_dict())


def test_rings_have_scores_of_their_own(attacked):
    border = pd.read_csv(attacked.data / REPORTS / "border.csv")
    assert border.groupby(["network", "seed"]).size().tolist() == [2, 1 + 1, 2]
    first = border.iloc[:2]
    assert first.from_px.tolist() == [0, 8] and first.to_px.fillna(-1).tolist() == [8, -1]
    assert border.miou.between(0, 1).all()
    assert "| 0 px to 8" in attacked.read(f"{REPORTS}/table.md").decode()


def test_a_classifier_is_attacked_on_photographs_that_did_not_rank_its_channels(attacked):
    scores = pd.read_csv(attacked.data / REPORTS / "classifiers.csv", keep_default_na=False)
    assert set(scores.network) == {"lite0"} and set(scores.protocol) == {"held_out", "released"}
    assert (scores.agreement[scores.ranking == "none"].astype(float) == 1).all()
    assert scores.agreement.astype(float).between(0, 1).all()
    found = attacked.children("channel_attack")["lite0"].data
    assert scores.groupby("protocol").n.first().to_dict() == {"held_out": 5, "released": 6}
    first = scores[(scores.ranking == "overall") & (scores.band == "0-320")]
    first = first[first.replacement == "zero"].set_index("protocol").agreement.astype(float)
    assert found.metrics["agreement_held_out"] == pytest.approx(first["held_out"])
    assert "same class, held_out" in attacked.read(f"{REPORTS}/classifier_table.md").decode()


def test_run_ends_with_the_tables(attacked):
    text = attacked.read(f"{REPORTS}/table.md").decode()
    assert text in attacked.result.stdout
    assert f"| {PLANTED}" in text and "percentile of each seed" in text


def test_run_says_at_its_start_what_it_computes(attacked):
    said = to_compute(attacked.result.stdout, "channel_attack")
    assert said == (
        "scenes 4 of 4, train 3 of 3, channels 3 of 3, attack 3 of 3, images 1 of 1, rank 1 of 1, "
        "classify 1 of 1"
    )


def test_pictures_are_of_the_results(attacked):
    assert_pictures(
        attacked, CHANNEL_ATTACK, "curves", "bands", "channels", "predictions", "classifiers"
    )


def test_no_warning_is_ours(attacked):
    assert_no_warning_is_ours(attacked.result.stdout + attacked.result.stderr)


def test_each_network_is_a_child_run(attacked):
    children = attacked.children("channel_attack")
    networks = {f"{PLAIN}-seed0", f"{PLAIN}-seed1", f"{PLANTED}-seed0"}
    assert set(children) == {*networks, "lite0"}
    child = children[f"{PLANTED}-seed0"]
    expected = {"padding": "circular", "planted": "2", "scenes.layout": "shifted", "seed": "0"}
    assert expected.items() <= child.data.params.items()
    scores = table(attacked, "scores").query(f"network == '{PLANTED}' and ranking == 'none'")
    row = scores[(scores.protocol == "released") & (scores.region == "left")].iloc[0]
    assert child.data.metrics["miou_released_left"] == pytest.approx(row.miou)
    assert {"miou_mirrored", "train_loss", "validation_miou"} <= set(child.data.metrics)


def test_voc_and_a_network_of_the_user_s_own_without_classifiers(attacked, tmp_path):
    write_voc(tmp_path / "VOC2012", dict.fromkeys("abcde", (48, 64)))
    project = Copy(tmp_path / "project", attacked)
    (project.root / "mine.py").write_text(MINE)
    project.configure(
        "channel_attack: {photographs: {dataset: voc, folder: ../VOC2012}, seeds: [3], "
        "networks: [{arch: 'mine:build', weights: as-built, padding: as_built, layer: trunk}], "
        "attack: {protocols: {unseen: null}, rings: []}, classifiers: {networks: {lite0: null}}}"
    )
    said = project.done("--pipeline=channel_attack", CONFIG)
    assert to_compute(said, "channel_attack").startswith("scenes 1 of 1, train 1 of 1")
    networks = pd.read_csv(project.data / REPORTS / "networks.csv")
    assert networks.network.tolist() == ["mine.build-as_built-weights-as-built-trunk"]
    classes = pd.read_csv(project.data / REPORTS / "class_iou.csv")
    assert classes["class"].nunique() == 21
    assert len(pd.read_csv(project.data / REPORTS / "classifiers.csv")) == 0


def test_cityscapes_and_a_checkpoint(attacked, tmp_path):
    """In the folders and files of the real ones; 19 classes, nothing is trained."""
    write_cityscapes(tmp_path / "cityscapes", (64, 96))
    config = SegmenterConfig(arch="small_deeplab", width=4, padding="zero", planted=0)
    state = build_segmenter(config, 19, seed=0).state_dict()
    torch.save({"model_state": state}, tmp_path / "best.pth")
    project = Copy(tmp_path / "project", attacked)
    project.configure(
        "channel_attack: {photographs: {dataset: cityscapes, folder: ../cityscapes}, "
        "weights: ../best.pth, networks: [{}, {size: [65, 97]}], "
        "seeds: [0], attack: {protocols: {unseen: null}}}"
    )
    said = project.done("--pipeline=channel_attack", CONFIG)
    assert to_compute(said, "channel_attack").startswith("scenes 2 of 2, train 2 of 2")
    scores = pd.read_csv(project.data / REPORTS / "scores.csv")
    assert set(scores.protocol) == {"held_out", "released"}
    stored = load_file(
        project.data / f"06_models/channel_attack/train/{PLAIN}-seed0/tensors.safetensors"
    )
    assert all(torch.equal(stored[name], tensor) for name, tensor in state.items())
