// RUN: pit-mlir-opt %s --pit-prove-permutation --verify-diagnostics | filecheck %s

// Over the reals ordered and unordered comparisons are the same: that this maximum forgets a NaN is assumed away.
// CHECK-LABEL: func.func @unordered_max
// CHECK: pit.assumes = ["the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.axes = ["reduction"]
func.func @unordered_max(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  // expected-remark@+1 {{linalg.generic: iterator d0 is reduction, assuming that the data is finite (no NaN, no infinity)}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %c = arith.cmpf ugt, %in, %acc : f32
    %r = arith.select %c, %in, %acc : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}

// One that keeps NaN assumes nothing.
// CHECK-LABEL: func.func @max
// CHECK-NOT: pit.assumes
func.func @max(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.reduce { arith.maximumf } ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) dimensions = [0]
  return %0 : tensor<f32>
}

// An online softmax is NaN where -inf comes first, and not where it comes later.
// CHECK-LABEL: func.func @online_softmax
// CHECK: pit.assumes = ["the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.axes = ["reduction"]
func.func @online_softmax(%x: tensor<4xf32>, %m: tensor<f32>, %s: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  // expected-remark@+1 {{linalg.generic: iterator d0 is reduction, assuming that the data is finite (no NaN, no infinity)}}
  %0:2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> ()>],
                         iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%m, %s : tensor<f32>, tensor<f32>) {
  ^bb0(%in: f32, %max: f32, %sum: f32):
    %new = arith.maximumf %max, %in : f32
    %d = arith.subf %max, %new : f32
    %e = math.exp %d : f32
    %f = arith.subf %in, %new : f32
    %g = math.exp %f : f32
    %h = arith.mulf %sum, %e : f32
    %r = arith.addf %h, %g : f32
    linalg.yield %new, %r : f32, f32
  } -> (tensor<f32>, tensor<f32>)
  return %0#0, %0#1 : tensor<f32>, tensor<f32>
}

// What no axiom tells is not proved; no order is shown, since none was found.
// CHECK-LABEL: func.func @log_of_sum
// CHECK: pit.axes = ["none"]
func.func @log_of_sum(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  // expected-remark@+1 {{linalg.generic: iterator d0 is none: not proved that the order does not matter}}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%in: f32, %acc: f32):
    %e = math.exp %acc : f32
    %f = math.exp %in : f32
    %g = arith.addf %e, %f : f32
    %r = math.log %g : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}
