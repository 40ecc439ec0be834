"""AugShift, BlurPool and F-Conv (Islam et al., ICCV 2021, experiment 2), exactly measured."""

from posinfo.pipelines.augshift.pipeline import create_pipeline

__all__ = ["create_pipeline"]
