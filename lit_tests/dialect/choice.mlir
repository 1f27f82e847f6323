// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse | filecheck %s --check-prefix=ONCE

// CHECK-LABEL: func.func @look
// CHECK:         %[[C:.*]] = "pit.contract"
// CHECK:         %[[N:.*]] = "pit.choice"(%[[C]]) : (tensor<8x32xf32>) -> tensor<?xi64>
// CHECK:         return %[[C]], %[[N]]
// ONCE-COUNT-1:  pit.choice
// ONCE-NOT:      pit.choice
func.func @look(%a: tensor<8x64xf32>, %b: tensor<64x32xf32>, %init: tensor<8x32xf32>) -> (tensor<8x32xf32>, tensor<?xi64>, tensor<?xi64>) {
  %c = "pit.contract"(%init) ({
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<8x64xf32>) -> f32
    %w = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x32xf32>) -> f32
    "pit.yield"(%x, %w) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<8x32xf32>) -> tensor<8x32xf32>
  %numbers = "pit.choice"(%c) : (tensor<8x32xf32>) -> tensor<?xi64>
  %again = "pit.choice"(%c) : (tensor<8x32xf32>) -> tensor<?xi64>
  return %c, %numbers, %again : tensor<8x32xf32>, tensor<?xi64>, tensor<?xi64>
}
