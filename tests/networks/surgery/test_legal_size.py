import pytest

from posinfo.networks.surgery.legal_size import LARGEST_IMAGE, require_legal


def needs(smallest):
    def dry_run(size):
        if size < smallest:
            raise RuntimeError("kernel larger than input")
        return size

    return dry_run


@pytest.mark.parametrize("smallest", [33, 100, 219, LARGEST_IMAGE])
def test_message_proposes_the_smallest_legal_size(smallest):
    message = f"^images of 32 px are too small for a net: the smallest side is {smallest} px$"
    with pytest.raises(ValueError, match=message):
        require_legal(needs(smallest), 32, "a net", "side")


def test_legal_size_returns_what_the_dry_run_does():
    assert require_legal(needs(32), 32, "a net", "side") == 32


def test_no_legal_size_passes_the_reason_on():
    with pytest.raises(ValueError, match="^a net cannot take images of 32 px, nor larger"):
        require_legal(needs(LARGEST_IMAGE + 1), 32, "a net", "side")
