// RUN: pit-mlir-opt %s --split-input-file --pit-lower-to-cpu --cse | filecheck %s

// An index is three lists and the rows; a gather copies row by row; nothing of the dialect is left.

// CHECK-LABEL: func.func @gather
// CHECK-SAME: (%[[X:.*]]: tensor<4x8x16xf32>, %[[MASK:.*]]: tensor<4x8xi1>)
// CHECK: bufferization.to_buffer %[[MASK]] read_only
// CHECK: memref.alloc() : memref<4xi32>
// CHECK: memref.alloc() : memref<32xi32>
// CHECK: %[[TOTAL:.*]] = scf.for
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
