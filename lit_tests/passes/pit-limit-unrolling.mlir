// RUN: pit-mlir-opt %s --pit-limit-unrolling | filecheck %s
// RUN: pit-mlir-opt %s --pit-limit-unrolling --convert-scf-to-cf | filecheck %s --check-prefix=BRANCH

// A loop around others is never unrolled, one of scalars not by a number of trips that is not known; vectors are left
// to LLVM, and so is what says itself what it wants.

// CHECK-DAG: #[[NEVER:.*]] = #llvm.loop_unroll<disable = true>
// CHECK-DAG: #[[WHOLLY:.*]] = #llvm.loop_unroll<runtimeDisable = true>
// CHECK-DAG: #[[FULL:.*]] = #llvm.loop_unroll<full = true>
// CHECK-DAG: #[[OUTER:.*]] = #llvm.loop_annotation<unroll = #[[NEVER]]>
// CHECK-DAG: #[[SCALAR:.*]] = #llvm.loop_annotation<unroll = #[[WHOLLY]]>
// CHECK-DAG: #[[WIDE:.*]] = #llvm.loop_vectorize<disable = false, width = {{[0-9]+}} : i32>
// CHECK-DAG: #[[LANES:.*]] = #llvm.loop_annotation<vectorize = #[[WIDE]], unroll = #[[WHOLLY]]>
// CHECK-DAG: #[[OWN:.*]] = #llvm.loop_annotation<unroll = #[[FULL]]>

// CHECK-LABEL: func.func @nest
// CHECK: scf.if
// CHECK: vector.store
// CHECK-NEXT: }
// CHECK-NEXT: scf.for
// CHECK: } {loop_annotation = #[[SCALAR]]}
// CHECK-NEXT: scf.for
// CHECK: } {loop_annotation = #[[OWN]]}
// CHECK-NEXT: }
// CHECK-NEXT: } {loop_annotation = #[[OUTER]]}
// CHECK-NEXT: return

// The branch back is where LLVM looks.
// BRANCH-LABEL: func.func @nest
// BRANCH-COUNT-3: cf.br ^{{.*}} {loop_annotation = #
func.func @nest(%x: memref<?x16xf32>, %n: index, %b: i1, %v: vector<16xf32>, %s: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    scf.if %b {
      scf.for %j = %c0 to %n step %c1 {
        %sum = arith.addf %v, %v : vector<16xf32>
        vector.store %sum, %x[%j, %c0] : memref<?x16xf32>, vector<16xf32>
      }
      scf.for %j = %c0 to %n step %c1 {
        memref.store %s, %x[%j, %i] : memref<?x16xf32>
      }
      scf.for %j = %c0 to %n step %c1 {
        memref.store %s, %x[%j, %i] : memref<?x16xf32>
      } {loop_annotation = #llvm.loop_annotation<unroll = <full = true>>}
    }
  }
  return
}

// What rounds neighbours to bf16 is told its lanes; what it does to elements apart is not.

// CHECK-LABEL: func.func @rounded
// CHECK: } {loop_annotation = #[[LANES]]}
// CHECK: } {loop_annotation = #[[SCALAR]]}
func.func @rounded(%x: memref<?xf32>, %y: memref<?xbf16>, %z: memref<?x4xbf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %a = memref.load %x[%i] : memref<?xf32>
    %b = arith.truncf %a : f32 to bf16
    memref.store %b, %y[%i] : memref<?xbf16>
  }
  scf.for %i = %c0 to %n step %c1 {
    %a = memref.load %x[%i] : memref<?xf32>
    %b = arith.truncf %a : f32 to bf16
    memref.store %b, %z[%i, %c0] : memref<?x4xbf16>
  }
  return
}

// A merge carries its place in two lists: LLVM may repeat it.

// CHECK-LABEL: func.func @merged
// CHECK-NOT: loop_annotation
// CHECK: return
func.func @merged(%x: memref<?xf32>, %y: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %end:2 = scf.for %i = %c0 to %n step %c1 iter_args(%left = %c0, %right = %n) -> (index, index) {
    %a = memref.load %x[%left] : memref<?xf32>
    %b = memref.load %x[%right] : memref<?xf32>
    %takes_left = arith.cmpf ole, %a, %b : f32
    %taken = arith.select %takes_left, %a, %b : f32
    memref.store %taken, %y[%i] : memref<?xf32>
    %next_left = arith.addi %left, %c1 : index
    %next_right = arith.addi %right, %c1 : index
    %l = arith.select %takes_left, %next_left, %left : index
    %r = arith.select %takes_left, %right, %next_right : index
    scf.yield %l, %r : index, index
  }
  return
}
