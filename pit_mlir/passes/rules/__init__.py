"""The rules that move sparsity through a program: one rule, one file, named by its equation."""
