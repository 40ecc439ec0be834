import pandas as pd
import pytest

from posinfo.measures.augshift_table import augshift_markdown, augshift_table
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(PROJECT / "src/posinfo/measures/published.csv")


def score(method="augshift", top1=0.9, exact=0.95, seed=0, dataset="cifar10", padding="zero"):
    return {
        "cell": f"{method}-{dataset}",
        "dataset": dataset, "method": method, "seed": seed, "top1": top1,
        "consistency_sampled": exact, "consistency_exact": exact, "consistency_right": exact + 0.02,
        "diagonal_accuracy": top1,
        "worst_case_accuracy": top1 / 2, "max_shift": 8, "shift_padding": padding, "n": 100,
        "n_right": 90, "split": "test", "epochs": 8, "batch_size": 64, "lr": 0.1,
        "width": 64, "latent_weight": 1.0, "loss": "mean", "floor": 0.1,
    }  # fmt: skip


def test_mean_and_sd_beside_the_published_numbers():
    table = augshift_table(pd.DataFrame([score(), score(exact=0.97, seed=1)]), PUBLISHED)
    (row,) = table.to_dict("records")
    assert (row["consistency_exact"], row["n_seeds"], row["n"]) == (pytest.approx(0.96), 2, 100)
    assert row["consistency_exact_sd"] == pytest.approx(0.02 / 2**0.5)
    assert (row["published_top1"], row["published_consistency"]) == (0.921, 0.948)
    assert row["floor"] == 0.1


@pytest.mark.parametrize(
    ("method", "dataset", "expected"),
    [
        ("baseline", "cifar10", (0.931, 0.908)), ("blurpool", "cifar10", (0.925, 0.925)),
        ("baseline", "cifar100", (0.726, 0.701)), ("blurpool", "cifar100", (0.724, 0.782)),
        ("augshift", "cifar100", (0.726, 0.856)),
    ],
)  # fmt: skip
def test_every_published_number(method, dataset, expected):
    table = augshift_table(pd.DataFrame([score(method, dataset=dataset)]), PUBLISHED)
    assert (table.published_top1[0], table.published_consistency[0]) == expected


@pytest.mark.parametrize(
    ("method", "dataset"), [("two_crops", "cifar10"), ("augshift", "textures")]
)
def test_nothing_is_published_of_other_rows(method, dataset):
    table = augshift_table(pd.DataFrame([score(method, dataset=dataset)]), PUBLISHED)
    assert table.published_top1.isna().all()
    assert "paper" not in augshift_markdown(table)


def test_published_numbers_are_of_test_images_alone():
    rows = [score(), score() | {"split": "validation", "cell": "other"}]
    table = augshift_table(pd.DataFrame(rows), PUBLISHED)
    beside = table[["published_top1", "published_consistency", "source"]]
    assert beside[table.split == "test"].notna().all(axis=None)
    assert beside[table.split == "validation"].isna().all(axis=None)
    assert (table.split == "validation").sum() == 1
    text = augshift_markdown(table[table.split == "validation"])
    assert "n = 100 validation images" in text and "paper" not in text


def test_markdown_has_a_table_per_range_and_says_what_was_shifted():
    scores = [score(), score("baseline", exact=0.5), score(padding="reflect", exact=0.9)]
    first, second = augshift_markdown(augshift_table(pd.DataFrame(scores), PUBLISHED)).split(
        "\ncifar10"
    )
    assert first.startswith("cifar10, n = 100 test images, offsets 0 to 8 px on each axis, zero;")
    assert second.startswith(", n = 100 test images, offsets 0 to 8 px on each axis, reflect;")
    lines = first.splitlines()[2:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0] == [
        "method", "top-1", "consistency", "of right images", "sampled", "diagonal", "worst case",
        "top-1 paper", "consistency paper",
    ]  # fmt: skip
    assert rows[2] == [
        "augshift", "0.900", "0.950", "0.970", "0.950", "0.900", "0.450", "0.921", "0.948",
    ]  # fmt: skip
    assert rows[3][2] == "0.500" and "| 0.900         |" in second
