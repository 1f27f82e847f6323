// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse --canonicalize | filecheck %s --check-prefix=CSE

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @k_list
// CHECK:         %[[K:.*]] = "pit.detect"
// CHECK:         "pit.generic"(%{{.*}}, %[[K]])
// CHECK:           "pit.element"(%{{.*}}) {compact = false, map = #{{.*}}} : (tensor<?x64xf32>) -> f32
// CHECK:           "pit.yield"(%{{.*}}) : (f32) -> ()
// CHECK:         compact = false, group = array<i64: 0, 2>
// CSE-LABEL:   func.func @k_list
// CSE-COUNT-1:   "pit.generic"
// CSE-NOT:       "pit.generic"
// CSE:           return
func.func @k_list(%a: tensor<?x64xf32>, %b: tensor<64x?xf32>, %init: tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %K = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>, micro_tile = 32 : i64} : (tensor<?x64xf32>) -> !pit.index
  %c = "pit.generic"(%init, %K) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = #mk, compact = false} : (tensor<?x64xf32>) -> f32
    %w = "pit.element"(%b) {map = #kn, compact = false} : (tensor<64x?xf32>) -> f32
    %p = arith.mulf %x, %w : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#mn], group = array<i64: 0, 2>, compact = false,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]}
      : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  %d = "pit.generic"(%init, %K) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = #mk, compact = false} : (tensor<?x64xf32>) -> f32
    %w = "pit.element"(%b) {map = #kn, compact = false} : (tensor<64x?xf32>) -> f32
    %p = arith.mulf %x, %w : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#mn], group = array<i64: 0, 2>, compact = false,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]}
      : (tensor<?x?xf32>, !pit.index) -> tensor<?x?xf32>
  return %c, %d : tensor<?x?xf32>, tensor<?x?xf32>
}

// Compact rows: the group is one dimension, written as its first iterator.
// CHECK-LABEL: func.func @rows
// CHECK:         compact = true, group = array<i64: 0, 1>
func.func @rows(%x: tensor<?x8xf32>, %w: tensor<4x8xf32>, %init: tensor<?x8xf32>, %m: tensor<4x16xi1>) -> tensor<?x8xf32> {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x16xi1>) -> !pit.index
  %y = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {map = affine_map<(b, t, d) -> (b, d)>, compact = true} : (tensor<?x8xf32>) -> f32
    %c = "pit.element"(%w) {map = affine_map<(b, t, d) -> (b, d)>, compact = false} : (tensor<4x8xf32>) -> f32
    %p = arith.mulf %a, %c : f32
    "pit.yield"(%p) : (f32) -> ()
  }) {indexing_maps = [affine_map<(b, t, d) -> (b, d)>], group = array<i64: 0, 1>, compact = true,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>]}
      : (tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
