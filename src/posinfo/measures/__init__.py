"""How it is measured: metrics, scores, tables and figures. Plain PyTorch, pandas and matplotlib."""
