// RUN: pit-mlir-opt %s --split-input-file --pit-split-frozen --mlir-diagnostic-verbosity-level=errors | filecheck %s

// What only weights decide moves; what an input decides stays; a weight read as it is stays an argument.
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: (%[[A:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>) -> tensor<8xf32>
// CHECK: %[[P:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK: return %[[P]]
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[A:.*]]: tensor<8xf32> {pit.kind = "weight"}, %[[X:.*]]: tensor<8xf32> {pit.kind = "input"},
// CHECK-SAME: %[[PREPARED:[^:]*]]: tensor<8xf32> {pit.kind = "prepared"})
// CHECK: arith.addf %[[PREPARED]], %[[X]]
func.func @main(%a: tensor<8xf32> {pit.kind = "weight"}, %x: tensor<8xf32> {pit.kind = "input"},
                %b: tensor<8xf32> {pit.kind = "weight"}) -> (tensor<8xf32>, tensor<8xf32>) {
  %p = arith.mulf %a, %b : tensor<8xf32>
  %y = arith.addf %p, %x : tensor<8xf32>
  %z = arith.subf %y, %a : tensor<8xf32>
  return %y, %z : tensor<8xf32>, tensor<8xf32>
}

// -----

// Nothing depends on weights alone: nothing is split. A view of a weight costs nothing and is no result.
// CHECK-LABEL: func.func @main
// CHECK-NOT: pit.kind = "prepared"
func.func @main(%a: tensor<2x4xf32> {pit.kind = "weight"}, %x: tensor<8xf32> {pit.kind = "input"}) -> tensor<8xf32> {
  %v = tensor.collapse_shape %a [[0, 1]] : tensor<2x4xf32> into tensor<8xf32>
  %y = arith.addf %v, %x : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// A size that a weight tells is found on both sides: numbers are no results.
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: (%{{.*}}: tensor<?xf32>) -> tensor<?xf32> {
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[W:.*]]: tensor<?xf32> {pit.kind = "weight"}, %{{[^:]*}}: tensor<f32> {pit.kind = "input"}, %[[P:[^:]*]]: tensor<?xf32> {pit.kind = "prepared"})
// CHECK: %[[N:.*]] = tensor.dim %[[W]]
// CHECK: %[[E:.*]] = tensor.empty(%[[N]])
// CHECK: linalg.broadcast {{.*}} outs(%[[E]]
// CHECK: arith.addf %{{.*}}, %[[P]]
func.func @main(%w: tensor<?xf32> {pit.kind = "weight"}, %x: tensor<f32> {pit.kind = "input"}) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %w, %c0 : tensor<?xf32>
  %q = arith.mulf %w, %w : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %b = linalg.broadcast ins(%x : tensor<f32>) outs(%e : tensor<?xf32>) dimensions = [0]
  %y = arith.addf %b, %q : tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// So is one that the shape of a view needs.
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: -> tensor<?xf32> {
// CHECK-LABEL: func.func @main
// CHECK: tensor.expand_shape %{{.*}} output_shape [%{{.*}}, 1]
func.func @main(%w: tensor<?xf32> {pit.kind = "weight"}, %x: tensor<?x1xf32> {pit.kind = "input"}) -> tensor<?x1xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %w, %c0 : tensor<?xf32>
  %q = arith.mulf %w, %w : tensor<?xf32>
  %v = tensor.expand_shape %q [[0, 1]] output_shape [%n, 1] : tensor<?xf32> into tensor<?x1xf32>
  %y = arith.addf %v, %x : tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// What calls write to is read at each call; @prepare takes it as it takes all weights, and computes nothing with it.
// CHECK-LABEL: func.func @prepare
// CHECK-SAME: (%[[STATE:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>) -> tensor<8xf32>
// CHECK-NOT: %[[STATE]]
// CHECK-LABEL: func.func @main
// CHECK: arith.addf
func.func @main(%state: tensor<8xf32> {pit.kind = "state"}, %b: tensor<8xf32> {pit.kind = "weight"})
    -> (tensor<8xf32>, tensor<8xf32>) {
  %sum = arith.addf %state, %b : tensor<8xf32>
  %square = arith.mulf %b, %b : tensor<8xf32>
  return %sum, %square : tensor<8xf32>, tensor<8xf32>
}
