"""What is measured: backbones, padding, features and readouts. Plain PyTorch."""
