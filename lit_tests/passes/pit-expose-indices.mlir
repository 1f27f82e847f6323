// RUN: pit-mlir-opt %s --pit-expose-indices='micro-tiles=1,8' | filecheck %s

// Lists of the columns that are live for each block of 32 rows: what they hold, and how long they are for other blocks.
// CHECK-LABEL: func.func @main
// CHECK-SAME:    (%[[A:.*]]: tensor<?x64xf32>, %[[M:.*]]: tensor<4x16xi1>, %{{.*}}: tensor<64x32xf32>)
// CHECK-SAME:    -> (tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>, tensor<?xi64>, tensor<3xi64>)
// CHECK:         %[[DIM:.*]] = tensor.dim %[[A]]
// CHECK:         %[[K:.*]] = "pit.detect"(%[[A]])
// CHECK:         %[[I:.*]] = "pit.detect"(%[[M]])
// CHECK:         %[[ONE:.*]] = "pit.detect"(%[[A]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>}
// CHECK:         %[[SIZE:.*]] = "pit.size"(%[[ONE]])
// CHECK:         %[[N1:.*]] = arith.index_cast %[[SIZE]] : index to i64
// CHECK:         "pit.detect"(%[[A]]) {axis = array<i64: 1>, block = array<i64: 8>
// CHECK:         %[[N8:.*]] = arith.index_cast
// CHECK:         %[[KL:.*]]:4 = "pit.lists"(%[[K]])
// Rows are entries already.
// CHECK-NOT:     "pit.detect"(%[[M]])
// CHECK:         %[[IL:.*]]:4 = "pit.lists"(%[[I]])
// The rows of the contraction, which only the call tells.
// CHECK:         %[[ROWS:.*]] = arith.index_cast %[[DIM]] : index to i64
// What it expects of its list, and of none.
// CHECK:         %[[CHOICE:.*]] = "pit.choice"
// CHECK:         %[[NUMBERS:.*]] = tensor.from_elements %[[N1]], %[[N8]], %[[ROWS]] : tensor<3xi64>
// CHECK:         return %{{.*}}, %[[KL]]#0, %[[KL]]#1, %[[KL]]#2, %[[KL]]#3, %[[IL]]#0, %[[IL]]#1, %[[IL]]#2, %[[IL]]#3, %[[CHOICE]], %[[NUMBERS]]
func.func @main(%a: tensor<?x64xf32>, %mask: tensor<4x16xi1>, %b: tensor<64x32xf32>) -> tensor<?x32xf32> {
  %c0 = arith.constant 0 : index
  %m = tensor.dim %a, %c0 : tensor<?x64xf32>
  %init = tensor.empty(%m) : tensor<?x32xf32>
  %K = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>, micro_tile = 32 : i64} : (tensor<?x64xf32>) -> !pit.index
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x16xi1>) -> !pit.index
  %c = "pit.contract"(%init, %K) ({
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x64xf32>) -> f32
    %w = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x32xf32>) -> f32
    "pit.yield"(%x, %w) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, block = array<i64: 32>, compact = false, combine = "store"}
      : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  return %c : tensor<?x32xf32>
}

// Another function is not a program's entry.
// CHECK-LABEL: func.func @other
// CHECK-NOT:     pit.lists
func.func @other(%mask: tensor<4xi1>) -> index {
  %I = "pit.detect"(%mask) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<4xi1>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  return %n : index
}
