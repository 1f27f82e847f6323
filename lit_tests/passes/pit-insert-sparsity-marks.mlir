// RUN: pit-mlir-opt %s --pit-prove-permutation --pit-insert-sparsity=only=rows --pit-simplify --canonicalize | filecheck %s

// Rows that the author marked: what makes them runs on live rows only, and another mark goes with it.

#mn = affine_map<(m, n) -> (m, n)>

// CHECK-LABEL: func.func @rows
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[M:.*]]: tensor<?xi1>)
// CHECK: %[[I:.*]] = "pit.detect"(%[[M]])
// CHECK: %[[R:.*]] = "pit.sread"(%[[X]], %[[I]])
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[R]] : tensor<?x8xf32>)
// CHECK: %[[V:.*]] = "pit.mark"(%[[Y]])
// CHECK: "pit.swrite"(%[[V]]
func.func @rows(%x: tensor<?x8xf32>, %mask: tensor<?xi1>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %k = tensor.dim %mask, %c0 : tensor<?xi1>
  %column = tensor.expand_shape %mask [[0, 1]] output_shape [%k, 1] : tensor<?xi1> into tensor<?x1xi1>
  %y = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %v = "pit.mark"(%y) {operandSegmentSizes = array<i32: 1, 0>} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %r = "pit.mark"(%v, %column) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x8xf32>, tensor<?x1xi1>) -> tensor<?x8xf32>
  return %r : tensor<?x8xf32>
}

// A mask of single elements makes no rows.

// CHECK-LABEL: func.func @elements
// CHECK-NOT: pit.detect
func.func @elements(%x: tensor<4x8xf32>, %mask: tensor<4x8xi1>) -> tensor<4x8xf32> {
  %r = "pit.mark"(%x, %mask) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x8xf32>, tensor<4x8xi1>) -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}
