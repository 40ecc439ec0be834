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
        Node(
            data_preparation.make_masks,
            [SETTINGS],
            ["posenet_masks", "posenet_masks_figure"],
            name="posenet_make_masks",
        ),
        Node(
            data_preparation.make_synthetic_images,
            [SETTINGS],
            "posenet_synthetic_images",
            name="posenet_make_synthetic_images",
        ),
        Node(
            data_preparation.prepare_photos,
            ["params:photos", SETTINGS, "array_cache"],
            ["posenet_train_photos", "posenet_test_photos", "posenet_photos_figure"],
            name="posenet_prepare_photos",
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
                "posenet_train_photos",
                "posenet_test_photos",
                "posenet_synthetic_images",
                "array_cache",
            ],
            "posenet_features",
            name="posenet_extract_features",
        ),
        Node(
            modeling.train,
            [
                SETTINGS,
                "params:device",
                "params:precision",
                "posenet_features",
                "posenet_masks",
                "posenet_train_photos",
                "array_cache",
            ],
            "posenet_readouts",
            name="posenet_train_readouts",
        ),
    ]


def _evaluation() -> list[Node]:
    return [
        Node(
            evaluation.evaluate,
            [
                SETTINGS,
                "params:photos",
                "params:device",
                "params:precision",
                "posenet_readouts",
                "posenet_features",
                "posenet_masks",
                "posenet_test_photos",
                "array_cache",
            ],
            "posenet_image_scores",
            name="posenet_evaluate_readouts",
        ),
        Node(
            evaluation.summarise,
            [SETTINGS, "posenet_image_scores", "posenet_masks", "published_numbers"],
            ["posenet_scores", "posenet_table1", "posenet_table1_text"],
            name="posenet_summarise",
        ),
        Node(
            evaluation.draw_predicted_maps,
            [
                SETTINGS,
                "posenet_readouts",
                "posenet_features",
                "posenet_masks",
                "posenet_test_photos",
                "array_cache",
            ],
            "posenet_predicted_maps_figure",
            name="posenet_draw_predicted_maps",
        ),
    ]
