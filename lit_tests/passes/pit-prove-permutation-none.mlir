// RUN: pit-mlir-opt %s --pit-prove-permutation --verify-diagnostics | filecheck %s
// RUN: pit-mlir-opt %s -p 'pit-prove-permutation{floats=strict}' | filecheck %s --check-prefix=STRICT
// RUN: pit-mlir-opt %s --pit-prove-permutation 2>&1 | filecheck %s --check-prefix=NOTE

// A window ties rows and columns to positions; images, filters and channels remain.
// NOTE: iterator d2 is none: d2 is not isolated: input 0 is read at d2 + d5
// NOTE: note: counterexample: input 0 = [1, 2], input 1 = 3: result 0 is [3, 6]; with the slices along d2 in the order 1, 0 it is [3, 6], not [6, 3]
// CHECK-LABEL: func.func @convolution
// CHECK: pit.axes = ["parallel", "parallel", "none", "none", "reduction", "none", "none"]
func.func @convolution(%x: tensor<1x3x8x8xf32>, %w: tensor<4x3x3x3xf32>, %o: tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32> {
  // expected-remark@+8 {{linalg.conv_2d_nchw_fchw: iterator d2 is none: d2 is not isolated: input 0 is read at d2 + d5}}
  // expected-note@+7 {{with the slices along d2 in the order 1, 0 it is [3, 6], not [6, 3]}}
  // expected-remark@+6 {{iterator d3 is none}}
  // expected-note@+5 {{with the slices along d3}}
  // expected-remark@+4 {{iterator d5 is none}}
  // expected-note@+3 {{with the slices along d5}}
  // expected-note@+2 {{with the slices along d6}}
  // expected-remark@+1 {{iterator d6 is none: d6 is not isolated: input 0 is read at d3 + d6}}
  %0 = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>) outs(%o : tensor<1x4x6x6xf32>) -> tensor<1x4x6x6xf32>
  return %0 : tensor<1x4x6x6xf32>
}

// CHECK-LABEL: func.func @last_writer
// CHECK: pit.axes = ["none"]
// CHECK-SAME: pit.fill = {{\[\[\]\]}}
// NOTE: note: counterexample: acc = {{.*}}: x then y gives {{.*}}, y then x gives
func.func @last_writer(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  // expected-note@+2 {{counterexample: acc = 2, x = 1, y = 2: x then y gives 2, y then x gives 1}}
  // expected-remark@+1 {{iterator d0 is none: the combiner depends on the order: f(f(acc, x), y) != f(f(acc, y), x)}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%in: f32, %acc: f32):
    linalg.yield %in : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}

// CHECK-LABEL: func.func @iota
// CHECK: pit.axes = ["none"]
func.func @iota(%o: tensor<4xindex>) -> tensor<4xindex> {
  // expected-note@+2 {{with the slices along d0 in the order 1, 0 it is [0, 1], not [1, 0]}}
  // expected-remark@+1 {{iterator d0 is none: the body reads the position linalg.index 0}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%o : tensor<4xindex>) {
  ^bb0(%out: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<4xindex>
  return %0 : tensor<4xindex>
}

// Sums are order-free over the reals, not as machines add.
// CHECK-LABEL: func.func @sum
// CHECK: pit.axes = ["reduction"]
// STRICT-LABEL: func.func @sum
// STRICT: pit.annihilates = [false]
// STRICT-SAME: pit.axes = ["none"]
func.func @sum(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.reduce { arith.addf } ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) dimensions = [0]
  return %0 : tensor<f32>
}

// CHECK-LABEL: func.func @max
// CHECK: pit.axes = ["reduction"]
// STRICT-LABEL: func.func @max
// STRICT: pit.axes = ["reduction"]
func.func @max(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.reduce { arith.maximumf } ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) dimensions = [0]
  return %0 : tensor<f32>
}

// CHECK-LABEL: func.func @effect
// CHECK: pit.axes = ["none"]
func.func @effect(%x: tensor<4xi1>, %o: tensor<4xi1>) -> tensor<4xi1> {
  // expected-remark@+1 {{iterator d0 is none: its body has cf.assert, which has an effect or a region}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xi1>) outs(%o : tensor<4xi1>) {
  ^bb0(%in: i1, %out: i1):
    cf.assert %in, "must hold"
    linalg.yield %in : i1
  } -> tensor<4xi1>
  return %0 : tensor<4xi1>
}
