"""Where a model enters: `torch.nn.Module`, `ExportedProgram` and `.mlir` text become linalg on tensors."""
