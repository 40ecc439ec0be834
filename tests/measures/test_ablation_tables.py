import numpy as np
import pandas as pd
import pytest

from posinfo.measures.ablation_tables import ablation_tables, tables_markdown
from posinfo.measures.islam2020 import beside_paper
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(
    PROJECT / "src/posinfo/measures/published.csv",
    keep_default_na=False,
    na_values=[""],
    dtype={"note": str},
)
ARCHITECTURES = {"vgg16": "vgg16"}


def scores(table="2b", backbone="vgg16", weights="imagenet", pattern="horizontal", **changes):
    settings = {
        "table": table, "backbone": backbone, "weights": weights, "padding": "zero",
        "pattern": pattern, "stimulus": "photos", "blocks": "all", "kernel_size": 3, "layers": 1,
        "hidden_width": "", "readout_padding": 0, "head": "code", "normalisation": "imagenet",
        "split": "test", "floor": 0.25, "n": 4, "n_constant": 0, "stuck": False, "cell": "a",
    } | changes  # fmt: skip
    rows = [
        settings | {"seed": seed, "spc": spc, "mae": spc / 4, "skill": spc}
        for seed, spc in enumerate((0.5, 0.7))
    ]
    return pd.DataFrame(rows)


def table_of(*frames):
    table = ablation_tables(pd.concat(frames))
    return beside_paper(table, PUBLISHED, ARCHITECTURES, signed=False)


def test_cells_are_means_and_deviations_beside_the_published_number():
    row = table_of(scores(kernel_size=7)).squeeze()
    assert (row.spc, row.n_seeds) == (pytest.approx(0.6), 2)
    assert row.spc_sd == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert (row.published_spc, row.published_mae) == (0.828, 0.120)


def test_cells_that_differ_in_what_has_no_column_stay_apart():
    slow, fast = scores(head="paper", cell="vgg16-lr0.001"), scores(head="paper", cell="vgg16")
    fast["spc"] += 0.1
    table = table_of(slow, fast)
    assert table.spc.tolist() == pytest.approx([0.6, 0.7])
    assert (table.n_seeds == 2).all()
    assert "| vgg16-lr0.001 | vgg16      | 0.600 ± 0.141 |" in tables_markdown(table)
    assert all("not those of the released code" in differs for differs in table.differs)


def test_stuck_readouts_are_counted_and_stay_in_the_mean():
    frame = scores(table="2b", kernel_size=7)
    frame["stuck"] = [True, False]
    table = table_of(frame)
    assert (table.n_stuck.item(), table.spc.item()) == (1, pytest.approx(0.6))
    text = tables_markdown(table)
    assert "| 0.600 ± 0.141 (1 of 2 stuck) |" in text
    assert "\n\nStuck: readouts at the constant map" in text
    assert "tuck" not in tables_markdown(table_of(scores()))


def test_text_says_that_no_test_images_were_measured():
    frame = scores(kernel_size=7, split="validation")
    table = table_of(frame)
    assert np.isnan(table.published_spc.item())
    text = tables_markdown(table)
    assert text.endswith("\n\nMeasured on validation images, which have no published numbers.")
    assert "paper" not in text and "Measured on" not in tables_markdown(table_of(scores()))


def test_text_has_a_section_per_table_and_the_patterns_of_all_its_cells():
    text = tables_markdown(
        table_of(
            scores(table="3", blocks="f1"),
            scores(table="3", blocks="f5"),
            scores(table="3", blocks="f5", pattern="vertical"),
            scores(table="1"),
        )
    )
    assert text.index("Table 1\n") < text.index("Table 3\n")
    section = text[text.index("Table 3\n") :]
    assert "| vgg16      | f1       | 0.600 ± 0.141 | 0.101     | 0.150   |" in section
    assert "V SPC" not in section
    assert text.endswith("in --env=paper alone\n")
