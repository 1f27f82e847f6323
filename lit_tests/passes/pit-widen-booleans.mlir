// RUN: pit-mlir-opt %s --pit-widen-booleans | filecheck %s

// CHECK-LABEL: llvm.func @copy
// CHECK: %[[P:.*]] = llvm.getelementptr %{{.*}} : (!llvm.ptr, i64) -> !llvm.ptr, i8
// CHECK: %[[BYTE:.*]] = llvm.load %[[P]] : !llvm.ptr -> i8
// CHECK: %[[TRUTH:.*]] = llvm.icmp "ne" %[[BYTE]]
// CHECK: %[[WIDE:.*]] = llvm.zext %[[TRUTH]] : i1 to i8
// CHECK: llvm.store %[[WIDE]]
llvm.func @copy(%x: !llvm.ptr, %y: !llvm.ptr, %i: i64) {
  %p = llvm.getelementptr %x[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i1
  %v = llvm.load %p : !llvm.ptr -> i1
  llvm.store %v, %y : i1, !llvm.ptr
  llvm.return
}
