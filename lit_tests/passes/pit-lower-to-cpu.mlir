// RUN: pit-mlir-opt %s --split-input-file --pit-lower-to-cpu --cse | filecheck %s

// An index is three lists and the rows, made by a function that all detections of one form share; a gather copies row by
// row; nothing of the dialect is left.

// CHECK-LABEL: func.func @gather
// CHECK-SAME: (%[[X:.*]]: tensor<4x8x16xf32>, %[[MASK:.*]]: tensor<4x8xi1>)
// CHECK: memref.alloc() : memref<4xi32>
// CHECK: memref.alloc() : memref<32xi32>
// CHECK: %[[COUNT:.*]] = memref.alloc() : memref<1xindex>
// CHECK: bufferization.to_buffer %[[MASK]] read_only
// CHECK: call @pit_detect_
// CHECK: %[[TOTAL:.*]] = memref.load %[[COUNT]]
// CHECK: %[[ROWS:.*]] = memref.alloc(%[[TOTAL]]) : memref<?x16xf32>
// CHECK: scf.parallel
// CHECK: memref.store %{{.*}}, %[[ROWS]]
// CHECK: bufferization.to_tensor %[[ROWS]] restrict writable
// CHECK-NOT: "pit.
func.func @gather(%x: tensor<4x8x16xf32>, %mask: tensor<4x8xi1>) -> tensor<?x16xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>,
      micro_tile = 0 : i64} : (tensor<4x8xi1>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return %r : tensor<?x16xf32>
}

// -----

// A scatter fills a fresh buffer with its background; one that accumulates is done by one thread.

// CHECK-LABEL: func.func @scatter
// CHECK: linalg.fill
// CHECK-NOT: scf.parallel
// CHECK: arith.addf
// CHECK-NOT: "pit.
func.func @scatter(%v: tensor<?x16xf32>, %mask: tensor<4x8xi1>) -> tensor<8x16xf32> {
  %z = arith.constant 0.0 : f32
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>,
      micro_tile = 0 : i64} : (tensor<4x8xi1>) -> !pit.index
  %e = tensor.empty() : tensor<8x16xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<8x16xf32>) -> tensor<8x16xf32>
  %y = "pit.swrite"(%v, %f, %I) {axis = array<i64: 0>, group = array<i64: 1>, combine = "add"}
      : (tensor<?x16xf32>, tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

// A failed check is recorded, and the program goes on; a mark is nothing.

// CHECK: module attributes {pit.checks = ["{{.*}}: not ok"]}
// CHECK-LABEL: func.func @check
// CHECK: scf.if
// CHECK: func.call @pit_check_failed
// CHECK-NOT: "pit.mark
func.func @check(%ok: i1, %x: tensor<4xf32>) -> tensor<4xf32> {
  "pit.check"(%ok) {message = "not ok"} : (i1) -> ()
  %y = "pit.mark"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Each adds to what the one before wrote, in one buffer: the sum over modules of experts.

// CHECK-LABEL: func.func @accumulate
// CHECK: %[[OUT:.+]] = memref.alloc() : memref<8x16xf32>
// CHECK: linalg.fill {{.*}} outs(%[[OUT]]
// CHECK-NOT: memref.alloc() : memref<8x16xf32>
// CHECK-NOT: memref.copy
// CHECK: %[[SUM:.+]] = bufferization.to_tensor %[[OUT]]
// CHECK: return %[[SUM]]
func.func @accumulate(%v: tensor<?x16xf32>, %w: tensor<?x16xf32>, %a: tensor<8xi1>, %b: tensor<8xi1>) -> tensor<8x16xf32> {
  %z = arith.constant 0.0 : f32
  %I = "pit.detect"(%a) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}
      : (tensor<8xi1>) -> !pit.index
  %J = "pit.detect"(%b) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}
      : (tensor<8xi1>) -> !pit.index
  %e = tensor.empty() : tensor<8x16xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<8x16xf32>) -> tensor<8x16xf32>
  %x = "pit.swrite"(%v, %f, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "add"}
      : (tensor<?x16xf32>, tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  %y = "pit.swrite"(%w, %x, %J) {axis = array<i64: 0>, group = array<i64: 0>, combine = "add"}
      : (tensor<?x16xf32>, tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

// What was written is returned, too: it is copied before it is added to.

// CHECK-LABEL: func.func @both
// CHECK: memref.alloc() : memref<8x16xf32>
// CHECK: %[[COPY:.+]] = memref.alloc() : memref<8x16xf32>
// CHECK: memref.copy %{{.*}}, %[[COPY]]
func.func @both(%v: tensor<?x16xf32>, %a: tensor<8xi1>, %f: tensor<8x16xf32>) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %I = "pit.detect"(%a) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}
      : (tensor<8xi1>) -> !pit.index
  %e = tensor.empty() : tensor<8x16xf32>
  %x = "pit.swrite"(%v, %e, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "store"}
      : (tensor<?x16xf32>, tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  %y = "pit.swrite"(%v, %x, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "add"}
      : (tensor<?x16xf32>, tensor<8x16xf32>, !pit.index) -> tensor<8x16xf32>
  return %x, %y : tensor<8x16xf32>, tensor<8x16xf32>
}

// -----

// The weights of one expert are a slice of all, read where they lie; the zeros that its sums start from are not made.

// CHECK-LABEL: func.func @slice
// CHECK-NOT: linalg.fill
// CHECK: bufferization.to_buffer %{{.*}} read_only : tensor<32x16xf32> to memref<32x16xf32, strided<[?, 1], offset: ?>>
func.func @slice(%x: tensor<?x16xf32>, %w: tensor<4x32x16xf32>, %n: index) -> tensor<?x32xf32> {
  %z = arith.constant 0.0 : f32
  %mine = tensor.extract_slice %w[2, 0, 0] [1, 32, 16] [1, 1, 1] : tensor<4x32x16xf32> to tensor<32x16xf32>
  %e = tensor.empty(%n) : tensor<?x32xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %y = "pit.contract"(%f) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<?x16xf32>) -> f32
    %b = "pit.element"(%mine) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], group = array<i64>, block = array<i64>, compact = false,
      combine = "store", operandSegmentSizes = array<i32: 1, 0>,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>]} : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
