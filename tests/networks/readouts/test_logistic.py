import numpy as np

from posinfo.networks.readouts.logistic import fit_logistic


def features(count, seed, useful=0.0):
    values = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    drawn = values.normal(size=(count, 30)).astype(np.float32)
    drawn[:, 0] += useful * classes
    return drawn, classes


def test_a_planted_difference_is_found_and_none_is_not():
    for useful, low, high in ((8, 0.97, 1), (0, 0.35, 0.65)):
        readout = fit_logistic(features(80, 0, useful), features(40, 1, useful), [0.01, 0.1, 1.0])
        accuracy = readout.accuracy_on(features(400, 2, useful))
        assert low <= accuracy <= high


def test_the_strongest_penalty_of_the_best_on_validation_images_is_taken():
    train, validation = features(60, 0, 50), features(30, 1, 50)
    readout = fit_logistic(train, validation, [100.0, 1.0, 10.0])
    assert (readout.strength, readout.accuracy) == (1.0, 1.0)


def test_the_penalty_is_chosen_on_validation_images():
    """A weak one fits noise: it has all train images right, and fewer of the others."""
    train, validation = features(60, 0, 2), features(400, 1, 2)
    strong, weak = (fit_logistic(train, validation, [each]) for each in (0.001, 100.0))
    assert weak.accuracy_on(train) == 1 > strong.accuracy_on(train)
    assert strong.accuracy_on(validation) > weak.accuracy_on(validation)
    readout = fit_logistic(train, validation, [0.001, 100.0])
    assert (readout.strength, readout.accuracy) == (0.001, strong.accuracy_on(validation))


def test_features_that_are_the_same_in_both_classes_give_chance():
    one, _ = features(30, 0)
    twins = np.repeat(one, 2, axis=0), np.tile([0, 1], 30)
    readout = fit_logistic(twins, twins, [0.01, 100.0])
    assert readout.accuracy_on(twins) == 0.5


def test_rounding_is_no_feature():
    """Of a maximum that is the black area's, say, which differs in the last bits by place."""
    one, _ = features(40, 0)
    twins, classes = np.repeat(one, 2, axis=0), np.tile([0, 1], 40)
    twins[:, 3] = 7 * (1 + 3e-7 * classes).astype(np.float32)
    assert len(np.unique(twins[:, 3])) == 2
    readout = fit_logistic((twins, classes), (twins, classes), [1.0, 100.0])
    assert readout.accuracy_on((twins, classes)) == 0.5 and not readout.useful[3]
