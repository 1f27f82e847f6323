// RUN: pit-mlir-opt %s --pit-lower-to-gpu | filecheck %s

// A mark has said what it had to say; tensors that only gave their sizes go.

// CHECK-LABEL: func.func @nothing_sparse
// CHECK-NOT: linalg.fill
// CHECK: %[[ADDED:.*]] = linalg.generic
// CHECK: return %[[ADDED]]
func.func @nothing_sparse(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %unused = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, c)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %a : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
