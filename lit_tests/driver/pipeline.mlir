// Pipelines as text: anchored, unanchored, nested, with options, and the text they are read back as.
// RUN: pit-mlir-opt %s -p "builtin.module(func.func(cse), canonicalize{top-down=false})" | filecheck %s
// RUN: pit-mlir-opt %s --pass-pipeline="func.func(cse,canonicalize)" | filecheck %s
// RUN: pit-mlir-opt %s -p=cse | filecheck %s
// RUN: pit-mlir-opt %s -p "any(cse)" | filecheck %s
// RUN: pit-mlir-opt %s -p "builtin.module( any( cse ) )" | filecheck %s
// RUN: pit-mlir-opt %s --cse --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=ONE
// RUN: pit-mlir-opt %s -p "func.func( cse , canonicalize{ top-down=false } ),cse" --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=DUMP
// RUN: pit-mlir-opt %s -p "" | filecheck %s --check-prefix=NONE
// RUN: pit-mlir-opt %s --llvm-request-c-wrappers --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=IMPLICIT
// RUN: pit-mlir-opt %s --gpu-lower-to-nvvm-pipeline --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=EXPANDED

//      ONE: Pass Manager with 1 passes:
// ONE-NEXT: builtin.module(
// ONE-NEXT:   cse
// ONE-NEXT: )

//      DUMP: Pass Manager with 2 passes:
// DUMP-NEXT: builtin.module(
// DUMP-NEXT:   func.func(
// DUMP-NEXT:     cse,
// DUMP-NEXT:     canonicalize{top-down=false}
// DUMP-NEXT:   ),
// DUMP-NEXT:   cse
// DUMP-NEXT: )

//      IMPLICIT: func.func(
// IMPLICIT-NEXT: llvm-request-c-wrappers

// A pipeline of upstream's is the passes that it stands for.
//      EXPANDED: builtin.module(
//      EXPANDED: gpu-kernel-outlining
//      EXPANDED: gpu.module(
// EXPANDED-NOT: gpu-lower-to-nvvm-pipeline

// CHECK-LABEL: func.func @twice
// CHECK-COUNT-1: arith.addi
// CHECK-NOT:     arith.addi

// NONE-COUNT-2: arith.addi
func.func @twice(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}
