import pytest
from pydantic import TypeAdapter, ValidationError

from posinfo.experiments.audit.gates import Gate, Gates, parse_gate
from posinfo.experiments.audit.numbers import Number

NUMBERS = {"consistency": Number(0.9), "margin": Number(float("inf")), "wobble": Number(0.2)}


@pytest.mark.parametrize(
    ("text", "gate", "fails"),
    [
        ("consistency<0.95", Gate("consistency", "<", 0.95), True),
        ("consistency < .9", Gate("consistency", "<", 0.9), False),
        (" consistency<=9e-1 ", Gate("consistency", "<=", 0.9), True),
        ("margin>64", Gate("margin", ">", 64), True),  # no margin will do
        ("wobble>=0.2", Gate("wobble", ">=", 0.2), True),
    ],
)
def test_condition_is_read_and_asked(text, gate, fails):
    assert parse_gate(text) == gate
    assert gate.fails(NUMBERS) == fails


@pytest.mark.parametrize("name", ["repadding.reflect", "tile_error.32", "position.horizontal.3"])
def test_parts_of_a_measure_have_names(name):
    assert parse_gate(f"{name}>0.1").name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("consistency", "fail_if must be a number's name, one of <=, <, >=, >, and a limit, as "
                        "consistency<0.95; got 'consistency'"),
        ("consistency<high", "got 'consistency<high'"),
        ("consistency<1-2", "got 'consistency<1-2'"),
        ("consistancy<0.9", "got 'consistancy' (did you mean 'consistency'?)"),
    ],
)  # fmt: skip
def test_what_names_no_number_is_refused_before_anything_runs(text, message):
    with pytest.raises(ValidationError) as refusal:
        TypeAdapter(Gates).validate_python([text])
    assert message in str(refusal.value)


@pytest.mark.parametrize("numbers", [NUMBERS, {"shift_error": Number(float("nan"))}])
def test_a_number_that_nobody_knows_fails(numbers):
    assert parse_gate("shift_error>0.1").fails(numbers)
