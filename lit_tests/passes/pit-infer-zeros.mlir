// RUN: pit-mlir-opt %s --pit-infer-zeros --split-input-file --verify-diagnostics

#mn = affine_map<(m, n) -> (m, n)>
#m = affine_map<(m, n) -> (m)>
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

// ReLU: the values tell. A product with them is zero where they are; a bias ends it.

func.func @relu(%x: tensor<?x8xf32>, %up: tensor<?x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  // expected-remark@below {{its result is 0 at places that only its values tell (relu)}}
  %h = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.cmpf ugt, %a, %zero : f32
    %y = arith.select %c, %a, %zero : f32
    linalg.yield %y : f32
  } -> tensor<?x8xf32>
  // expected-remark-re@below {{its result is 0 where the result at {{.*}} is 0 (relu at {{.*}}); assumes: the data is finite}}
  %g = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h, %up : tensor<?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %y = arith.mulf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<?x8xf32>
  %bias = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%g, %up : tensor<?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %y = arith.addf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<?x8xf32>
  return %bias : tensor<?x8xf32>
}

// -----

// A mask over rows: the product of the masked rows has the same zero rows. The mask is followed to the argument.

#mn = affine_map<(m, n) -> (m, n)>
#m = affine_map<(m, n) -> (m)>
#row = affine_map<(m) -> (m)>
#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

func.func @rows(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %mask: tensor<4xi64> {pit.name = "token_mask"}) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : i64
  %e = tensor.empty() : tensor<4x8xf32>
  %eb = tensor.empty() : tensor<4xi1>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %live = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
      ins(%mask : tensor<4xi64>) outs(%eb : tensor<4xi1>) {
  ^bb0(%a: i64, %o: i1):
    %y = arith.cmpi ne, %a, %c0 : i64
    linalg.yield %y : i1
  } -> tensor<4xi1>
  // expected-remark@below {{its result is 0 where 'token_mask' is 0 (select)}}
  %masked = linalg.generic {indexing_maps = [#m, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%live, %x : tensor<4xi1>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: i1, %b: f32, %o: f32):
    %y = arith.select %a, %b, %zero : f32
    linalg.yield %y : f32
  } -> tensor<4x8xf32>
  // expected-remark-re@below {{its result is 0 where 'token_mask' is 0 (select at {{.*}}); assumes: the data is finite}}
  %product = linalg.generic {indexing_maps = [#mk, #kn, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%masked, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%z : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %product : tensor<4x8xf32>
}

// -----

// That a product annihilates at 0 says nothing about where zeros are.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#out = affine_map<(m, n, k) -> (m, n)>

func.func @nothing(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %init: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %product = linalg.generic {indexing_maps = [#mk, #kn, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%init : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %product : tensor<4x8xf32>
}

// -----

// An approximation is named, with what it takes for 0.

func.func @approximation(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-remark@+2 {{its result is 0 at places that only its values tell (threshold)}}
  // expected-remark@+1 {{an approximation that the model asks for; assumes: magnitudes up to 0.1 are as good as 0}}
  %y = "pit.mark"(%x) {approximation = "magnitudes up to 0.1 are as good as 0", operandSegmentSizes = array<i32: 1, 0>}
      : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
