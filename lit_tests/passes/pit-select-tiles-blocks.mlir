// RUN: pit-mlir-opt %s -p 'pit-prove-permutation, pit-insert-sparsity, pit-simplify, pit-select-tiles' | filecheck %s

// A weight under a mask with one value for each block of 32 x 64: the index is one of blocks, made from the mask as it is.

#x = affine_map<(m, a, b, c, d) -> (m, c, d)>
#w = affine_map<(m, a, b, c, d) -> (a, b, c, d)>
#y = affine_map<(m, a, b, c, d) -> (m, a, b)>
#blocks = affine_map<(a, b, c, d) -> (a, c)>
#all = affine_map<(a, b, c, d) -> (a, b, c, d)>

// CHECK-LABEL: func.func @main
// CHECK: %[[INDEX:.*]] = "pit.detect"(%arg2) {axis = array<i64: 1>, block = array<i64: 1>,
// CHECK-SAME: segments = array<i64: 0>} : (tensor<3x2xi1>) -> !pit.index
// CHECK: "pit.contract"(%{{.*}}, %[[INDEX]])
// CHECK: "pit.element"(%arg1)
// CHECK: arith.select
// CHECK: block = array<i64: 1>
// CHECK-SAME: group = array<i64: 1, 3>
func.func @main(%x: tensor<40x2x64xf32>, %w: tensor<3x32x2x64xf32>, %mask: tensor<3x2xi1>) -> tensor<40x3x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x32x2x64xf32>
  %v = linalg.generic {indexing_maps = [#blocks, #all, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%mask, %w : tensor<3x2xi1>, tensor<3x32x2x64xf32>) outs(%e : tensor<3x32x2x64xf32>) {
  ^bb0(%live: i1, %a: f32, %out: f32):
    %s = arith.select %live, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<3x32x2x64xf32>
  %f = tensor.empty() : tensor<40x3x32xf32>
  %c = linalg.fill ins(%zero : f32) outs(%f : tensor<40x3x32xf32>) -> tensor<40x3x32xf32>
  %r = linalg.generic {indexing_maps = [#x, #w, #y],
      iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]}
      ins(%x, %v : tensor<40x2x64xf32>, tensor<3x32x2x64xf32>) outs(%c : tensor<40x3x32xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<40x3x32xf32>
  return %r : tensor<40x3x32xf32>
}
