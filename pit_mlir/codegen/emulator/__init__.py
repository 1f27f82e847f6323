"""Kernels in the NVVM dialect, rewritten to run on the host: the compiling half of the emulator.

The other half, `runtime/native/emulator`, is what the rewritten kernels call.
"""
