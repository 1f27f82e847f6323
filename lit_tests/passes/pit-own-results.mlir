// RUN: pit-mlir-opt %s --pit-own-results | filecheck %s

// CHECK-LABEL: func.func @part
// CHECK: %[[PART:.*]] = tensor.extract_slice
// CHECK: %[[OWN:.*]] = bufferization.alloc_tensor() copy(%[[PART]])
// CHECK: return %[[OWN]]
func.func @part(%x: tensor<4x6xf32>) -> tensor<4x2xf32> {
  %y = tensor.extract_slice %x[0, 0] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @written_into_a_part
// CHECK: bufferization.alloc_tensor() copy
func.func @written_into_a_part(%v: f32) -> tensor<4x2xf32> {
  %e = tensor.empty() : tensor<4x6xf32>
  %p = tensor.extract_slice %e[0, 0] [4, 2] [1, 1] : tensor<4x6xf32> to tensor<4x2xf32>
  %y = linalg.fill ins(%v : f32) outs(%p : tensor<4x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// CHECK-LABEL: func.func @whole
// CHECK-NOT: bufferization
// CHECK: return
func.func @whole(%v: f32, %x: tensor<4x6xf32>) -> (tensor<24xf32>, tensor<4x6xf32>) {
  %e = tensor.empty() : tensor<4x6xf32>
  %y = linalg.fill ins(%v : f32) outs(%e : tensor<4x6xf32>) -> tensor<4x6xf32>
  %z = tensor.collapse_shape %y [[0, 1]] : tensor<4x6xf32> into tensor<24xf32>
  return %z, %x : tensor<24xf32>, tensor<4x6xf32>
}
