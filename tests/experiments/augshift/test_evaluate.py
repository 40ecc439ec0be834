import pandas as pd
import pytest
import torch
from torch.nn.functional import pad

from posinfo.experiment import Result
from posinfo.experiments.augshift import train
from posinfo.experiments.augshift.evaluate import EvaluateCell, run
from posinfo.experiments.trained_network import load_trained
from posinfo.networks.models.augshift import build_latent_classifier
from posinfo.stimuli.crops import ShiftConfig
from posinfo.work import Work
from tests.experiments.augshift.test_train import SETTINGS, labelled_images

SHIFTS = (ShiftConfig(max_shift=2, padding="zero"), ShiftConfig(max_shift=1, padding="crop"))
CELL = EvaluateCell(**SETTINGS, split="test", shifts=SHIFTS, draws=5)


@pytest.fixture(scope="module")
def trained():
    return train.run(train.NetworkCell(**SETTINGS), {"images": labelled_images()}, Work())


@pytest.fixture(scope="module")
def evaluated(trained):
    return run(CELL, {"images": labelled_images(), "network": trained}, Work())


def test_answers_are_those_of_every_window_of_the_padded_image(trained, evaluated):
    images = labelled_images().tensors
    network = build_latent_classifier(CELL.method, 5, 0)
    load_trained(network, trained)
    larger = pad(images["test.pixels"].float() / 255, (1, 1, 1, 1))
    mean, std = (images[name][:, None, None] for name in ("mean", "std"))
    for row in range(3):
        for column in range(3):
            windows = (larger[:, :, row : row + 32, column : column + 32] - mean) / std
            with torch.no_grad():
                expected = network.eval()(windows).argmax(1).short()
            assert torch.equal(evaluated.tensors["answers.zero-2"][:, row, column], expected)


def test_answers_vary_so_that_these_tests_can_fail(evaluated):
    answers = evaluated.tensors["answers.zero-2"]
    assert len(answers.unique()) > 1
    assert not torch.equal(answers, answers.transpose(1, 2))
    assert evaluated.tensors["agreement.zero-2"].min() < 1


def test_rows_are_measures_of_the_answers(evaluated):
    rows, labels = evaluated.table, labelled_images().tensors["test.labels"]
    assert rows.range.tolist() == ["zero-2", "crop-1"]
    assert set(rows.seed) == {3} and set(rows.floor) == {0.2} and set(rows.n) == {12}
    for row in rows.itertuples():
        answers = evaluated.tensors[f"answers.{row.range}"]
        pairs = (answers.flatten(1)[:, :, None] == answers.flatten(1)[:, None]).double()
        assert row.consistency_exact == pytest.approx(pairs.mean().item())
        right = answers == labels[:, None, None]
        diagonal = right.diagonal(0, 1, 2).double().mean().item()
        assert row.diagonal_accuracy == pytest.approx(diagonal)
        of_right = pairs[right[:, (right.shape[1] - 1) // 2, (right.shape[1] - 1) // 2]]
        assert row.consistency_right == pytest.approx(of_right.mean().item())
        assert row.n_right == len(of_right)
        worst = right.flatten(1).all(1).double().mean().item()
        assert row.worst_case_accuracy == pytest.approx(worst)
    middle = evaluated.tensors["answers.zero-2"][:, 1, 1]
    assert set(rows.top1) == {(middle == labels).double().mean().item()}


def test_top_1_is_1_where_every_answer_is_the_label_of_its_image(trained, evaluated):
    answers = evaluated.tensors["answers.zero-2"][:, 1, 1].long()
    assert not torch.equal(answers, answers.flip(0))
    images = Result(tensors={**labelled_images().tensors, "test.labels": answers})
    table = run(CELL, {"images": images, "network": trained}, Work()).table
    assert set(table.top1) == {1}


def test_agreement_is_a_share_for_each_offset(evaluated):
    agreement = evaluated.tensors["agreement.zero-2"]
    answers = evaluated.tensors["answers.zero-2"]
    assert agreement.shape == (3, 3) and agreement[1, 1] == 1
    expected = (answers[:, 0, 2] == answers[:, 1, 1]).double().mean()
    assert agreement[0, 2].item() == pytest.approx(expected.item())


def test_validation_images_are_measured_where_they_are_asked_for(trained):
    images = labelled_images().tensors
    swapped = dict(images)
    for part in ("pixels", "labels"):
        swapped[f"validation.{part}"] = images[f"test.{part}"]
        swapped[f"test.{part}"] = images[f"validation.{part}"]
    inputs = {"images": Result(tensors=images), "network": trained}
    on_validation = run(CELL.model_copy(update={"split": "validation"}), inputs, Work())
    on_test = run(CELL, {**inputs, "images": Result(tensors=swapped)}, Work())
    assert set(on_validation.table.n) == {10}
    pd.testing.assert_frame_equal(on_validation.table, on_test.table)
    for name, tensor in on_test.tensors.items():
        assert torch.equal(on_validation.tensors[name], tensor), name


def test_every_prediction_is_counted(trained):
    totals, done = [], []
    work = Work(on_total=totals.append, on_progress=done.append)
    result = run(CELL, {"images": labelled_images(), "network": trained}, work)
    assert totals == [12 * (1 + 9 + 4)] and sum(done) == totals[0]
    assert result.history == trained.history
