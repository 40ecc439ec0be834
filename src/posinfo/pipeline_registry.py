"""Registered pipelines: the experiments, and each stage across all of them."""

from kedro.pipeline import Pipeline

from posinfo.experiment import STAGES
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.factory import create_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Names for `kedro run --pipeline=NAME`; without a name, posenet runs."""
    pipelines = {name: create_pipeline(each) for name, each in EXPERIMENTS.items()}
    everything = sum(pipelines.values(), Pipeline([]))
    stages = {stage: everything.only_nodes_with_tags(stage) for stage in STAGES}
    return {**pipelines, **stages, "__default__": pipelines["posenet"]}
