"""A compiler for deep learning whose sparsity is known only at run time."""

__version__ = "0.1.0"
