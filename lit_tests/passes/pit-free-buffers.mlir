// RUN: pit-mlir-opt %s --pit-free-buffers | filecheck %s
// RUN: pit-mlir-opt %s --pit-free-buffers --pit-free-buffers | filecheck %s --check-prefix=TWICE

// TWICE-COUNT-2: memref.dealloc
// TWICE-NOT: memref.dealloc

// After the last use, through views and inside of loops; what is returned is the caller's.

// CHECK-LABEL: func.func @last_use
// CHECK: %[[T:.*]] = memref.alloc() : memref<8xf32>
// CHECK: %[[VIEW:.*]] = memref.subview %[[T]]
// CHECK: scf.for
// CHECK: memref.load %[[VIEW]]
// CHECK: }
// CHECK-NEXT: memref.dealloc %[[T]]
// CHECK: %[[R:.*]] = memref.alloc
// CHECK-NOT: memref.dealloc %[[R]]
// CHECK: return %[[R]]
func.func @last_use(%v: f32) -> memref<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %t = memref.alloc() : memref<8xf32>
  %view = memref.subview %t[0] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1]>>
  scf.for %i = %c0 to %c8 step %c1 {
    %x = memref.load %view[%c0] : memref<4xf32, strided<[1]>>
    memref.store %x, %view[%c1] : memref<4xf32, strided<[1]>>
  }
  %r = memref.alloc() : memref<8xf32>
  memref.store %v, %r[%c0] : memref<8xf32>
  return %r : memref<8xf32>
}

// A buffer that leaves its region is left to the end of the call.

// CHECK-LABEL: func.func @leaves_its_region
// CHECK-NOT: memref.dealloc
// CHECK: return
func.func @leaves_its_region(%c: i1, %x: memref<4xf32>) -> memref<4xf32> {
  %y = scf.if %c -> memref<4xf32> {
    %t = memref.alloc() : memref<4xf32>
    scf.yield %t : memref<4xf32>
  } else {
    scf.yield %x : memref<4xf32>
  }
  return %y : memref<4xf32>
}

// Who has a pointer that was made of the address may use the buffer.
// CHECK-LABEL: func.func @pointer
// CHECK: %[[T:.*]] = memref.alloc
// CHECK: call @describe
// CHECK-NEXT: call @use
// CHECK-NEXT: memref.dealloc %[[T]]
func.func private @describe(%address: index) -> !llvm.ptr
func.func private @use(%map: !llvm.ptr)
func.func @pointer() {
  %t = memref.alloc() : memref<8xf32>
  %address = memref.extract_aligned_pointer_as_index %t : memref<8xf32> -> index
  %map = call @describe(%address) : (index) -> !llvm.ptr
  call @use(%map) : (!llvm.ptr) -> ()
  return
}
