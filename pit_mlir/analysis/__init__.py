"""What is known about the IR without changing it: proofs, zeros, costs."""
