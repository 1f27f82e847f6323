// Remarks of passes: with their place, in the order of the program, as grave as asked for.
// RUN: pit-mlir-opt %s --pit-prove-permutation --verify-diagnostics
// RUN: pit-mlir-opt %s --pit-prove-permutation -o /dev/null 2>&1 | filecheck %s
// RUN: pit-mlir-opt %s --pit-prove-permutation --mlir-disable-diagnostic-notes -o /dev/null 2>&1 | filecheck %s --check-prefix=NONOTE
// RUN: pit-mlir-opt %s --pit-prove-permutation --mlir-diagnostic-verbosity-level=errors -o /dev/null 2>&1 | filecheck %s --check-prefix=QUIET --allow-empty

//      CHECK: remarks.mlir:{{[0-9]+}}:8: remark: linalg.generic: iterator d0 is none:
// CHECK-NEXT: %s = linalg.generic
// CHECK-NEXT: {{^}}       ^
//      CHECK: note: counterexample:

//     NONOTE: remark: linalg.generic
// NONOTE-NOT: note:

// QUIET-NOT: remark
func.func @difference(%x: tensor<8xf32>, %init: tensor<f32>) -> tensor<f32> {
  // expected-remark@+2 {{iterator d0 is none}}
  // expected-note@+1 {{counterexample}}
  %s = linalg.generic {indexing_maps = [affine_map<(k) -> (k)>, affine_map<(k) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<8xf32>) outs(%init : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %d = arith.subf %in, %out : f32
    linalg.yield %d : f32
  } -> tensor<f32>
  return %s : tensor<f32>
}
