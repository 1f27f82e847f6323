// RUN: pit-mlir-opt %s --pit-check-determinism | filecheck %s

// Each iteration has its own place; a sum inside of one has one order.
// CHECK-LABEL: func.func @rows
// CHECK:         scf.parallel
// CHECK:           scf.for
// CHECK:           memref.store
func.func @rows(%x: memref<8x4xf32>, %y: memref<8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f32
  scf.parallel (%i) = (%c0) to (%c8) step (%c1) {
    %sum = scf.for %j = %c0 to %c4 step %c1 iter_args(%acc = %zero) -> f32 {
      %v = memref.load %x[%i, %j] : memref<8x4xf32>
      %s = arith.addf %acc, %v : f32
      scf.yield %s : f32
    }
    memref.store %sum, %y[%i] : memref<8xf32>
    scf.reduce
  }
  return
}
