// What the driver says about itself. It reads no input for that.
// RUN: pit-mlir-opt --version | filecheck %s --check-prefix=VERSION
// RUN: pit-mlir-opt --help | filecheck %s --check-prefix=HELP
// RUN: pit-mlir-opt -h | filecheck %s --check-prefix=HELP
// RUN: pit-mlir-opt --show-dialects | filecheck %s --check-prefix=DIALECTS
// RUN: pit-mlir-opt --list-passes | filecheck %s --check-prefix=PASSES

// VERSION: pit-mlir-opt {{[0-9]+\.[0-9]+\.[0-9]+}} (torch-mlir {{[0-9]+}})

// HELP: usage: pit-mlir-opt
// HELP: Passes:
// HELP: --pass-pipeline=TEXT
// HELP: Input and output:
// HELP: --split-input-file[=TEXT]
// HELP: What passes do
// HELP: --mlir-timing-display=list|tree

// DIALECTS: Available Dialects: {{.*}},arith,{{.*}},linalg,{{.*}},pit,{{.*}},tensor,tm_tensor,torch,

// PASSES: From linalg on tensors to a sparse program:
// PASSES: --pit-normalize {{.*}}Brings linalg on tensors into normal form
// PASSES: --pit-declare-padding
// PASSES:     argument=int
// PASSES: From a sparse program to code for the CPU:
// PASSES: --pit-lower-to-cpu
// PASSES: Passes and pipelines of upstream MLIR
// PASSES: canonicalize
