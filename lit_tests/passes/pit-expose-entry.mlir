// RUN: pit-mlir-opt %s --pit-expose-entry | filecheck %s

// CHECK: func.func private @helper
// CHECK: func.func @main(%{{.*}}: tensor<4xf32> {bufferization.writable = false})
// CHECK-SAME: attributes {llvm.emit_c_interface}
func.func @helper() {
  return
}
func.func @main(%w: tensor<4xf32> {pit.kind = "weight", pit.name = "w"}) -> tensor<4xf32> {
  return %w : tensor<4xf32>
}
