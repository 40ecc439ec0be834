import pandas as pd
import pytest

from posinfo.measures.permutenet_table import permutenet_markdown, permutenet_table
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(PROJECT / "src/posinfo/measures/published.csv")


def score(network, task, accuracy, seed=0, **changes):
    row = {
        "dataset": "cifar10", "network": network,
        "permutation": "none" if network == "gapnet" else "per_batch", "padding": "zero",
        "canvas": "released", "task": task, "grid": 3, "seed": seed, "accuracy": accuracy,
        "floor": 1 / 9 if task == "location" else 0.1, "split": "test", "n": 90, "cell": "",
        "classes": 10, "arch": "canvas_resnet18", "width": 64, "permuted_before": pd.NA,
        "location_size": 32, "epochs": 20, "batch_size": 48, "optimiser": "adam", "lr": 1e-3,
        "betas": "0.5+0.999", "momentum": None, "weight_decay": 0.0, "schedule": "constant",
        "mirrored": True, "keep": "best", **changes,
    }  # fmt: skip
    row["cell"] = "-".join(str(row[k]) for k in ("network", "permutation", "task", "grid", "arch"))
    return row


def scores(*rows):
    return pd.DataFrame(rows).astype({"width": "Int64", "permuted_before": "Int64"})


def test_mean_and_sd_over_seeds_beside_the_published_number():
    table = permutenet_table(
        scores(score("gapnet", "location", 0.98), score("gapnet", "location", 1.0, seed=1)),
        PUBLISHED,
    )
    (row,) = table.to_dict("records")
    assert (row["accuracy"], row["n_seeds"], row["n"]) == (pytest.approx(0.99), 2, 180)
    assert row["accuracy_sd"] == pytest.approx(0.02 / 2**0.5)
    assert row["published"] == "1.000 (slides and poster)"


def test_both_published_values_of_the_contested_cell():
    table = permutenet_table(scores(score("permutenet", "image", 0.7)), PUBLISHED)
    assert table.published[0] == "0.821 (slides) or 0.736 (poster)"


def test_every_published_number_has_its_cell():
    cells = [
        score(network, task, 0.5, grid=grid)
        for network in ("gapnet", "permutenet")
        for task in ("location", "image")
        for grid in (3, 7)
    ]
    beside = permutenet_table(scores(*cells), PUBLISHED).published
    assert (beside != "").all()
    ours = " ".join(beside)
    numbers = PUBLISHED.query("paper == 'islam2021' and table == 'Experiment 1'").value
    assert len(numbers) == 9
    for number in numbers:
        assert f"{number:.3f}" in ours


@pytest.mark.parametrize(
    "changes",
    [{"permutation": "fixed"}, {"padding": "circular"}, {"arch": "resnet18", "width": pd.NA},
     {"permuted_before": 2}, {"grid": 5}, {"split": "validation"}],
)  # fmt: skip
def test_nothing_is_published_of_other_settings(changes):
    table = permutenet_table(scores(score("permutenet", "location", 0.5, **changes)), PUBLISHED)
    assert table.published[0] == "" and table.differs[0] == ""


def test_survival_is_the_share_above_the_floor():
    table = permutenet_table(
        scores(
            score("gapnet", "image", 0.9), score("permutenet", "image", 0.5),
            score("permutenet", "location", 0.5),
        ),
        PUBLISHED,
    )  # fmt: skip
    assert table.survival[1] == pytest.approx(0.4 / 0.8)
    assert table.survival[[0, 2]].isna().all()


def test_differences_are_named():
    row = score("gapnet", "image", 0.9, dataset="digits", width=16, canvas="black", lr=0.01)
    *settings, protocol = permutenet_table(scores(row), PUBLISHED).differs[0].split("; ")
    assert settings == [
        "dataset digits, theirs cifar10",
        "width 16, theirs 64",
        "lr 0.01, theirs 0.001",
        "canvas black, theirs pasted after normalising: the mean colour of the data, though called "
        "black",
    ]
    assert protocol.startswith("the epoch is chosen on validation images")


def test_the_released_setting_differs_in_the_protocol_alone():
    (differs,) = permutenet_table(scores(score("gapnet", "image", 0.9)), PUBLISHED).differs
    assert differs.startswith("the epoch is chosen on validation images") and "; " not in differs


def test_survival_compares_with_the_gapnet_of_the_same_training():
    table = permutenet_table(
        scores(
            score("gapnet", "image", 0.5, lr=0.1), score("gapnet", "image", 0.9),
            score("permutenet", "image", 0.5),
        ),
        PUBLISHED,
    )  # fmt: skip
    assert table.survival[2] == pytest.approx(0.4 / 0.8)


def test_markdown_has_a_row_per_network_and_a_column_per_task():
    text = permutenet_markdown(
        permutenet_table(
            scores(
                score("gapnet", "location", 1.0), score("gapnet", "image", 0.9),
                score("permutenet", "location", 0.4), score("permutenet", "image", 0.7),
            ),
            PUBLISHED,
        )
    )  # fmt: skip
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[:4]]
    assert lines[0] == [
        "network", "permutation", "Loc 3x3", "Loc 3x3 paper", "Loc 3x3 floor", "Image 3x3",
        "Image 3x3 paper", "Image 3x3 floor",
    ]  # fmt: skip
    assert lines[3][:3] == ["PermuteNet", "per_batch", "0.400"]
    assert lines[3][6] == "0.821 (slides) or 0.736 (poster)"


def test_text_says_that_no_test_images_were_measured():
    rows = score("gapnet", "location", 1.0), score("gapnet", "image", 0.9)
    on_test = permutenet_markdown(permutenet_table(scores(*rows), PUBLISHED))
    rows = [row | {"split": "validation"} for row in rows]
    text = permutenet_markdown(permutenet_table(scores(*rows), PUBLISHED))
    assert text.endswith("\n\nMeasured on validation images, which have no published numbers.\n")
    assert "1.000 (slides and poster)" in on_test and "(slides and poster)" not in text
    assert "Measured on" not in on_test


def test_settings_that_differ_become_columns():
    text = permutenet_markdown(
        permutenet_table(
            scores(
                score("gapnet", "location", 1.0), score("gapnet", "location", 0.5, padding="none")
            ),
            PUBLISHED,
        )
    )  # fmt: skip
    assert text.splitlines()[0].split("|")[3].strip() == "padding"
