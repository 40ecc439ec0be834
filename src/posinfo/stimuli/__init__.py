"""What goes in: position patterns, photographs and synthetic images. Plain PyTorch and NumPy."""
