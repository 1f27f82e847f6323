// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-infer-zeros, pit-insert-sparsity{only=rows}" --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=RULE
// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-infer-zeros, pit-insert-sparsity{only=rows}, pit-simplify" --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=MOVED

// R5 where all is added up at one place, as the experts of a single token are: a list of experts, whose weights are read
// where they lie. A product that is no sum of rows stays one: its weight is an argument.

// RULE-LABEL: @experts
// RULE: %[[MASK:.+]] = tensor.expand_shape %{{.+}} {{.*}} : tensor<8xf32> into tensor<8x1xf32>
// RULE: %[[I:.+]] = "pit.detect"(%[[MASK]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>}
// RULE: %[[ROWS:.+]] = "pit.sread"(%{{.+}}, %[[I]]) {axis = array<i64: 0>, group = array<i64: 0>} : (tensor<8x16xf32>, !pit.index) -> tensor<?x16xf32>
// RULE: linalg.generic {{.*}}iterator_types = ["reduction", "parallel"]{{.*}} ins(%[[ROWS]] : tensor<?x16xf32>)

// MOVED-LABEL: @experts
// MOVED-NOT: tensor<8x16xf32>
// MOVED: %[[I:.+]] = "pit.detect"
// MOVED: "pit.generic"(%{{.+}}, %[[I]])
// MOVED: "pit.element"(%arg0) {compact = false
// MOVED: group = array<i64: 0, 3>
// MOVED-NOT: tensor<8x16xf32>
// MOVED: return
func.func @experts(%w: tensor<8x16x32xf32>, %x: tensor<32xf32>, %init: tensor<16xf32>, %gates: tensor<8xf32>) -> tensor<16xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<8x16xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<8x16xf32>) -> tensor<8x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(e, d, k) -> (e, d, k)>, affine_map<(e, d, k) -> (k)>, affine_map<(e, d, k) -> (e, d)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%w, %x : tensor<8x16x32xf32>, tensor<32xf32>) outs(%fill : tensor<8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8x16xf32>
  %live = tensor.empty() : tensor<8xf32>
  %gate = linalg.generic {indexing_maps = [affine_map<(e) -> (e)>, affine_map<(e) -> (e)>], iterator_types = ["parallel"]}
      ins(%gates : tensor<8xf32>) outs(%live : tensor<8xf32>) {
  ^bb0(%g: f32, %o: f32):
    %r = arith.maximumf %g, %zero : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %out = linalg.generic {indexing_maps = [affine_map<(d, e) -> (e, d)>, affine_map<(d, e) -> (e)>, affine_map<(d, e) -> (d)>],
      iterator_types = ["parallel", "reduction"]} ins(%y, %gate : tensor<8x16xf32>, tensor<8xf32>) outs(%init : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  return %out : tensor<16xf32>
}

// What is summed over is no row of a sum: the list is of the terms alone.
// RULE-LABEL: @hidden
// RULE-NOT: pit.sread
// RULE: return
// MOVED-LABEL: @hidden
func.func @hidden(%w: tensor<16x32xf32>, %x: tensor<32xf32>, %init: tensor<16xf32>) -> tensor<16xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<32xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(k) -> (k)>, affine_map<(k) -> (k)>], iterator_types = ["parallel"]}
      ins(%x : tensor<32xf32>) outs(%empty : tensor<32xf32>) {
  ^bb0(%g: f32, %o: f32):
    %r = arith.maximumf %g, %zero : f32
    linalg.yield %r : f32
  } -> tensor<32xf32>
  %out = linalg.generic {indexing_maps = [affine_map<(d, k) -> (d, k)>, affine_map<(d, k) -> (k)>, affine_map<(d, k) -> (d)>],
      iterator_types = ["parallel", "reduction"]} ins(%w, %h : tensor<16x32xf32>, tensor<32xf32>) outs(%init : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  return %out : tensor<16xf32>
}
