// RUN: pit-mlir-opt %s --pit-lay-out-weights --mlir-diagnostic-verbosity-level=errors | filecheck %s
// RUN: pit-mlir-opt %s -p 'func.func(pit-lay-out-weights)' --mlir-diagnostic-verbosity-level=errors | filecheck %s

// Panels are as wide as two vectors of the processor.
// CHECK: [[PANELS:#.*]] = affine_map<(d0, d1, d2) -> (d1 floordiv [[WIDTH:[0-9]+]], d2, d1 mod [[WIDTH]])>

// The list runs along k; the weight (n, k) becomes (k, n), and the sparse operand stays.
// CHECK-LABEL: func.func @list
// CHECK-SAME: %[[X:.*]]: tensor<4x64xf32>, %[[W:[^:]*]]: tensor<32x64xf32>
func.func @list(%x: tensor<4x64xf32>, %w: tensor<32x64xf32> {pit.kind = "weight"}) -> tensor<4x32xf32> {
  // CHECK: %[[T:.*]] = linalg.generic
  // CHECK-SAME: ins(%[[W]] : tensor<32x64xf32>)
  // CHECK: -> tensor<64x32xf32>
  // CHECK: "pit.element"(%[[X]])
  // CHECK: "pit.element"(%[[T]])
  // CHECK-SAME: (tensor<64x32xf32>) -> f32
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 4>, micro_tile = 4 : i64}
      : (tensor<4x64xf32>) -> !pit.index
  %init = tensor.empty() : tensor<4x32xf32>
  %y = "pit.contract"(%init, %I) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, block = array<i64: 4>, compact = false, combine = "store"}
      : (tensor<4x32xf32>, !pit.index) -> tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// Its sizes may be dynamic.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[K:.*]] = tensor.dim %[[W:.*]], %c1
// CHECK: tensor.empty(%[[K]]) : tensor<?x32xf32>
// CHECK: linalg.generic {{.*}} ins(%[[W]] : tensor<32x?xf32>)
func.func @dynamic(%x: tensor<4x?xf32>, %w: tensor<32x?xf32> {pit.kind = "weight"}) -> tensor<4x32xf32> {
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 4>, micro_tile = 4 : i64}
      : (tensor<4x?xf32>) -> !pit.index
  %init = tensor.empty() : tensor<4x32xf32>
  %y = "pit.contract"(%init, %I) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x?xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x?xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, block = array<i64: 4>, compact = false, combine = "store"}
      : (tensor<4x32xf32>, !pit.index) -> tensor<4x32xf32>
  return %y : tensor<4x32xf32>
}

// Without a list a weight lies in panels as wide as the register tile, zeros behind its edge.
// CHECK-LABEL: func.func @dense
// CHECK: %[[PADDED:.*]] = tensor.pad %{{.*}} low[0, 0] high
// CHECK: %[[P:.*]] = linalg.generic
// CHECK-SAME: ins(%[[PADDED]]
// CHECK: -> tensor<{{[0-9]+}}x64x[[WIDTH]]xf32>
// CHECK: "pit.element"(%[[P]]) {compact = false, map = [[PANELS]]}
func.func @dense(%x: tensor<4x64xf32>, %w: tensor<31x64xf32> {pit.kind = "weight"}) -> tensor<4x31xf32> {
  %init = tensor.empty() : tensor<4x31xf32>
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<31x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>],
      group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<4x31xf32>) -> tensor<4x31xf32>
  return %y : tensor<4x31xf32>
}

// Packed weights replace the others: one that is returned too stays as it is.
// CHECK-LABEL: func.func @read_otherwise
// CHECK-SAME: %[[W:[^:]*]]: tensor<31x64xf32> {pit.kind
// CHECK-NOT: linalg.generic
// CHECK: "pit.element"(%[[W]])
func.func @read_otherwise(%x: tensor<4x64xf32>, %w: tensor<31x64xf32> {pit.kind = "weight"}) -> (tensor<4x31xf32>, tensor<31x64xf32>) {
  %init = tensor.empty() : tensor<4x31xf32>
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<31x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>],
      group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<4x31xf32>) -> tensor<4x31xf32>
  return %y, %w : tensor<4x31xf32>, tensor<31x64xf32>
}
