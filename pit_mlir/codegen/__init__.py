"""From structured operations to loops, vectors and instructions."""
