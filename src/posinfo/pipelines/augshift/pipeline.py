"""The wiring of the augshift experiment."""

from kedro.pipeline import Node, Pipeline

from posinfo.pipelines.augshift import data_preparation, evaluation, modeling

SETTINGS = "params:augshift"
DEVICE = ["params:device", "params:precision"]


def create_pipeline(**_: object) -> Pipeline:
    """`kedro run --pipeline=augshift`."""
    return (
        Pipeline(
            [
                Node(
                    data_preparation.prepare_images,
                    [SETTINGS],
                    "augshift_images",
                    name="augshift_prepare_images",
                )
            ],
            tags="data_preparation",
        )
        + Pipeline(
            [
                Node(
                    modeling.train,
                    [SETTINGS, *DEVICE, "augshift_images", "augshift_checkpoints"],
                    "augshift_networks",
                    name="augshift_train_networks",
                )
            ],
            tags="modeling",
        )
        + Pipeline(_evaluation(), tags="evaluation")
    )


def _evaluation() -> list[Node]:
    return [
        Node(
            evaluation.evaluate,
            [SETTINGS, *DEVICE, "augshift_images", "augshift_networks"],
            "augshift_answers",
            name="augshift_predict_offsets",
        ),
        Node(
            evaluation.summarise,
            [SETTINGS, "augshift_answers", "published_numbers"],
            ["augshift_scores", "augshift_table", "augshift_table_text"],
            name="augshift_summarise",
        ),
        Node(
            evaluation.draw_figures,
            [
                SETTINGS,
                "augshift_images",
                "augshift_networks",
                "augshift_answers",
            ],
            [
                "augshift_learning_curves_figure",
                "augshift_trade_off_figure",
                "augshift_agreement_figure",
            ],
            name="augshift_draw_figures",
        ),
    ]
