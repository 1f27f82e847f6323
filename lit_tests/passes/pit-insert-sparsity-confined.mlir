// RUN: pit-mlir-opt %s -p 'pit-prove-permutation, pit-insert-sparsity{only=lists}' --split-input-file 2>%t | filecheck %s
// RUN: filecheck %s --check-prefix=SAYS < %t
// RUN: pit-mlir-opt %s -p 'pit-prove-permutation, pit-insert-sparsity{only=lists}, pit-select-tiles' --split-input-file | filecheck %s --check-prefix=TILES

// A mask behind a projection, which a predictor makes: what it makes 0 is not computed. Projection, bias, ReLU and the
// select by the mask run over one list; the projection behind them reads what is neither masked nor made 0 by the ReLU.

// CHECK-LABEL: func.func @predicted
// CHECK: %[[MASK:.*]] = linalg.generic
// CHECK: %[[I:.*]] = "pit.detect"(%[[MASK]]) {axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64, segments = array<i64: 0>}
// CHECK: %[[H:.*]] = "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: arith.mulf
// CHECK: }) {compact = false, group = array<i64: 0, 1>
// CHECK: %[[P:.*]] = "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: "pit.element"(%[[H]])
// CHECK: arith.addf
// CHECK: arith.maximumf
// CHECK: arith.select
// CHECK: }) {compact = false, group = array<i64: 0, 1>
// CHECK: "pit.generic"(%{{.*}}, %{{.*}}) ({
// CHECK: "pit.element"(%[[P]])
// CHECK: }) {compact = false, group = array<i64: 0, 2>

// SAYS: a list along parallel iterators, parts of its result; what is masked behind it is not computed

// Two kernels remain, the first with everything up to the mask in it.

// TILES-LABEL: func.func @predicted
// TILES: %[[I:.*]] = "pit.detect"(%{{.*}}) {axis = array<i64: 1>, block = array<i64: 5>
// TILES: %[[H:.*]] = "pit.contract"(%{{.*}}, %[[I]]) ({
// TILES: arith.addf
// TILES: arith.maximumf
// TILES: arith.select
// TILES: }) {block = array<i64: 5>, combine = "store", compact = false, group = array<i64: 0, 1>
// TILES: %[[K:.*]] = "pit.detect"(%[[H]])
// TILES: "pit.contract"(%{{.*}}, %[[K]]) ({
// TILES: "pit.element"(%[[H]])
// TILES: }) {block = array<i64: 5>, combine = "store", compact = false, group = array<i64: 0, 2>
// TILES-NOT: "pit.generic"

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>
#mn = affine_map<(m, n) -> (m, n)>
#n = affine_map<(m, n) -> (n)>
func.func @predicted(%x: tensor<5x16xf32>, %w: tensor<64x16xf32>, %b: tensor<64xf32>, %d: tensor<16x64xf32>, %p: tensor<5x64xf32>) -> tensor<5x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x64xf32>
  %eb = tensor.empty() : tensor<5x64xi1>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<5x64xf32>) -> tensor<5x64xf32>
  %eo = tensor.empty() : tensor<5x16xf32>
  %zo = linalg.fill ins(%zero : f32) outs(%eo : tensor<5x16xf32>) -> tensor<5x16xf32>
  %h = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<5x16xf32>, tensor<64x16xf32>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %t = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %t : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %h1 = linalg.generic {indexing_maps = [#mn, #n, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h, %b : tensor<5x64xf32>, tensor<64xf32>) outs(%e : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %h2 = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h1 : tensor<5x64xf32>) outs(%e : tensor<5x64xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.maximumf %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %m = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<5x64xf32>) outs(%eb : tensor<5x64xi1>) {
  ^bb0(%a: f32, %acc: i1):
    %s = arith.cmpf ogt, %a, %zero : f32
    linalg.yield %s : i1
  } -> tensor<5x64xi1>
  %h3 = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h2, %m : tensor<5x64xf32>, tensor<5x64xi1>) outs(%e : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: i1, %acc: f32):
    %s = arith.select %c, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h3, %d : tensor<5x64xf32>, tensor<16x64xf32>) outs(%zo : tensor<5x16xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %t = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %t : f32
    linalg.yield %s : f32
  } -> tensor<5x16xf32>
  return %y : tensor<5x16xf32>
}

// -----

// The mask is made of the projection itself, which must therefore be whole.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>
#mn = affine_map<(m, n) -> (m, n)>

// CHECK-LABEL: func.func @own
// CHECK-NOT: pit.generic
func.func @own(%x: tensor<5x16xf32>, %w: tensor<64x16xf32>, %z: tensor<5x64xf32>, %eb: tensor<5x64xi1>) -> tensor<5x64xf32> {
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<5x16xf32>, tensor<64x16xf32>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %t = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %t : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %m = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h : tensor<5x64xf32>) outs(%eb : tensor<5x64xi1>) {
  ^bb0(%a: f32, %acc: i1):
    %s = arith.cmpf ogt, %a, %zero : f32
    linalg.yield %s : i1
  } -> tensor<5x64xi1>
  %y = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h, %m : tensor<5x64xf32>, tensor<5x64xi1>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: i1, %acc: f32):
    %s = arith.select %c, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  return %y : tensor<5x64xf32>
}

// -----

// Somebody else reads the projection as a whole.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>
#mn = affine_map<(m, n) -> (m, n)>

// CHECK-LABEL: func.func @shared
// CHECK-NOT: pit.generic
func.func @shared(%x: tensor<5x16xf32>, %w: tensor<64x16xf32>, %z: tensor<5x64xf32>, %m: tensor<5x64xi1>)
    -> (tensor<5x64xf32>, tensor<5x64xf32>) {
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<5x16xf32>, tensor<64x16xf32>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: f32, %acc: f32):
    %t = arith.mulf %a, %c : f32
    %s = arith.addf %acc, %t : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  %y = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h, %m : tensor<5x64xf32>, tensor<5x64xi1>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %c: i1, %acc: f32):
    %s = arith.select %c, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  return %y, %h : tensor<5x64xf32>, tensor<5x64xf32>
}
