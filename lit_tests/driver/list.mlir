// RUN: pit-mlir-opt --version | filecheck %s --check-prefix=VERSION
// RUN: pit-mlir-opt --help | filecheck %s --check-prefix=HELP

// VERSION: pit-mlir-opt {{[0-9]+\.[0-9]+\.[0-9]+}} (torch-mlir {{[0-9]+}})
// HELP: usage: pit-mlir-opt
// HELP: --pass-pipeline
