"""Step 2: the class of each photograph at each offset, and how often two offsets agree."""

import numpy as np
import pandas as pd
import torch

from posinfo.experiment import Cell, Inputs, Result
from posinfo.measures.consistency import agreement_by_offset, exact_consistency
from posinfo.networks.models.whole_network import WholeNetworkConfig, predict_windows
from posinfo.work import Work


class ClassifyCell(Cell):
    """A classifier and the windows that it is shown.

    Attributes:
        classifier: the network.
        weights: key of what the source of the weights holds.
        image_size: side of the windows in pixels.
        offsets: rows, and columns, at which they start, in pixels.
    """

    classifier: WholeNetworkConfig
    weights: str
    image_size: int
    offsets: tuple[int, ...]

    def check(self) -> None:
        """See ``WholeNetworkConfig.check``."""
        self.classifier.check(self.image_size)


def run(cell: ClassifyCell, inputs: Inputs, work: Work) -> Result:
    """Exact consistency, which needs no labels.

    Returns:
        A row per photograph: ``photograph, consistency_exact`` (mean over its crops), ``unanimous``
        (share of crops with one class at every offset), ``classes`` (how many different ones),
        ``n`` crops. ``answers`` (n, k, k), the class of each crop at each offset; ``agreement``
        (k, k), see ``agreement_by_offset``.
    """
    pixels = torch.from_numpy(np.array(inputs["images"].arrays["pixels"]))
    answers = predict_windows(cell.classifier, pixels, list(cell.offsets), cell.image_size, work)
    photographs = inputs["images"].table.photograph.to_numpy()
    rows = []
    for name in dict.fromkeys(photographs):
        own = answers[torch.from_numpy(photographs == name)]
        unanimous = (own == own[:, :1, :1]).flatten(1).all(1).double().mean().item()
        about = {"classes": len(own.unique()), "n": len(own)}
        consistency = exact_consistency(own)
        row = {"photograph": name, "consistency_exact": consistency, "unanimous": unanimous}
        rows.append({**row, **about})
    return Result(
        tensors={"answers": answers, "agreement": agreement_by_offset(answers)},
        rows=pd.DataFrame(rows),
    )
