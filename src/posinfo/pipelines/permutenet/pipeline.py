"""The wiring of the permutenet experiment."""

from kedro.pipeline import Node, Pipeline

from posinfo.pipelines.permutenet import data_preparation, evaluation, modeling

SETTINGS = "params:permutenet"
DEVICE = ["params:device", "params:precision"]


def create_pipeline(**_: object) -> Pipeline:
    """`kedro run --pipeline=permutenet`."""
    return (
        Pipeline(_data_preparation(), tags="data_preparation")
        + Pipeline(_modeling(), tags="modeling")
        + Pipeline(_evaluation(), tags="evaluation")
    )


def _data_preparation() -> list[Node]:
    return [
        Node(
            data_preparation.prepare_images,
            [SETTINGS],
            "permutenet_images",
            name="permutenet_prepare_images",
        ),
        Node(
            data_preparation.draw_canvases,
            [SETTINGS, "permutenet_images"],
            "permutenet_canvases_figure",
            name="permutenet_draw_canvases",
        ),
    ]


def _modeling() -> list[Node]:
    return [
        Node(
            modeling.train,
            [SETTINGS, *DEVICE, "permutenet_images", "permutenet_checkpoints"],
            "permutenet_networks",
            name="permutenet_train_networks",
        ),
    ]


def _evaluation() -> list[Node]:
    return [
        Node(
            evaluation.evaluate,
            [SETTINGS, *DEVICE, "permutenet_images", "permutenet_networks"],
            "permutenet_answers",
            name="permutenet_count_answers",
        ),
        Node(
            evaluation.summarise,
            [SETTINGS, "permutenet_answers", "published_numbers"],
            ["permutenet_scores", "permutenet_table", "permutenet_table_text"],
            name="permutenet_summarise",
        ),
        Node(
            evaluation.draw_figures,
            [SETTINGS, "permutenet_images", "permutenet_networks", "permutenet_answers"],
            [
                "permutenet_learning_curves_figure",
                "permutenet_accuracy_maps_figure",
                "permutenet_confusions_figure",
            ],
            name="permutenet_draw_figures",
        ),
    ]
