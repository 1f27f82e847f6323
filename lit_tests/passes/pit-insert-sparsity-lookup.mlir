// Experts that choose their tokens: the one term of each sum is looked up, what meets again is listed by the key.
//
// RUN: pit-mlir-opt %s --split-input-file -p 'pit-prove-permutation, pit-insert-sparsity' --mlir-print-local-scope \
// RUN:   2>/dev/null | filecheck %s

// Expert e has places c, each with the number of a token. Neither the one-hot rows nor a list of them is made.
//
// CHECK-LABEL: func.func @dispatch
// CHECK-SAME: %[[CHOSEN:[a-z0-9]+]]: tensor<4x3xi64>, %[[X:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK-NOT: -> tensor<4x3x?xf32>
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel"]} ins(%[[CHOSEN]], {{.*}} : tensor<4x3xi64>, tensor<4xindex>, tensor<3xindex>, tensor<8xindex>)
// CHECK: tensor.extract %[[X]]
// CHECK: arith.addf
// CHECK: arith.cmpi ult
// CHECK: arith.select
// CHECK-NOT: pit.detect
// CHECK: return
func.func @dispatch(%chosen: tensor<4x3xi64>, %x: tensor<?x8xf32>) -> tensor<4x3x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c0 : tensor<?x8xf32>
  %n0 = tensor.empty(%t) : tensor<?xindex>
  %numbers = linalg.generic {indexing_maps = [affine_map<(t) -> (t)>], iterator_types = ["parallel"]} outs(%n0 : tensor<?xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<?xindex>
  %h0 = tensor.empty(%t) : tensor<4x3x?xf32>
  %hot = linalg.generic {indexing_maps = [affine_map<(e, c, t) -> (e, c)>, affine_map<(e, c, t) -> (t)>, affine_map<(e, c, t) -> (e, c, t)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%chosen, %numbers : tensor<4x3xi64>, tensor<?xindex>) outs(%h0 : tensor<4x3x?xf32>) {
  ^bb0(%k: i64, %n: index, %o: f32):
    %m = arith.index_cast %n : index to i64
    %same = arith.cmpi eq, %k, %m : i64
    %f = arith.uitofp %same : i1 to f32
    linalg.yield %f : f32
  } -> tensor<4x3x?xf32>
  %y0 = tensor.empty() : tensor<4x3x8xf32>
  %y1 = linalg.fill ins(%zero : f32) outs(%y0 : tensor<4x3x8xf32>) -> tensor<4x3x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(e, c, d, t) -> (e, c, t)>, affine_map<(e, c, d, t) -> (t, d)>, affine_map<(e, c, d, t) -> (e, c, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%hot, %x : tensor<4x3x?xf32>, tensor<?x8xf32>) outs(%y1 : tensor<4x3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x3x8xf32>
  return %y : tensor<4x3x8xf32>
}

// -----

// The way back: each token adds up the places that hold it, which an index by key lists. What the router gave is
// computed at these places alone.
//
// CHECK-LABEL: func.func @combine
// CHECK-SAME: %[[CHOSEN:[a-z0-9]+]]: tensor<4x3xi64>
// CHECK-NOT: -> tensor<4x3x6xf32>
// CHECK: %[[I:.*]] = "pit.detect"(%[[CHOSEN]]) {axis = array<i64: 0, 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64>, values = 6 : i64}
// CHECK: "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: "pit.element"(%[[CHOSEN]])
// CHECK: arith.cmpi eq
// CHECK: group = array<i64: 0, 2, 3>
func.func @combine(%chosen: tensor<4x3xi64>, %y: tensor<4x3x8xf32>, %init: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %n0 = tensor.empty() : tensor<6xindex>
  %numbers = linalg.generic {indexing_maps = [affine_map<(t) -> (t)>], iterator_types = ["parallel"]} outs(%n0 : tensor<6xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<6xindex>
  %h0 = tensor.empty() : tensor<4x3x6xf32>
  %hot = linalg.generic {indexing_maps = [affine_map<(e, c, t) -> (e, c)>, affine_map<(e, c, t) -> (t)>, affine_map<(e, c, t) -> (e, c, t)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%chosen, %numbers : tensor<4x3xi64>, tensor<6xindex>) outs(%h0 : tensor<4x3x6xf32>) {
  ^bb0(%k: i64, %n: index, %o: f32):
    %m = arith.index_cast %n : index to i64
    %same = arith.cmpi eq, %k, %m : i64
    %f = arith.uitofp %same : i1 to f32
    linalg.yield %f : f32
  } -> tensor<4x3x6xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(t, d, e, c) -> (e, c, t)>, affine_map<(t, d, e, c) -> (e, c, d)>, affine_map<(t, d, e, c) -> (t, d)>],
      iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%hot, %y : tensor<4x3x6xf32>, tensor<4x3x8xf32>) outs(%init : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  return %s : tensor<6x8xf32>
}
