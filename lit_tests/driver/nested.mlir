// Where passes run: in modules inside modules, in any operation that is isolated from above, in what they are for.
// RUN: pit-mlir-opt %s -p "builtin.module(builtin.module(func.func(cse)))" | filecheck %s --check-prefix=DEEP
// RUN: pit-mlir-opt %s -p "builtin.module(gpu.module(gpu.func(cse)))" | filecheck %s --check-prefix=GPU
// RUN: pit-mlir-opt %s -p "builtin.module(any(any(cse)))" | filecheck %s --check-prefix=ANY
// RUN: pit-mlir-opt %s -p "func.func(pit-simplify)" | filecheck %s --check-prefix=OURS
// RUN: pit-mlir-opt %s -p "any(pit-simplify)" --mlir-print-ir-after-all -o /dev/null 2>&1 | filecheck %s --check-prefix=ROOT
// RUN: pit-mlir-opt %s -p "builtin.module(any(pit-simplify))" --mlir-print-ir-after-all -o /dev/null 2>&1 | filecheck %s --check-prefix=WHERE
// RUN: pit-mlir-opt %s -p "func.func(cse,canonicalize)" --mlir-print-ir-after-all -o /dev/null 2>&1 | filecheck %s --check-prefix=TURNS
// RUN: not pit-mlir-opt %s -p "func.func(cse, pit-normalize)" 2>&1 | filecheck %s --check-prefix=MODULE --strict-whitespace --match-full-lines
// RUN: not pit-mlir-opt %s -p "builtin.module(func.func(scf.for(cse)))" 2>&1 | filecheck %s --check-prefix=ISOLATED
// RUN: not pit-mlir-opt %s -p "any(no-such-pass)" 2>&1 | filecheck %s --check-prefix=UNKNOWN

//      MODULE:pass-pipeline:1:16: error: pass 'pit-normalize' runs on 'builtin.module', not on 'func.func'
// MODULE-NEXT:func.func(cse, pit-normalize)
// MODULE-NEXT:               ^

// ISOLATED: nested.mlir:{{[0-9]+}}:3: error: 'scf.for' op trying to schedule a pass on an operation not marked as 'IsolatedFromAbove'
// UNKNOWN: pass-pipeline:1:5: error: unknown pass 'no-such-pass'

//       DEEP: func.func @outer
// DEEP-COUNT-3: arith.addi
//       DEEP: func.func @inner
// DEEP-COUNT-1: arith.addi
//   DEEP-NOT: arith.addi
//       DEEP: gpu.module

//      GPU: gpu.func @kernel
// GPU-COUNT-1: arith.addi
//  GPU-NOT: arith.addi

//      ANY: func.func @outer
// ANY-COUNT-3: arith.addi
//      ANY: func.func @inner
// ANY-COUNT-1: arith.addi

//      OURS: func.func @outer
// OURS-COUNT-1: arith.addi
//  OURS-NOT: arith.addi
//      OURS: func.func @inner
// OURS-COUNT-2: arith.addi

//     ROOT: IR Dump After pit-simplify
// ROOT-NEXT: module {
//  ROOT-NOT: IR Dump

//      WHERE: IR Dump After pit-simplify
// WHERE-NEXT: func.func @outer
//      WHERE: IR Dump After pit-simplify
// WHERE-NEXT: module @nested
//      WHERE: IR Dump After pit-simplify
// WHERE-NEXT: func.func @last
//  WHERE-NOT: IR Dump

//      TURNS: IR Dump After cse
// TURNS-NEXT: func.func @outer
//      TURNS: IR Dump After canonicalize
// TURNS-NEXT: func.func @outer
//      TURNS: IR Dump After cse
// TURNS-NEXT: func.func @last
func.func @outer(%a: i32, %n: index) -> (i32, i32) {
  %c0 = arith.constant 0 : index
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  scf.for %i = %c0 to %n step %n {
    %2 = arith.addi %a, %a : i32
    vector.print %2 : i32
  }
  return %0, %1 : i32, i32
}
module @nested {
  func.func @inner(%a: i32) -> (i32, i32) {
    %0 = arith.addi %a, %a : i32
    %1 = arith.addi %a, %a : i32
    return %0, %1 : i32, i32
  }
}
gpu.module @device {
  gpu.func @kernel(%a: i32) -> (i32, i32) {
    %0 = arith.addi %a, %a : i32
    %1 = arith.addi %a, %a : i32
    gpu.return %0, %1 : i32, i32
  }
}
func.func @last() {
  return
}
