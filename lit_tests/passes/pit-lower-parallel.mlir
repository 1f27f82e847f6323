// RUN: pit-mlir-opt %s --pit-lower-parallel | filecheck %s

// One trip stays on the calling thread; stacks are per thread, not per trip; what is inside is serial.

// CHECK-LABEL: func.func @nested
// CHECK-SAME: (%{{.*}}: memref<?xf32>, %[[N:.*]]: index,
// CHECK: %[[SEVERAL:.*]] = arith.cmpi slt, %{{.*}}, %[[N]]
// CHECK: omp.parallel if(%[[SEVERAL]])
// CHECK-NEXT: memref.alloca
// CHECK-NEXT: omp.wsloop nowait {
// CHECK-NEXT: omp.loop_nest
// CHECK-NOT: omp.parallel
// CHECK: scf.for
// CHECK-NOT: scf.parallel
// CHECK: return
func.func @nested(%y: memref<?xf32>, %n: index, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %b = memref.alloca() : memref<4xf32>
    memref.store %v, %b[%c0] : memref<4xf32>
    scf.parallel (%j) = (%c0) to (%n) step (%c1) {
      memref.store %v, %y[%j] : memref<?xf32>
    }
  }
  return
}

// CHECK-LABEL: func.func @one_by_one
// CHECK: omp.wsloop nowait schedule(dynamic)
func.func @one_by_one(%y: memref<?xf32>, %n: index, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    memref.store %v, %y[%i] : memref<?xf32>
  } {pit.dynamic}
  return
}
