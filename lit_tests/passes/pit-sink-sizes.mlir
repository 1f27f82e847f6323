// RUN: pit-mlir-opt %s --split-input-file --pit-sink-sizes | filecheck %s

// The host takes the bound for the buffer and for the grid; the kernel reads how much there is.

// CHECK-LABEL: func.func @size
// CHECK-SAME: %[[TOTAL:.*]]: memref<1xindex>, %[[X:.*]]: memref<?x8xf32>, %[[BOUND:.*]]: index
// CHECK-NOT: memref.load
// CHECK: memref.alloc(%[[BOUND]])
// CHECK: gpu.launch
// CHECK-SAME: = %[[BOUND]]
// CHECK: %[[LOADED:.*]] = memref.load %[[TOTAL]]
// CHECK: %[[SIZE:.*]] = arith.minui %[[LOADED]], %[[BOUND]]
// CHECK: scf.for {{.*}} to %[[SIZE]]
func.func @size(%total: memref<1xindex>, %x: memref<?x8xf32>, %bound: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %loaded = memref.load %total[%c0] : memref<1xindex>
  %size = arith.minui %loaded, %bound : index
  %y = memref.alloc(%size) : memref<?x8xf32>
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %size, %gy = %c1, %gz = %c1)
             threads(%tx, %ty, %tz) in (%sx = %c1, %sy = %c1, %sz = %c1) {
    scf.for %i = %bx to %size step %gx {
      %a = memref.load %x[%i, %c0] : memref<?x8xf32>
      memref.store %a, %y[%i, %c0] : memref<?x8xf32>
    }
    gpu.terminator
  }
  return
}

// -----

// A condition on the data guards what the kernel does; a check that fails is noted on the device.

// CHECK-LABEL: func.func @condition
// CHECK: %[[WORD:.*]] = call @pit_gpu_check_word
// CHECK-NOT: scf.if
// CHECK: gpu.launch
// CHECK: scf.if
// CHECK: memref.atomic_rmw minu %{{.*}}, %[[WORD]]
// CHECK: gpu.launch
// CHECK: scf.if
// CHECK: memref.store
func.func private @pit_check_failed(i64)
func.func @condition(%flag: memref<i1>, %y: memref<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %number = arith.constant 3 : i64
  %one = arith.constant 1.0 : f32
  %set = memref.load %flag[] : memref<i1>
  scf.if %set {
    func.call @pit_check_failed(%number) : (i64) -> ()
  }
  scf.if %set {
    gpu.launch blocks(%bx, %by, %bz) in (%gx = %c1, %gy = %c1, %gz = %c1)
               threads(%tx, %ty, %tz) in (%sx = %c1, %sy = %c1, %sz = %c1) {
      memref.store %one, %y[%c0] : memref<4xf32>
      gpu.terminator
    }
  }
  return
}

// -----

// Constants of the program, and parts of them, are constants of the kernel.

// CHECK-LABEL: func.func @constants
// CHECK-NOT: memref.alloc
// CHECK: gpu.launch
// CHECK: %[[TABLE:.*]] = memref.get_global @table
// CHECK: memref.expand_shape %[[TABLE]]
memref.global "private" constant @table : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
func.func @constants(%y: memref<4xf32>) {
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %table = memref.get_global @table : memref<4xf32>
  %c0 = arith.constant 0 : index
  %square = memref.expand_shape %table [[0, 1]] output_shape [2, 2] : memref<4xf32> into memref<2x2xf32>
  gpu.launch blocks(%bx, %by, %bz) in (%gx = %c1, %gy = %c1, %gz = %c1)
             threads(%tx, %ty, %tz) in (%sx = %c4, %sy = %c1, %sz = %c1) {
    %a = memref.load %square[%c0, %tx] : memref<2x2xf32>
    memref.store %a, %y[%tx] : memref<4xf32>
    gpu.terminator
  }
  return
}

// -----

// The size of a part of a buffer is what the part was made with.

// CHECK-LABEL: func.func @part
// CHECK-SAME: %{{.*}}: memref<1xindex>, %[[BOUND:.*]]: index
// CHECK: memref.alloc(%[[BOUND]]) : memref<?x48xf32>
// CHECK: memref.alloc(%[[BOUND]]) : memref<?x2x8xf32>
func.func @part(%total: memref<1xindex>, %bound: index) {
  %c0 = arith.constant 0 : index
  %loaded = memref.load %total[%c0] : memref<1xindex>
  %size = arith.minui %loaded, %bound : index
  %x = memref.alloc(%size) : memref<?x48xf32>
  %part = memref.subview %x[0, 0] [%size, 16] [1, 1] : memref<?x48xf32> to memref<?x16xf32, strided<[48, 1]>>
  %heads = memref.expand_shape %part [[0], [1, 2]] output_shape [%size, 2, 8]
      : memref<?x16xf32, strided<[48, 1]>> into memref<?x2x8xf32, strided<[48, 8, 1]>>
  %rows = memref.dim %heads, %c0 : memref<?x2x8xf32, strided<[48, 8, 1]>>
  %y = memref.alloc(%rows) : memref<?x2x8xf32>
  return
}
