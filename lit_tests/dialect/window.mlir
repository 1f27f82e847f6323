// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse | filecheck %s --check-prefix=CSE

// CHECK-LABEL: func.func @windows
// CHECK: "pit.window"(%arg0) {map = #{{[a-z0-9]*}}{{.*}}} : (tensor<8x64x57x57xf32>) -> tensor<8x64x28x3x28x3xf32>
// CHECK: "pit.window"(%arg1, %arg2) {map = #{{.*}}} : (tensor<?x9xf32>, index) -> tensor<?x7x3xf32>
// CSE-LABEL: func.func @windows
// CSE-COUNT-2: pit.window
// CSE-NOT: pit.window
func.func @windows(%x: tensor<8x64x57x57xf32>, %y: tensor<?x9xf32>, %n: index)
    -> (tensor<8x64x28x3x28x3xf32>, tensor<8x64x28x3x28x3xf32>, tensor<?x7x3xf32>) {
  %0 = "pit.window"(%x) {map = affine_map<(n, c, x, i, y, j) -> (n, c, 2 * x + i, 2 * y + j)>}
      : (tensor<8x64x57x57xf32>) -> tensor<8x64x28x3x28x3xf32>
  %1 = "pit.window"(%x) {map = affine_map<(n, c, x, i, y, j) -> (n, c, 2 * x + i, 2 * y + j)>}
      : (tensor<8x64x57x57xf32>) -> tensor<8x64x28x3x28x3xf32>
  %2 = "pit.window"(%y, %n) {map = affine_map<(n, x, i) -> (n, x + i)>} : (tensor<?x9xf32>, index) -> tensor<?x7x3xf32>
  return %0, %1, %2 : tensor<8x64x28x3x28x3xf32>, tensor<8x64x28x3x28x3xf32>, tensor<?x7x3xf32>
}
