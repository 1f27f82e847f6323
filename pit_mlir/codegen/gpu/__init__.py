"""Code for GPUs: kernels as regions on buffers, from which NVVM is made."""
