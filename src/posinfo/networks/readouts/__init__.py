"""Features of frozen networks, and what draws a position map from them."""
