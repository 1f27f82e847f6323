// What a key chooses is not copied for each place: a product for each value of the key (R6).
//
// RUN: pit-mlir-opt %s --split-input-file -p 'pit-prove-permutation, pit-insert-sparsity{only=keys}' \
// RUN:   --mlir-print-local-scope 2>/dev/null | filecheck %s
// RUN: pit-mlir-opt %s --split-input-file -p 'pit-prove-permutation, pit-insert-sparsity{only=keys}, pit-simplify' \
// RUN:   --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=SIMPLE

// Two layers of chosen experts, with a ReLU between. Segments are experts, entries are places (token, choice); a token
// is read where it lies, for each expert that it chose. Between the products everything stays in rows.
//
// CHECK-LABEL: func.func @experts
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x16xf32>, %[[CHOSEN:[a-z0-9]+]]: tensor<?x2xi64>, %[[UP:[a-z0-9]+]]: tensor<4x8x16xf32>
// CHECK: %[[KEYS:.*]] = linalg.generic {{.*}}ins(%[[CHOSEN]] : tensor<?x2xi64>)
// CHECK: %[[I:.*]] = "pit.detect"(%[[KEYS]]) {axis = array<i64: 0, 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64>, values = 4 : i64} : (tensor<?x2xindex>)
// CHECK: %[[H:.*]] = "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: "pit.element"(%[[UP]]) {compact = false, map = affine_map<(d0, d1, d2, d3, d4) -> (d4, d2, d3)>}
// CHECK: "pit.element"(%[[X]]) {compact = false, map = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3)>}
// CHECK: {compact = true, group = array<i64: 4, 0, 1>
// CHECK: "pit.swrite"(%[[H]], %{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, combine = "store", group = array<i64: 1, 2>}
// CHECK: "pit.sread"
// CHECK: "pit.generic"
// CHECK: "pit.swrite"
//
// SIMPLE-LABEL: func.func @experts
// SIMPLE: %[[I:.*]] = "pit.detect"
// SIMPLE-NOT: "pit.detect"
// SIMPLE: %[[H:.*]] = "pit.generic"
// SIMPLE-NOT: "pit.swrite"
// SIMPLE: linalg.generic {{.*}}ins(%[[H]] : tensor<?x8xf32>)
// SIMPLE-NOT: "pit.sread"
// SIMPLE: "pit.generic"
// SIMPLE: "pit.swrite"
// SIMPLE-NOT: x8x16xf32
// SIMPLE: return
func.func @experts(%x: tensor<?x16xf32>, %chosen: tensor<?x2xi64>, %up: tensor<4x8x16xf32>, %down: tensor<4x16x8xf32>) -> tensor<?x2x16xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c0 : tensor<?x16xf32>
  %e8 = tensor.empty() : tensor<8xindex>
  %n8 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e8 : tensor<8xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<8xindex>
  %e16 = tensor.empty() : tensor<16xindex>
  %n16 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e16 : tensor<16xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<16xindex>
  %u0 = tensor.empty(%t) : tensor<?x2x8x16xf32>
  %u = linalg.generic {indexing_maps = [affine_map<(t, k, n, d) -> (t, k)>, affine_map<(t, k, n, d) -> (n)>,
      affine_map<(t, k, n, d) -> (d)>, affine_map<(t, k, n, d) -> (t, k, n, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%chosen, %n8, %n16 : tensor<?x2xi64>, tensor<8xindex>, tensor<16xindex>) outs(%u0 : tensor<?x2x8x16xf32>) {
  ^bb0(%e: i64, %n: index, %d: index, %o: f32):
    %i = arith.index_cast %e : i64 to index
    %w = tensor.extract %up[%i, %n, %d] : tensor<4x8x16xf32>
    linalg.yield %w : f32
  } -> tensor<?x2x8x16xf32>
  %h0 = tensor.empty(%t) : tensor<?x2x8xf32>
  %h1 = linalg.fill ins(%zero : f32) outs(%h0 : tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(t, k, n, d) -> (t, k, n, d)>, affine_map<(t, k, n, d) -> (t, d)>,
      affine_map<(t, k, n, d) -> (t, k, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%u, %x : tensor<?x2x8x16xf32>, tensor<?x16xf32>) outs(%h1 : tensor<?x2x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x2x8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(t, k, n) -> (t, k, n)>, affine_map<(t, k, n) -> (t, k, n)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%h : tensor<?x2x8xf32>) outs(%h0 : tensor<?x2x8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %m = arith.maximumf %v, %zero : f32
    linalg.yield %m : f32
  } -> tensor<?x2x8xf32>
  %w0 = tensor.empty(%t) : tensor<?x2x16x8xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(t, k, n, d) -> (t, k)>, affine_map<(t, k, n, d) -> (n)>,
      affine_map<(t, k, n, d) -> (d)>, affine_map<(t, k, n, d) -> (t, k, n, d)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%chosen, %n16, %n8 : tensor<?x2xi64>, tensor<16xindex>, tensor<8xindex>) outs(%w0 : tensor<?x2x16x8xf32>) {
  ^bb0(%e: i64, %n: index, %d: index, %o: f32):
    %i = arith.index_cast %e : i64 to index
    %v = tensor.extract %down[%i, %n, %d] : tensor<4x16x8xf32>
    linalg.yield %v : f32
  } -> tensor<?x2x16x8xf32>
  %y0 = tensor.empty(%t) : tensor<?x2x16xf32>
  %y1 = linalg.fill ins(%zero : f32) outs(%y0 : tensor<?x2x16xf32>) -> tensor<?x2x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, k, n, d) -> (t, k, n, d)>, affine_map<(t, k, n, d) -> (t, k, d)>,
      affine_map<(t, k, n, d) -> (t, k, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%w, %a : tensor<?x2x16x8xf32>, tensor<?x2x8xf32>) outs(%y1 : tensor<?x2x16xf32>) {
  ^bb0(%a0: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a0, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x2x16xf32>
  return %y : tensor<?x2x16xf32>
}

// -----

// A row of a table for each place is looked up: sorting the places by it would save nothing.
//
// CHECK-LABEL: func.func @embedding
// CHECK-NOT: pit.detect
func.func @embedding(%ids: tensor<6xi64>, %table: tensor<11x16xf32>, %w: tensor<8x16xf32>, %init: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %e16 = tensor.empty() : tensor<16xindex>
  %n16 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e16 : tensor<16xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<16xindex>
  %x0 = tensor.empty() : tensor<6x16xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(t, d) -> (t)>, affine_map<(t, d) -> (d)>, affine_map<(t, d) -> (t, d)>],
      iterator_types = ["parallel", "parallel"]} ins(%ids, %n16 : tensor<6xi64>, tensor<16xindex>) outs(%x0 : tensor<6x16xf32>) {
  ^bb0(%e: i64, %d: index, %o: f32):
    %i = arith.index_cast %e : i64 to index
    %v = tensor.extract %table[%i, %d] : tensor<11x16xf32>
    linalg.yield %v : f32
  } -> tensor<6x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, n, d) -> (t, d)>, affine_map<(t, n, d) -> (n, d)>, affine_map<(t, n, d) -> (t, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<6x16xf32>, tensor<8x16xf32>) outs(%init : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}
