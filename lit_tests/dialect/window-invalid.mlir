// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @beyond(%x: tensor<9xf32>) -> tensor<8x3xf32> {
  // expected-error@+1 {{'pit.window' op reads coordinate 9 of dimension 0 of tensor<9xf32>}}
  %0 = "pit.window"(%x) {map = affine_map<(x, i) -> (x + i)>} : (tensor<9xf32>) -> tensor<8x3xf32>
  return %0 : tensor<8x3xf32>
}

// -----

func.func @rank(%x: tensor<9xf32>) -> tensor<7x3xf32> {
  // expected-error@+1 {{'pit.window' op map (d0) -> (d0) must take the 2 dimensions of the result to the 1 of the source}}
  %0 = "pit.window"(%x) {map = affine_map<(x) -> (x)>} : (tensor<9xf32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// -----

func.func @backwards(%x: tensor<9xf32>) -> tensor<7x3xf32> {
  // expected-error@+1 {{must be a sum of dimensions times numbers that are not negative}}
  %0 = "pit.window"(%x) {map = affine_map<(x, i) -> (x - i)>} : (tensor<9xf32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// -----

func.func @not_linear(%x: tensor<9xf32>) -> tensor<7x3xf32> {
  // expected-error@+1 {{must be a sum of dimensions times numbers that are not negative}}
  %0 = "pit.window"(%x) {map = affine_map<(x, i) -> (x floordiv 2 + i)>} : (tensor<9xf32>) -> tensor<7x3xf32>
  return %0 : tensor<7x3xf32>
}

// -----

func.func @element(%x: tensor<9xf32>) -> tensor<7x3xf64> {
  // expected-error@+1 {{'pit.window' op result must hold f32, got f64}}
  %0 = "pit.window"(%x) {map = affine_map<(x, i) -> (x + i)>} : (tensor<9xf32>) -> tensor<7x3xf64>
  return %0 : tensor<7x3xf64>
}

// -----

func.func @sizes(%x: tensor<?xf32>) -> tensor<?x3xf32> {
  // expected-error@+1 {{'pit.window' op has 0 sizes for 1 dynamic dimensions of tensor<?x3xf32>}}
  %0 = "pit.window"(%x) {map = affine_map<(x, i) -> (x + i)>} : (tensor<?xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}
