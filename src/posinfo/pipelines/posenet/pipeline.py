"""The wiring of the posenet experiment, in the three stages of every experiment."""

from kedro.pipeline import Node, Pipeline

from posinfo.pipelines.posenet import data_preparation, evaluation, modeling

SETTINGS = "params:posenet"


def create_pipeline(**_: object) -> Pipeline:
    """`kedro run --pipeline=posenet`."""
    return (
        Pipeline(_data_preparation(), tags="data_preparation")
        + Pipeline(_modeling(), tags="modeling")
        + Pipeline(_evaluation(), tags="evaluation")
    )


def _data_preparation() -> list[Node]:
    return [
        Node(data_preparation.make_masks, [SETTINGS], ["posenet.masks", "posenet.masks_figure"]),
        Node(data_preparation.make_synthetic_images, [SETTINGS], "posenet.synthetic_images"),
        Node(
            data_preparation.prepare_photos,
            ["params:photos", SETTINGS, "array_cache"],
            ["posenet.train_photos", "posenet.test_photos", "posenet.photos_figure"],
        ),
    ]


def _modeling() -> list[Node]:
    return [
        Node(
            modeling.extract,
            [
                SETTINGS,
                "params:device",
                "params:precision",
                "posenet.train_photos",
                "posenet.test_photos",
                "posenet.synthetic_images",
                "array_cache",
            ],
            "posenet.features",
        ),
        Node(
            modeling.train,
            [
                SETTINGS,
                "params:device",
                "params:precision",
                "posenet.features",
                "posenet.masks",
                "array_cache",
            ],
            "posenet.readouts",
        ),
    ]


def _evaluation() -> list[Node]:
    return [
        Node(
            evaluation.evaluate,
            [
                SETTINGS,
                "params:device",
                "posenet.readouts",
                "posenet.features",
                "posenet.masks",
                "posenet.test_photos",
                "array_cache",
            ],
            "posenet.image_scores",
        ),
        Node(
            evaluation.summarise,
            [SETTINGS, "posenet.image_scores", "posenet.masks", "published_numbers"],
            ["posenet.scores", "posenet.table1", "posenet.table1_text"],
        ),
        Node(
            evaluation.draw_predicted_maps,
            [
                SETTINGS,
                "posenet.readouts",
                "posenet.features",
                "posenet.masks",
                "posenet.test_photos",
                "array_cache",
            ],
            "posenet.predicted_maps_figure",
        ),
    ]
