// One operation of the input as it is: pipelines then run on it.
// RUN: pit-mlir-opt %s --no-implicit-module --llvm-request-c-wrappers | filecheck %s
// RUN: pit-mlir-opt %s --no-implicit-module -p "func.func(cse,pit-simplify)" --mlir-print-debuginfo | filecheck %s --check-prefix=PIPELINE
// RUN: not pit-mlir-opt %s --no-implicit-module --pit-normalize 2>&1 | filecheck %s --check-prefix=MODULE
// RUN: sed 's/^func.func @f/func.func @g() { return }\nfunc.func @f/' %s | not pit-mlir-opt --no-implicit-module 2>&1 | filecheck %s --check-prefix=SEVERAL

//     CHECK-NOT: module {
//         CHECK: func.func @f({{.*}}) {{.*}} attributes {llvm.emit_c_interface}
//  PIPELINE-NOT: module {
//      PIPELINE: func.func @f
// PIPELINE-COUNT-1: arith.addi
//  PIPELINE-NOT: arith.addi
//      PIPELINE: loc("{{.*}}no-implicit-module.mlir":
//  MODULE: error: pass 'pit-normalize' runs on 'builtin.module', not on 'func.func'
// SEVERAL: <stdin>:0:0: error: source must contain a single top-level operation, found: 2
func.func @f(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}
