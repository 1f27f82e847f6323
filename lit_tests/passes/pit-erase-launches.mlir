// RUN: pit-mlir-opt %s --pit-erase-launches | filecheck %s

// A grid that is known to be empty launches nothing; one whose size only a call knows may.

// CHECK-LABEL: func.func @main
// CHECK: gpu.launch blocks({{.*}}) in (%{{.*}} = %arg0,
// CHECK-NOT: gpu.launch
func.func @main(%size: index, %x: memref<?xf32>) {
  %none = arith.constant 0 : index
  %one = arith.constant 1 : index
  %value = arith.constant 1.0 : f32
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %size, %gy = %one, %gz = %one)
      threads(%tx, %ty, %tz) in (%sx = %one, %sy = %one, %sz = %one) {
    memref.store %value, %x[%bx] : memref<?xf32>
    gpu.terminator
  }
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %none, %gy = %one, %gz = %one)
      threads(%tx, %ty, %tz) in (%sx = %one, %sy = %one, %sz = %one) {
    memref.store %value, %x[%bx] : memref<?xf32>
    gpu.terminator
  }
  return
}
