"""GAPNet and PermuteNet (Islam et al., ICCV 2021, experiment 1), with controls."""

from posinfo.pipelines.permutenet.parameters import check_parameters
from posinfo.pipelines.permutenet.pipeline import create_pipeline

__all__ = ["check_parameters", "create_pipeline"]
