"""How much position information do CNNs encode? (Islam, Jia and Bruce, ICLR 2020)."""

from posinfo.pipelines.posenet.pipeline import create_pipeline

__all__ = ["create_pipeline"]
