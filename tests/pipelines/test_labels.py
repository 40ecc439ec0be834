import re

import pytest

from posinfo.pipelines.labels import LABEL, no_repeats


@pytest.mark.parametrize("label", ["vgg16", "vgg16-f1", "a.b_c+d-1"])
def test_labels_that_name_files(label):
    assert re.match(LABEL, label)


@pytest.mark.parametrize("label", ["", ".hidden", "a/b", "a b", "-a"])
def test_labels_that_do_not(label):
    assert not re.match(LABEL, label)


def test_repeated_values_are_named():
    assert no_repeats((1, 2)) == (1, 2)
    with pytest.raises(ValueError, match="^each value may stand once; repeated: 1, b$"):
        no_repeats((1, "b", 1, "b", 2))
