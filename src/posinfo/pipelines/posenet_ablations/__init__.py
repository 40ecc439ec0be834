"""The ablations of Islam, Jia and Bruce (ICLR 2020): Tables 2-4, Figures 5-7, and beyond."""

from posinfo.pipelines.posenet_ablations.parameters import check_parameters
from posinfo.pipelines.posenet_ablations.pipeline import create_pipeline

__all__ = ["check_parameters", "create_pipeline"]
