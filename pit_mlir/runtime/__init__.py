"""What a compiled program needs while it runs: the native library, the engine, threads, descriptors."""
