"""Architectures and where their weights come from."""
