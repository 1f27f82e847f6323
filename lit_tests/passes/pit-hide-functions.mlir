// RUN: pit-mlir-opt %s --pit-hide-functions | filecheck %s

// Only the C interface is seen from outside; what it calls is part of it.

// CHECK: llvm.func @malloc(i64) -> !llvm.ptr
llvm.func @malloc(i64) -> !llvm.ptr

// CHECK: llvm.func internal @kernel() attributes {no_inline}
llvm.func @kernel() {
  llvm.return
}

// CHECK: llvm.func internal @main() attributes {always_inline}
llvm.func @main() {
  llvm.call @kernel() : () -> ()
  llvm.return
}

// CHECK: llvm.func @_mlir_ciface_main() {
llvm.func @_mlir_ciface_main() {
  llvm.call @main() : () -> ()
  llvm.return
}
