"""Models compiled by `pit_mlir`, and what they gain."""
