"""Registered pipelines: the experiments, and each stage across all of them."""

from kedro.pipeline import Pipeline

from posinfo.pipelines import augshift, permutenet, posenet, posenet_ablations

STAGES = ("data_preparation", "modeling", "evaluation")


def register_pipelines() -> dict[str, Pipeline]:
    """Names for `kedro run --pipeline=NAME`; without a name, posenet runs."""
    experiments = {
        "posenet": posenet.create_pipeline(),
        "posenet_ablations": posenet_ablations.create_pipeline(),
        "permutenet": permutenet.create_pipeline(),
        "augshift": augshift.create_pipeline(),
    }
    everything = sum(experiments.values(), Pipeline([]))
    stages = {stage: everything.only_nodes_with_tags(stage) for stage in STAGES}
    return {**experiments, **stages, "__default__": experiments["posenet"]}
