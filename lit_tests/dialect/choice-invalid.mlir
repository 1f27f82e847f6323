// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @of_an_argument(%a: tensor<8x32xf32>) -> tensor<?xi64> {
  // expected-error@+1 {{'pit.choice' op asks about}}
  %numbers = "pit.choice"(%a) : (tensor<8x32xf32>) -> tensor<?xi64>
  return %numbers : tensor<?xi64>
}

// -----

func.func @narrow(%a: tensor<8x32xf32>) -> tensor<?xi32> {
  // expected-error@+1 {{'pit.choice' op gives tensor<?xi32>, expected tensor<?xi64>}}
  %numbers = "pit.choice"(%a) : (tensor<8x32xf32>) -> tensor<?xi32>
  return %numbers : tensor<?xi32>
}
