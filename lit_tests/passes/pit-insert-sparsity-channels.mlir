// RUN: pit-mlir-opt %s -p "pit-normalize, pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify, pit-insert-sparsity{only=lists}, pit-select-tiles" | filecheck %s

// Channels that a mask leaves out, the same ones in all images or others in each: lists along the depth of the kernel, one
// for all images or one for each. The windows are read where the padded images lie.

#all = affine_map<(n, c, h, w) -> (n, c, h, w)>

// CHECK-LABEL: func.func @shared
// CHECK-SAME: %[[M:[a-z0-9]*]]: tensor<24xi1>
// CHECK: %[[W:.*]] = "pit.window"(%{{.*}}) {{.*}} -> tensor<2x24x9x3x7x3xf32>
// CHECK: %[[I:.*]] = "pit.detect"(%[[M]]) {axis = array<i64: 0>, block = array<i64>, {{.*}}segments = array<i64>}
// CHECK: "pit.contract"(%{{.*}}, %[[I]])
// CHECK: "pit.element"(%[[W]])
// CHECK: group = array<i64: 4>
func.func @shared(%x: tensor<2x24x11x9xf32>, %k: tensor<12x24x3x3xf32>, %m: tensor<24xi1>, %init: tensor<2x12x9x7xf32>) -> tensor<2x12x9x7xf32> {
  %e = tensor.empty() : tensor<2x24x11x9xf32>
  %z = linalg.generic {indexing_maps = [#all, affine_map<(n, c, h, w) -> (c)>, #all],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x, %m : tensor<2x24x11x9xf32>, tensor<24xi1>) outs(%e : tensor<2x24x11x9xf32>) {
  ^bb0(%a: f32, %live: i1, %o: f32):
    %f = arith.uitofp %live : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<2x24x11x9xf32>
  %y = linalg.conv_2d_nchw_fchw ins(%z, %k : tensor<2x24x11x9xf32>, tensor<12x24x3x3xf32>)
      outs(%init : tensor<2x12x9x7xf32>) -> tensor<2x12x9x7xf32>
  return %y : tensor<2x12x9x7xf32>
}

// CHECK-LABEL: func.func @of_each_image
// CHECK-SAME: %[[M:[a-z0-9]*]]: tensor<2x24xi1>
// CHECK: "pit.detect"(%[[M]]) {axis = array<i64: 1>, block = array<i64: 1>, {{.*}}segments = array<i64: 0>}
// CHECK: "pit.contract"
// CHECK: block = array<i64: 1>, {{.*}}group = array<i64: 0, 4>
func.func @of_each_image(%x: tensor<2x24x11x9xf32>, %k: tensor<12x24x3x3xf32>, %m: tensor<2x24xi1>, %init: tensor<2x12x9x7xf32>) -> tensor<2x12x9x7xf32> {
  %e = tensor.empty() : tensor<2x24x11x9xf32>
  %z = linalg.generic {indexing_maps = [#all, affine_map<(n, c, h, w) -> (n, c)>, #all],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x, %m : tensor<2x24x11x9xf32>, tensor<2x24xi1>) outs(%e : tensor<2x24x11x9xf32>) {
  ^bb0(%a: f32, %live: i1, %o: f32):
    %f = arith.uitofp %live : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<2x24x11x9xf32>
  %y = linalg.conv_2d_nchw_fchw ins(%z, %k : tensor<2x24x11x9xf32>, tensor<12x24x3x3xf32>)
      outs(%init : tensor<2x12x9x7xf32>) -> tensor<2x12x9x7xf32>
  return %y : tensor<2x12x9x7xf32>
}
