// RUN: pit-mlir prove %s | filecheck %s
// RUN: pit-mlir prove - --floats strict < %s | filecheck %s --check-prefix=STRICT
// RUN: pit-mlir prove %s --function last --json | filecheck %s --check-prefix=JSON
// RUN: pit-mlir prove %s --line 22 | filecheck %s --check-prefix=LINE

// Names are those of the file, iterators have the letters of the field.
// CHECK: prove.mlir:22:8: linalg.matmul in @product
// CHECK-NEXT: {{^}}  C[m, n] += A[m, k] * B[k, n]
// CHECK-NEXT: {{^}}  where C starts as init
// CHECK-NEXT: {{^}}    m  4  parallel   every result has m as a whole dimension
// CHECK-NEXT: {{^}}    n  ?  parallel   every result has n as a whole dimension
// CHECK-NEXT: {{^}}    k  5  reduction  f(f(acc, x), y) = f(f(acc, y), x) for all acc, x, y, floats as reals
// CHECK-NEXT: {{^}}    A  0 annihilates; at 0, B is not read
// CHECK-NEXT: {{^}}    B  0 annihilates; at 0, A is not read
// CHECK-NEXT: {{^}}    fill along k: A = 0, B = 0
// CHECK-NEXT: {{^}}    assuming that the data is finite (no NaN, no infinity)
// STRICT: k  5  none       the combiner depends on the order: f(f(acc, x), y) != f(f(acc, y), x)
// STRICT-NEXT: (A, B) = {{.*}}, in the other order
// LINE: linalg.matmul in @product
// LINE: 1 operation, 3 iterators: 2 parallel, 1 reduction, 0 none
func.func @product(%A: tensor<4x5xf32>, %B: tensor<5x?xf32>, %init: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %C = linalg.matmul ins(%A, %B : tensor<4x5xf32>, tensor<5x?xf32>) outs(%init : tensor<4x?xf32>) -> tensor<4x?xf32>
  return %C : tensor<4x?xf32>
}

// A window is refused, with numbers: 1 * 3 + 2 * 4 = 11, but 1 * 4 + 2 * 3 = 10.
// CHECK: linalg.conv_1d in @window
// CHECK-NEXT: {{^}}  O[w] += I[w + s] * K[s]
// CHECK-NEXT: where O starts as 0
// CHECK-NEXT: w  7  none       w is not isolated: I is read at w + s
// CHECK-NEXT: I = [1, 2], K = 3: O is [3, 6]; with the slices along w in the order 1, 0 it is [3, 6], not [6, 3]
// CHECK-NEXT: s  3  none       s is not isolated: I is read at w + s
// CHECK-NEXT: I = [1, 2], K = [3, 4]: O is 11; with the slices along s in the order 1, 0 it is 10, not 11
func.func @window(%I: tensor<9xf32>, %K: tensor<3xf32>) -> tensor<7xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<7xf32>) -> tensor<7xf32>
  %O = linalg.conv_1d ins(%I, %K : tensor<9xf32>, tensor<3xf32>) outs(%init : tensor<7xf32>) -> tensor<7xf32>
  return %O : tensor<7xf32>
}

// CHECK: linalg.generic in @last
// CHECK-NEXT: {{^}}  y = x[i]
// CHECK-NEXT: i  4  none       the combiner depends on the order: f(f(acc, x), y) != f(f(acc, y), x)
// CHECK-NEXT: y = {{.*}}; x = [[FIRST:.*]], then [[SECOND:.*]]: y = [[SECOND]], in the other order [[FIRST]]
// JSON: "verdict": "none"
// JSON: "counterexample": {
// JSON: "kind": "fold"
func.func @last(%x: tensor<4xf32>, %init: tensor<f32>) -> tensor<f32> {
  %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%init : tensor<f32>) {
  ^bb0(%in: f32, %acc: f32):
    linalg.yield %in : f32
  } -> tensor<f32>
  return %y : tensor<f32>
}

// What is no fold of a body by maps is named, and left.
// CHECK: linalg.softmax in @other
// CHECK-NEXT: has no indexing maps to reason about
func.func @other(%x: tensor<4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.softmax dimension(0) ins(%x : tensor<4xf32>) outs(%init : tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK: 4 operations, 7 iterators: 3 parallel, 1 reduction, 3 none
