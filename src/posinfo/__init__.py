"""posinfo: how much absolute position information a convolutional network encodes."""

__version__ = "0.1.0"
