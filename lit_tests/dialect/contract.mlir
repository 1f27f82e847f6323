// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --canonicalize | filecheck %s --check-prefix=DEAD

// CHECK-LABEL: func.func @linear
// CHECK:         "pit.contract"(%{{.*}}) ({
// CHECK:           "pit.yield"(%{{.*}}, %{{.*}}) : (f32, f32) -> ()
// CHECK:         }, {
// CHECK:           "pit.yield"(%{{.*}}) : (f32) -> ()
// CHECK:         block = array<i64>, combine = "store", compact = false, group = array<i64>
// CHECK-SAME:    tile = array<i64: 12, 2, 64>
// DEAD-LABEL:  func.func @linear
// DEAD-COUNT-1:  "pit.contract"
// DEAD-NOT:      "pit.contract"
// DEAD:          return
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %bias: tensor<32xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    %c = "pit.element"(%bias) {map = affine_map<(m, n, k) -> (n)>, compact = false} : (tensor<32xf32>) -> f32
    %s = arith.addf %sum, %c : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], tile = array<i64: 12, 2, 64>,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<?x32xf32>) -> tensor<?x32xf32>
  %dead = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Rows gathered on the way in and scattered on the way out.
// CHECK-LABEL: func.func @gather_scatter
// CHECK:         block = array<i64: 1>, combine = "add", compact = false, group = array<i64: 0, 1>
func.func @gather_scatter(%x: tensor<4x16x64xf32>, %w: tensor<32x64xf32>, %init: tensor<4x16x32xf32>, %m: tensor<4x16xi1>) -> tensor<4x16x32xf32> {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x16xi1>) -> !pit.index
  %y = "pit.contract"(%init, %I) ({
    %a = "pit.element"(%x) {map = affine_map<(b, t, n, k) -> (b, t, k)>, compact = false} : (tensor<4x16x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(b, t, n, k) -> (n, k)>, compact = false} : (tensor<32x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(b, t, n, k) -> (b, t, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 1>, block = array<i64: 1>, compact = false, combine = "add"}
      : (tensor<4x16x32xf32>, !pit.index) -> tensor<4x16x32xf32>
  return %y : tensor<4x16x32xf32>
}
