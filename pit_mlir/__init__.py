"""A compiler for deep learning whose sparsity is known only at run time."""
