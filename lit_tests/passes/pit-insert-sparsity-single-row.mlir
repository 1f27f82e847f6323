// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-infer-zeros, pit-insert-sparsity{only=rows}" --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=RULE
// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-infer-zeros, pit-insert-sparsity{only=rows}, pit-simplify" --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=MOVED

// What a number masks, an expert of the single token, becomes a row, which is listed or not; the token, which others
// read, is reshaped, and the weight serves whatever rows there are. What is added up is added in place.

// RULE-LABEL: @expert
// RULE: %[[X:.+]] = tensor.expand_shape %arg1 {{.*}} : tensor<32xf32> into tensor<1x32xf32>
// RULE: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d2, d0)>], iterator_types = ["parallel", "reduction", "parallel"]} ins(%arg0, %[[X]]
// RULE-SAME: pit.axes = ["parallel", "reduction", "parallel"]
// RULE: %[[MASK:.+]] = tensor.expand_shape {{.*}} : tensor<f32> into tensor<1xf32>
// RULE: "pit.detect"(%[[MASK]]) {axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64, segments = array<i64>}
// RULE: "pit.swrite"{{.*}}combine = "add"{{.*}} : (tensor<?x16xf32>, tensor<1x16xf32>, !pit.index)

// MOVED-LABEL: @expert
// MOVED: %[[I:.+]] = "pit.detect"
// MOVED: %[[ROWS:.+]] = "pit.sread"(%{{.+}}, %[[I]]) {{.*}} : (tensor<1x32xf32>, !pit.index) -> tensor<?x32xf32>
// MOVED: linalg.generic {{.*}} ins(%arg0, %[[ROWS]] : tensor<16x32xf32>, tensor<?x32xf32>)
// MOVED: "pit.swrite"{{.*}} : (tensor<?x16xf32>, tensor<1x16xf32>, !pit.index)
func.func @expert(%w: tensor<16x32xf32>, %x: tensor<32xf32>, %number: tensor<f32>, %sum: tensor<16xf32>) -> (tensor<16xf32>, tensor<32xf32>) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<16xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<16xf32>) -> tensor<16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d, k) -> (d, k)>, affine_map<(d, k) -> (k)>, affine_map<(d, k) -> (d)>],
      iterator_types = ["parallel", "reduction"]} ins(%w, %x : tensor<16x32xf32>, tensor<32xf32>) outs(%fill : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  %one = tensor.empty() : tensor<f32>
  %gate = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%number : tensor<f32>) outs(%one : tensor<f32>) {
  ^bb0(%g: f32, %o: f32):
    %r = arith.maximumf %g, %zero : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %part = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> ()>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
      ins(%y, %gate : tensor<16xf32>, tensor<f32>) outs(%empty : tensor<16xf32>) {
  ^bb0(%a: f32, %g: f32, %o: f32):
    %r = arith.mulf %a, %g : f32
    linalg.yield %r : f32
  } -> tensor<16xf32>
  %out = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> (d)>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
      ins(%sum, %part : tensor<16xf32>, tensor<16xf32>) outs(%empty : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  } -> tensor<16xf32>
  return %out, %x : tensor<16xf32>, tensor<32xf32>
}

// No product is computed for what is masked alone: others read it too.
// RULE-LABEL: @shared
// RULE-NOT: pit.detect
// RULE: return
// MOVED-LABEL: @shared
func.func @shared(%w: tensor<16x32xf32>, %x: tensor<32xf32>, %number: tensor<f32>) -> (tensor<16xf32>, tensor<16xf32>) {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<16xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<16xf32>) -> tensor<16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d, k) -> (d, k)>, affine_map<(d, k) -> (k)>, affine_map<(d, k) -> (d)>],
      iterator_types = ["parallel", "reduction"]} ins(%w, %x : tensor<16x32xf32>, tensor<32xf32>) outs(%fill : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<16xf32>
  %one = tensor.empty() : tensor<f32>
  %gate = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []}
      ins(%number : tensor<f32>) outs(%one : tensor<f32>) {
  ^bb0(%g: f32, %o: f32):
    %r = arith.maximumf %g, %zero : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  %part = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> ()>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
      ins(%y, %gate : tensor<16xf32>, tensor<f32>) outs(%empty : tensor<16xf32>) {
  ^bb0(%a: f32, %g: f32, %o: f32):
    %r = arith.mulf %a, %g : f32
    linalg.yield %r : f32
  } -> tensor<16xf32>
  return %part, %y : tensor<16xf32>, tensor<16xf32>
}
