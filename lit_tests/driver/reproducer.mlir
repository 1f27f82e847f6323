// Reproducers are MLIR's own: --run-reproducer runs those written here and those of mlir-opt, and so does mlir-opt.
// RUN: not pit-mlir-opt %s -p "cse,one-shot-bufferize,canonicalize" --mlir-pass-pipeline-crash-reproducer=%t.mlir 2>&1 | filecheck %s --check-prefix=FAILED
// RUN: filecheck %s --check-prefix=FILE < %t.mlir
// RUN: not pit-mlir-opt %t.mlir --run-reproducer 2>&1 | filecheck %s --check-prefix=FAILED
// RUN: pit-mlir-opt %s --cse --pit-prove-permutation=floats=strict --mlir-generate-reproducer=%t.good.mlir --verify-each=false -o %t.out
// RUN: filecheck %s --check-prefix=GENERATED < %t.good.mlir
// RUN: pit-mlir-opt %t.good.mlir --run-reproducer --dump-pass-pipeline 2>&1 | filecheck %s --check-prefix=AGAIN
// RUN: pit-mlir-opt %t.good.mlir 2>&1 | filecheck %s --check-prefix=PLAIN
// RUN: echo "// configuration: -pass-pipeline='builtin.module(cse)'" > %t.old.mlir
// RUN: cat %s >> %t.old.mlir
// RUN: pit-mlir-opt %t.old.mlir --run-reproducer | filecheck %s --check-prefix=OLD
// RUN: not pit-mlir-opt %s --run-reproducer 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not pit-mlir-opt %t.good.mlir --run-reproducer --cse 2>&1 | filecheck %s --check-prefix=BOTH
// RUN: not pit-mlir-opt %s --mlir-generate-reproducer=%t.absent/r.mlir 2>&1 | filecheck %s --check-prefix=NODIR
// RUN: not pit-mlir-opt %s --pit-declare-padding --mlir-pass-pipeline-crash-reproducer=%t.input.mlir 2>&1 | filecheck %s --check-prefix=INPUT
// RUN: pit-mlir-opt %s --cse --mlir-pass-pipeline-crash-reproducer=%t.none.mlir -o /dev/null
// RUN: not ls %t.none.mlir

// FAILED: error: op was not bufferized
// FAILED: note: see current operation: {{.*}}"pit.mark"

// One pass is left, on the module as it came to it.
//          FILE: func.func @f
//  FILE-COUNT-1: arith.addi
//          FILE: {-#
//     FILE-NEXT:   external_resources: {
//     FILE-NEXT:     mlir_reproducer: {
//     FILE-NEXT:       pipeline: "builtin.module(one-shot-bufferize)",
//     FILE-NEXT:       disable_threading: true,
//     FILE-NEXT:       verify_each: true
//     FILE-NEXT:     }
//     FILE-NEXT:   }
//     FILE-NEXT: #-}

// GENERATED-COUNT-2: arith.addi
// GENERATED: pipeline: "builtin.module(cse,pit-prove-permutation{floats=strict})",
// GENERATED: verify_each: false

//         AGAIN: Pass Manager with 2 passes:
// AGAIN-COUNT-1: arith.addi
//     AGAIN-NOT: arith.addi

//     PLAIN-NOT: warning
// PLAIN-COUNT-2: arith.addi

// OLD-COUNT-1: arith.addi
//     OLD-NOT: arith.addi

//  NONE: reproducer.mlir:1:1: error: no reproducer
//  BOTH: pit-mlir-opt: error: takes passes as flags or from the reproducer, got both: --cse
// NODIR: error: cannot write output file '{{.*}}': No such file or directory
// INPUT: error: pit-declare-padding: argument = -1 is not among the 2 arguments
// INPUT: note: reproduce with: pit-mlir-opt {{.*}}.input.mlir --run-reproducer
func.func @f(%a: i32, %x: tensor<4xf32>) -> (i32, i32, tensor<4xf32>) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  %y = "pit.mark"(%x) {operandSegmentSizes = array<i32: 1, 0>} : (tensor<4xf32>) -> tensor<4xf32>
  return %0, %1, %y : i32, i32, tensor<4xf32>
}
