"""What experiment 2 of Islam et al. (ICCV 2021) claims, on the default run, with margins."""


def test_augshift_is_more_consistent_than_the_baseline(augshift):
    assert augshift.consistency_exact["augshift"] >= augshift.consistency_exact["baseline"] + 0.005


def test_it_is_not_the_second_crop(augshift):
    assert augshift.consistency_exact["augshift"] >= augshift.consistency_exact["two_crops"] + 0.005


def test_augshift_is_no_less_consistent_than_blurpool(augshift):
    assert augshift.consistency_exact["augshift"] >= augshift.consistency_exact["blurpool"]


def test_sampling_agrees_with_the_exact_figure(augshift):
    assert (augshift.consistency_sampled - augshift.consistency_exact).abs().max() <= 0.02
