// RUN: pit-mlir-opt %s --pit-select-tiles | filecheck %s

#mk = affine_map<(m, k) -> (m, k)>
#m = affine_map<(m, k) -> (m)>
#mnk0 = affine_map<(m, n, k) -> (m, k)>
#mnk1 = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#i = affine_map<(m, n) -> (m, n)>

// Both factors carry the same rows: a sum of squares is no contraction.
// CHECK-LABEL: func.func @sum_of_squares
// CHECK-NOT: pit.contract
// CHECK: linalg.generic
func.func @sum_of_squares(%x: tensor<8x64xf32>, %o: tensor<8xf32>) -> tensor<8xf32> {
  %y = linalg.generic {indexing_maps = [#mk, #m], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<8x64xf32>) outs(%o : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %p = arith.mulf %a, %a : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// The accumulator is in the product.
// CHECK-LABEL: func.func @horner
// CHECK-NOT: pit.contract
// CHECK: linalg.generic
func.func @horner(%x: tensor<8x64xf32>, %w: tensor<32x64xf32>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %y = linalg.generic {indexing_maps = [#mnk0, #mnk1, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xf32>, tensor<32x64xf32>) outs(%o : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %acc, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// A maximum of products is none either.
// CHECK-LABEL: func.func @maximum
// CHECK-NOT: pit.contract
// CHECK: linalg.generic
func.func @maximum(%x: tensor<8x64xf32>, %w: tensor<32x64xf32>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %y = linalg.generic {indexing_maps = [#mnk0, #mnk1, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xf32>, tensor<32x64xf32>) outs(%o : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.maximumf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// A result with two users stays one: what is done to it stays outside.
// CHECK-LABEL: func.func @two_users
// CHECK: pit.contract
// CHECK: linalg.generic
// CHECK: math.exp
func.func @two_users(%x: tensor<8x64xf32>, %w: tensor<32x64xf32>, %o: tensor<8x32xf32>) -> (tensor<8x32xf32>, tensor<8x32xf32>) {
  %c = linalg.generic {indexing_maps = [#mnk0, #mnk1, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xf32>, tensor<32x64xf32>) outs(%o : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel", "parallel"]}
      ins(%c : tensor<8x32xf32>) outs(%o : tensor<8x32xf32>) {
  ^bb0(%a: f32, %q: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<8x32xf32>
  return %c, %y : tensor<8x32xf32>, tensor<8x32xf32>
}

// What no list reaches keeps the init, which an epilogue would not see.
// CHECK-LABEL: func.func @background
// CHECK: pit.contract
// CHECK: linalg.generic
// CHECK: math.exp
func.func @background(%x: tensor<8x64xf32>, %w: tensor<32x64xf32>, %mask: tensor<32xi1>, %o: tensor<8x32xf32>) -> tensor<8x32xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64}
      : (tensor<32xi1>) -> !pit.index
  %c = "pit.generic"(%o, %I) ({
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {map = #mnk0, compact = false} : (tensor<8x64xf32>) -> f32
    %b = "pit.element"(%w) {map = #mnk1, compact = false} : (tensor<32x64xf32>) -> f32
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
      #linalg.iterator_type<reduction>], group = array<i64: 1>, compact = false}
      : (tensor<8x32xf32>, !pit.index) -> tensor<8x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel", "parallel"]}
      ins(%c : tensor<8x32xf32>) outs(%o : tensor<8x32xf32>) {
  ^bb0(%a: f32, %q: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<8x32xf32>
  return %y : tensor<8x32xf32>
}

// The segments of the list are summed over: no kernel has one list for all of a row.
// CHECK-LABEL: func.func @segments_are_summed
// CHECK-NOT: pit.contract
// CHECK: "pit.generic"
func.func @segments_are_summed(%x: tensor<16xf32>, %y: tensor<4x3xf32>, %m: tensor<4x3xi1>, %o: tensor<16xf32>) -> tensor<16xf32> {
  %i = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<4x3xi1>) -> !pit.index
  %r = "pit.generic"(%o, %i) ({
  ^bb0(%acc: f32):
    %p = "pit.element"(%x) {map = affine_map<(s, k, n) -> (n)>, compact = false} : (tensor<16xf32>) -> f32
    %q = "pit.element"(%y) {map = affine_map<(s, k, n) -> (s, k)>, compact = false} : (tensor<4x3xf32>) -> f32
    %t = arith.mulf %p, %q : f32
    %u = arith.addf %acc, %t : f32
    "pit.yield"(%u) : (f32) -> ()
  }) {indexing_maps = [affine_map<(s, k, n) -> (n)>],
      iterator_types = [#linalg.iterator_type<reduction>, #linalg.iterator_type<reduction>, #linalg.iterator_type<parallel>],
      group = array<i64: 0, 1>, compact = false} : (tensor<16xf32>, !pit.index) -> tensor<16xf32>
  return %r : tensor<16xf32>
}
