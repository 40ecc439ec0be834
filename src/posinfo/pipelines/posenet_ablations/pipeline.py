"""The wiring of the ablations: posenet's photographs and masks, cells of its own."""

from kedro.pipeline import Node, Pipeline

from posinfo.pipelines import posenet
from posinfo.pipelines.posenet_ablations import evaluation, modeling

SETTINGS = ["params:posenet", "params:posenet_ablations"]
DEVICE = ["params:device", "params:precision"]
FITTED = [
    "posenet_ablations_readouts",
    "posenet_ablations_features",
    "posenet_masks",
    "posenet_test_photos",
    "array_cache",
]


def create_pipeline(**_: object) -> Pipeline:
    """`kedro run --pipeline=posenet_ablations`."""
    return (
        posenet.create_pipeline().only_nodes_with_tags("data_preparation")
        + Pipeline(_modeling(), tags="modeling")
        + Pipeline(_evaluation(), tags="evaluation")
    )


def _modeling() -> list[Node]:
    return [
        Node(
            modeling.extract,
            [
                *SETTINGS,
                *DEVICE,
                "posenet_train_photos",
                "posenet_test_photos",
                "posenet_synthetic_images",
                "array_cache",
            ],
            "posenet_ablations_features",
            name="posenet_ablations_extract_features",
        ),
        Node(
            modeling.train,
            [
                *SETTINGS,
                *DEVICE,
                "posenet_ablations_features",
                "posenet_masks",
                "posenet_train_photos",
                "array_cache",
            ],
            "posenet_ablations_readouts",
            name="posenet_ablations_fit_readouts",
        ),
    ]


def _evaluation() -> list[Node]:
    return [
        Node(
            evaluation.evaluate,
            [*SETTINGS, "params:photos", *DEVICE, *FITTED],
            "posenet_ablations_image_scores",
            name="posenet_ablations_evaluate_readouts",
        ),
        Node(
            evaluation.summarise,
            [*SETTINGS, "posenet_ablations_image_scores", "posenet_masks", "published_numbers"],
            [
                "posenet_ablations_scores",
                "posenet_ablations_tables",
                "posenet_ablations_tables_text",
            ],
            name="posenet_ablations_summarise",
        ),
        Node(
            evaluation.draw_figures,
            [*SETTINGS, *FITTED],
            [
                "posenet_ablations_figure5",
                "posenet_ablations_figure6",
                "posenet_ablations_figure7",
            ],
            name="posenet_ablations_draw_figures",
        ),
    ]
