"""Registered pipelines: the experiments, each stage across all of them, and the sweep."""

from kedro.pipeline import Pipeline

from posinfo.experiment import STAGES
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.factory import create_pipeline
from posinfo.pipelines.sweep_pipeline import create_sweep


def register_pipelines() -> dict[str, Pipeline]:
    """Names for `kedro run --pipeline=NAME`; without a name, posenet runs."""
    pipelines = {name: create_pipeline(each) for name, each in EXPERIMENTS.items()}
    everything = sum(pipelines.values(), Pipeline([]))
    stages = {stage: everything.only_nodes_with_tags(stage) for stage in STAGES}
    return {
        **pipelines, "sweep": create_sweep(), **stages, "__default__": pipelines["posenet"],
    }  # fmt: skip
