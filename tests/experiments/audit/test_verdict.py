import json
from math import inf

import pytest

from posinfo.experiments.audit.gates import parse_gate
from posinfo.experiments.audit.numbers import Number
from posinfo.experiments.audit.verdict import (
    SCHEMA,
    failures,
    read_baseline,
    regressions,
    said,
)

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
