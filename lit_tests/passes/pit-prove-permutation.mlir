// RUN: pit-mlir-opt %s --pit-prove-permutation 2>&1 | filecheck %s

// Sparse in m, n or k: a matrix product may be permuted along each, and zeros of either factor may be skipped.
// CHECK-LABEL: func.func @matmul
// CHECK: linalg.matmul
// CHECK-SAME: pit.annihilates = [true, true]
// CHECK-SAME: pit.assumes = ["the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.axes = ["parallel", "parallel", "reduction"]
// CHECK-SAME: pit.background = ["init", "init"]
// CHECK-SAME: pit.fill = {{\[\[\], \[\], \["0", "0"\]\]}}
// CHECK-SAME: pit.neutral = {{\[\["0"\], \["0"\]\]}}
func.func @matmul(%a: tensor<4x5xf32>, %b: tensor<5x6xf32>, %c: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = linalg.matmul ins(%a, %b : tensor<4x5xf32>, tensor<5x6xf32>) outs(%c : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %0 : tensor<4x6xf32>
}

// torch's row max: an argmax whose index nobody reads. -inf is neutral, 0 is not.
// CHECK-LABEL: func.func @row_max
// CHECK: linalg.generic
// CHECK-SAME: pit.annihilates = [false]
// CHECK-SAME: pit.axes = ["parallel", "reduction"]
// CHECK-SAME: pit.fill = {{\[\[\], \["-inf"\]\]}}
// CHECK-SAME: pit.neutral = {{\[\["-inf"\]\]}}
func.func @row_max(%x: tensor<4x5xf32>, %m: tensor<4xf32>, %i: tensor<4xi64>) -> tensor<4xf32> {
  %0:2 = linalg.generic {
      indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x5xf32>) outs(%m, %i : tensor<4xf32>, tensor<4xi64>) {
  ^bb0(%in: f32, %max: f32, %at: i64):
    %p = linalg.index 1 : index
    %q = arith.index_cast %p : index to i64
    %s = arith.maximumf %in, %max : f32
    %c = arith.cmpf ogt, %in, %max : f32
    %t = arith.select %c, %q, %at : i64
    linalg.yield %s, %t : f32, i64
  } -> (tensor<4xf32>, tensor<4xi64>)
  return %0#0 : tensor<4xf32>
}

// A bias and a ReLU: where %x is 0 the result is an expression of the bias, which does not carry the rows.
// CHECK-LABEL: func.func @biased_relu
// CHECK: pit.annihilates = [false, false]
// CHECK-SAME: pit.axes = ["parallel", "parallel"]
// CHECK-SAME: pit.background = ["expression of operands [1]", "expression of operands [0]"]
func.func @biased_relu(%x: tensor<4x5xf32>, %b: tensor<5xf32>, %o: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %0 = linalg.generic {
      indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (c)>, affine_map<(r, c) -> (r, c)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%x, %b : tensor<4x5xf32>, tensor<5xf32>) outs(%o : tensor<4x5xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    %c = arith.cmpf ugt, %s, %zero : f32
    %r = arith.select %c, %s, %zero : f32
    linalg.yield %r : f32
  } -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// A selection by a mask reads nothing of the value where the mask is false: no assumption.
// CHECK-LABEL: func.func @select
// CHECK: linalg.generic
// CHECK-NOT: pit.assumes
// CHECK-SAME: pit.background = ["0", "0"]
func.func @select(%m: tensor<4xi1>, %x: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %0 = linalg.generic {
      indexing_maps = [affine_map<(r) -> (r)>, affine_map<(r) -> (r)>, affine_map<(r) -> (r)>],
      iterator_types = ["parallel"]}
      ins(%m, %x : tensor<4xi1>, tensor<4xf32>) outs(%o : tensor<4xf32>) {
  ^bb0(%mask: i1, %in: f32, %out: f32):
    %r = arith.select %mask, %in, %zero : f32
    linalg.yield %r : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// What has a list already is proved in the same way.
// CHECK-LABEL: func.func @listed
// CHECK: "pit.generic"
// CHECK: pit.annihilates = [true, true]
// CHECK-SAME: pit.axes = ["parallel", "parallel", "reduction"]
func.func @listed(%a: tensor<8x64xf32>, %b: tensor<64x16xf32>, %c: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %k = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<8x64xf32>) -> !pit.index
  %0 = "pit.generic"(%c, %k) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<8x64xf32>) -> f32
    %w = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x16xf32>) -> f32
    %p = arith.mulf %x, %w : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, compact = false} : (tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  return %0 : tensor<8x16xf32>
}
