"""Code for the CPU."""
