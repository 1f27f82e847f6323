// RUN: pit-mlir-opt %s --pit-share-loops | filecheck %s

// Buffers, sizes and scalars become arguments in the order of their first use; constants go into the function.

// CHECK-LABEL: func.func @twice
// CHECK-SAME: (%[[A:.*]]: memref<?xf32>, %[[B:.*]]: memref<?xf32>, %[[N:.*]]: index, %[[S:.*]]: f32, %[[T:.*]]: f32)
// CHECK: call @[[F:pit_loops_.*]](%[[N]], %[[A]], %[[S]], %[[B]])
// CHECK-NEXT: call @[[F]](%[[N]], %[[B]], %[[T]], %[[A]])
// CHECK-NEXT: return
func.func @twice(%a: memref<?xf32>, %b: memref<?xf32>, %n: index, %s: f32, %t: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %x = memref.load %a[%i] : memref<?xf32>
    %p = arith.mulf %x, %s : f32
    %r = arith.addf %p, %one : f32
    memref.store %r, %b[%i] : memref<?xf32>
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %x = memref.load %b[%i] : memref<?xf32>
    %p = arith.mulf %x, %t : f32
    %r = arith.addf %p, %one : f32
    memref.store %r, %a[%i] : memref<?xf32>
  }
  return
}

// Another constant, another type, a value used twice where the other loop uses two: other forms. A loop with a
// result stays.

// CHECK-LABEL: func.func @unlike
// CHECK-COUNT-7: scf.for
// CHECK-NOT: call
// CHECK: return
func.func @unlike(%a: memref<8xf32>, %b: memref<8xf32>, %c: memref<9xf32>, %n: index) -> (f32, f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %n step %c1 {
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %b[%i] : memref<8xf32>
  }
  scf.for %i = %c0 to %n step %c2 {
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %b[%i] : memref<8xf32>
  }
  scf.for %i = %c0 to %n step %c1 {
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %c[%i] : memref<9xf32>
  }
  scf.for %i = %c0 to %n step %c1 {
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %a[%i] : memref<8xf32>
  }
  scf.for %i = %c0 to %n step %n {
    %x = memref.load %a[%i] : memref<8xf32>
    memref.store %x, %b[%i] : memref<8xf32>
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %x = memref.load %a[%i] : memref<8xf32>
    %t = arith.addf %s, %x : f32
    scf.yield %t : f32
  }
  %q = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %x = memref.load %b[%i] : memref<8xf32>
    %t = arith.addf %s, %x : f32
    scf.yield %t : f32
  }
  return %r, %q : f32, f32
}

// What is private is a function that others share already.

// CHECK-LABEL: func.func private @kernel
// CHECK-COUNT-2: scf.for
// CHECK: return
func.func private @kernel(%a: memref<8xf32>, %b: memref<8xf32>, %v: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  scf.for %i = %c0 to %c8 step %c1 {
    memref.store %v, %a[%i] : memref<8xf32>
  }
  scf.for %i = %c0 to %c8 step %c1 {
    memref.store %v, %b[%i] : memref<8xf32>
  }
  return
}

// CHECK-LABEL: func.func private @pit_loops_
// CHECK-SAME: (%[[N:.*]]: index, %[[X:.*]]: memref<?xf32>, %[[S:.*]]: f32, %[[Y:.*]]: memref<?xf32>)
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: scf.parallel (%[[I:.*]]) = (%{{.*}}) to (%[[N]])
// CHECK: %[[E:.*]] = memref.load %[[X]][%[[I]]]
// CHECK: %[[P:.*]] = arith.mulf %[[E]], %[[S]]
// CHECK: %[[R:.*]] = arith.addf %[[P]], %[[ONE]]
// CHECK: memref.store %[[R]], %[[Y]][%[[I]]]
// CHECK-NOT: func.func
