"""The one training loop, its checkpoints, and the processor it runs on."""
