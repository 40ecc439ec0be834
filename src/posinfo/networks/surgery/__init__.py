"""What is changed or read inside of a network: padding, blocks, order of channels."""
