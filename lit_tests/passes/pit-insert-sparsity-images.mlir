// RUN: pit-mlir-opt %s -p "pit-normalize, pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify, canonicalize, cse" | filecheck %s

// Images that are 0: a convolution reads the live ones alone, and elsewhere its result is the bias.

// CHECK-LABEL: func.func @images
// CHECK-SAME: (%[[X:.*]]: tensor<7x3x9x9xf32>, %[[K:.*]]: tensor<4x3x3x3xf32>, %[[B:.*]]: tensor<4xf32>, %[[M:.*]]: tensor<7xi1>)
// CHECK-DAG: %[[I:.*]] = "pit.detect"(%[[M]])
// CHECK-DAG: %[[N:.*]] = "pit.size"(%[[I]])
// CHECK-DAG: %[[R:.*]] = "pit.sread"(%[[X]], %[[I]]) {{.*}} -> tensor<?x3x9x9xf32>
// CHECK-DAG: %[[P:.*]] = tensor.pad %[[R]] low[0, 0, 1, 1] high[0, 0, 1, 1]
// CHECK-DAG: %[[W:.*]] = "pit.window"(%[[P]], %[[N]]) {{.*}} -> tensor<?x3x9x3x9x3xf32>
// CHECK-DAG: %[[ALL:.*]] = linalg.generic {{.*}} ins(%[[B]] : tensor<4xf32>) outs(%{{.*}} : tensor<7x4x9x9xf32>)
// CHECK-DAG: %[[LIVE:.*]] = linalg.generic {{.*}} ins(%[[B]] : tensor<4xf32>) outs(%{{.*}} : tensor<?x4x9x9xf32>)
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[W]], %[[K]] : {{.*}}) outs(%[[LIVE]] : tensor<?x4x9x9xf32>)
// CHECK: "pit.swrite"(%[[Y]], %[[ALL]], %[[I]])
func.func @images(%x: tensor<7x3x9x9xf32>, %k: tensor<4x3x3x3xf32>, %b: tensor<4xf32>, %m: tensor<7xi1>) -> tensor<7x4x9x9xf32> {
  %zero = arith.constant 0.0 : f32
  %wide = tensor.expand_shape %m [[0, 1, 2, 3]] output_shape [7, 1, 1, 1] : tensor<7xi1> into tensor<7x1x1x1xi1>
  %0 = "pit.mark"(%x, %wide) : (tensor<7x3x9x9xf32>, tensor<7x1x1x1xi1>) -> tensor<7x3x9x9xf32>
  %p = tensor.pad %0 low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%i: index, %j: index, %h: index, %w: index):
    tensor.yield %zero : f32
  } : tensor<7x3x9x9xf32> to tensor<7x3x11x11xf32>
  %e = tensor.empty() : tensor<7x4x9x9xf32>
  %init = linalg.broadcast ins(%b : tensor<4xf32>) outs(%e : tensor<7x4x9x9xf32>) dimensions = [0, 2, 3]
  %y = linalg.conv_2d_nchw_fchw ins(%p, %k : tensor<7x3x11x11xf32>, tensor<4x3x3x3xf32>)
      outs(%init : tensor<7x4x9x9xf32>) -> tensor<7x4x9x9xf32>
  return %y : tensor<7x4x9x9xf32>
}

// Images that nobody wants: pooling and depthwise convolutions stand aside, too.

// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[X:.*]]: tensor<7x3x9x9xf32>
// CHECK: %[[I:.*]] = "pit.detect"(%arg3)
// CHECK-NOT: tensor<7x3x8x8xf32>
// CHECK: "pit.sread"(%[[X]], %[[I]])
// CHECK-NOT: tensor<7x3x8x8xf32>
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x8x8xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x3x7x7xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<?x4x6x6xf32>)
// CHECK: "pit.swrite"
func.func @chain(%x: tensor<7x3x9x9xf32>, %d: tensor<3x2x2xf32>, %k: tensor<4x3x2x2xf32>, %m: tensor<7xi1>) -> tensor<7x4x6x6xf32> {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %w = tensor.empty() : tensor<2x2xf32>
  %ep = tensor.empty() : tensor<7x3x8x8xf32>
  %ip = linalg.fill ins(%lowest : f32) outs(%ep : tensor<7x3x8x8xf32>) -> tensor<7x3x8x8xf32>
  %p = linalg.pooling_nchw_max ins(%x, %w : tensor<7x3x9x9xf32>, tensor<2x2xf32>) outs(%ip : tensor<7x3x8x8xf32>) -> tensor<7x3x8x8xf32>
  %ed = tensor.empty() : tensor<7x3x7x7xf32>
  %id = linalg.fill ins(%zero : f32) outs(%ed : tensor<7x3x7x7xf32>) -> tensor<7x3x7x7xf32>
  %c = linalg.depthwise_conv_2d_nchw_chw ins(%p, %d : tensor<7x3x8x8xf32>, tensor<3x2x2xf32>) outs(%id : tensor<7x3x7x7xf32>) -> tensor<7x3x7x7xf32>
  %ey = tensor.empty() : tensor<7x4x6x6xf32>
  %iy = linalg.fill ins(%zero : f32) outs(%ey : tensor<7x4x6x6xf32>) -> tensor<7x4x6x6xf32>
  %y = linalg.conv_2d_nchw_fchw ins(%c, %k : tensor<7x3x7x7xf32>, tensor<4x3x2x2xf32>) outs(%iy : tensor<7x4x6x6xf32>) -> tensor<7x4x6x6xf32>
  %z = linalg.generic {indexing_maps = [affine_map<(n, f, h, v) -> (n)>, affine_map<(n, f, h, v) -> (n, f, h, v)>,
      affine_map<(n, f, h, v) -> (n, f, h, v)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%m, %y : tensor<7xi1>, tensor<7x4x6x6xf32>) outs(%ey : tensor<7x4x6x6xf32>) {
  ^bb0(%live: i1, %a: f32, %o: f32):
    %s = arith.select %live, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<7x4x6x6xf32>
  return %z : tensor<7x4x6x6xf32>
}

// Padding with another value than the one that the fact is of tells nothing of the windows.

// CHECK-LABEL: func.func @padded_with_one
// CHECK: tensor.pad %{{.*}} low[0, 0, 1, 1]
// CHECK: tensor<7x3x9x9xf32> to tensor<7x3x11x11xf32>
func.func @padded_with_one(%x: tensor<7x3x9x9xf32>, %k: tensor<4x3x3x3xf32>, %m: tensor<7xi1>, %init: tensor<7x4x9x9xf32>) -> tensor<7x4x9x9xf32> {
  %one = arith.constant 1.0 : f32
  %wide = tensor.expand_shape %m [[0, 1, 2, 3]] output_shape [7, 1, 1, 1] : tensor<7xi1> into tensor<7x1x1x1xi1>
  %0 = "pit.mark"(%x, %wide) : (tensor<7x3x9x9xf32>, tensor<7x1x1x1xi1>) -> tensor<7x3x9x9xf32>
  %p = tensor.pad %0 low[0, 0, 1, 1] high[0, 0, 1, 1] {
  ^bb0(%i: index, %j: index, %h: index, %w: index):
    tensor.yield %one : f32
  } : tensor<7x3x9x9xf32> to tensor<7x3x11x11xf32>
  %y = linalg.conv_2d_nchw_fchw ins(%p, %k : tensor<7x3x11x11xf32>, tensor<4x3x3x3xf32>)
      outs(%init : tensor<7x4x9x9xf32>) -> tensor<7x4x9x9xf32>
  return %y : tensor<7x4x9x9xf32>
}
