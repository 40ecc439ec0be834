import json
from math import inf

import pytest

from posinfo.experiment import Result
from posinfo.experiments.audit.gates import parse_gate
from posinfo.experiments.audit.numbers import Number
from posinfo.experiments.audit.verdict import (
    SCHEMA,
    failures,
    read_baseline,
    regressions,
    said,
    sentences,
)
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach

NUMBERS = {
    "consistency": Number(0.9), "overlap": Number(64.0), "margin": Number(inf),
    "repadding.reflect": Number(0.5), "uneven_layers": Number(2.0),
}  # fmt: skip


def baseline(**values):
    return {"numbers": {name.replace("__", "."): {"value": v} for name, v in values.items()}}


def test_failures_say_the_number():
    gates = [parse_gate(text) for text in ("consistency<0.95", "margin>64", "overlap>64")]
    assert failures(gates, NUMBERS) == [
        "consistency < 0.95: it is 0.9",
        "margin > 64: it is infinite",
    ]
    assert failures([parse_gate("wobble>0.5")], NUMBERS) == ["wobble > 0.5: not measured"]


def test_a_worse_number_is_found_whichever_way_is_better():
    before = baseline(consistency=0.93, overlap=32.0, margin=None, uneven_layers=2)
    assert regressions(NUMBERS, before, 0.02) == [
        "consistency was 0.93 and is 0.9",
        "overlap was 32 and is 64",
    ]
    assert regressions(NUMBERS, before, 0.05) == ["overlap was 32 and is 64"]
    assert regressions(NUMBERS, baseline(consistency=0.5, overlap=96.0), 0.0) == []
    # that a margin was there before, and none is now
    assert regressions(NUMBERS, baseline(margin=32.0), 0.0) == ["margin was 32 and is infinite"]


def test_numbers_without_a_better_side_and_new_ones_are_not_compared():
    assert regressions(NUMBERS, baseline(repadding__reflect=0.1), 0.0) == []


def test_a_number_that_is_lost_is_worse():
    assert regressions(NUMBERS, baseline(wobble=0.1), 0.0) == ["wobble was 0.1 and is not measured"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[]", f"has the schema None; expected {SCHEMA!r}"),
        (json.dumps({"schema": "posinfo.audit/0"}), "has the schema 'posinfo.audit/0'"),
    ],
)
def test_what_is_no_audit_is_refused(tmp_path, content, message):
    path = tmp_path / "audit.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_baseline(path, "audit.baseline")
    with pytest.raises(FileNotFoundError, match=r"audit\.baseline: there is no file"):
        read_baseline(tmp_path / "none.json", "audit.baseline")


@pytest.mark.parametrize(
    ("value", "text"),
    [(inf, "infinite"), (448.0, "448"), (0.1234, "0.123"), (1.0, "1"), (0.0, "0")],
)
def test_numbers_are_written_short(value, text):
    assert said(value) == text


EVEN = PaddedLayer("a", "conv2d", "zero", (8, 8), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1, 1, 1))


def structure(*padded, period=1, even=(), **reaches):
    return Result(
        facts={
            "padded": [list(each) for each in padded], "even_sizes": list(even),
            "period": period, "covered_by": [], "refused": "",
            "reaches": {name: list(reach) for name, reach in reaches.items()},
        }
    )  # fmt: skip


def texts(structure, numbers=None, tiles=None):
    nothing = Result(facts={"refused": ""})
    results = {
        "structure": structure, "context": nothing, "tiles": tiles or nothing,
        "answers": Result(facts={"refused": {}}),
    }  # fmt: skip
    return [each.text for each in sentences(results, numbers or {}, 224, 0.01)]


def test_uneven_rows_are_said_of_rows():
    rows = EVEN._replace(used=(1, 1, 1, 0))
    assert texts(structure(rows, EVEN)) == [
        "At 224 px 1 of 2 padded calls use it unevenly: a reads 1 px at the top and 0 px at the "
        "bottom. At no size within 40 px are all of them even."
    ]
    assert texts(structure(EVEN)) == ["At 224 px all 1 padded calls use their padding evenly."]
    assert texts(structure()) == ["No convolution or pooling pads."]


def test_exact_tiles_need_both_sides_of_the_reach():
    found = texts(structure(period=8, output=Reach(1, 16, 24, 41)))
    assert found[1:] == [
        "output has a receptive field of 41 px. Tiles are exact if they reach 16 px behind a cut "
        "and 24 px before it and begin at multiples of 8 px.",
        "By its strides, output can move with the image only for shifts by multiples of 8 px.",
    ]
    endless = texts(structure(output=Reach(1, None, None, None)))
    assert len(endless) == 1


@pytest.mark.parametrize(
    ("same", "said"),
    [
        (0.001, "Not padding but averages"),
        (0.19, "Averages over the image are 52% of it"),
        (0.3, ""),
    ],
)
def test_averages_are_blamed_for_what_they_explain(same, said):
    numbers = {
        "margin": Number(inf), "overlap": Number(inf), "tile_error.0": Number(0.8),
        "tile_error.32": Number(0.4), "tile_error_same_statistics.32": Number(same),
    }  # fmt: skip
    tiles = Result(facts={"refused": "", "map": "output", "margins": [0, 32]})
    found = texts(structure(), numbers, tiles)
    assert "it falls from 0.8 to 0.4." in found[1]
    assert [text.startswith(said) for text in found[2:]] == ([True] if said else [])


def test_small_changes_need_no_fine_tuning():
    kept = {"shift_error": Number(0.0), "repadding.reflect": Number(1e-5, 1e-6, 2e-5, 11)}
    assert texts(structure(), kept)[-1] == (
        "With reflect padding and without fine-tuning the output differs by 1e-05."
    )
    large = {**kept, "repadding.reflect": Number(0.3, 0.2, 0.4, 11)}
    assert texts(structure(), large)[-1].endswith("differs by 0.3: fine-tune it before use.")
