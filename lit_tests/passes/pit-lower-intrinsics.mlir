// RUN: pit-mlir-opt %s --pit-lower-intrinsics | filecheck %s

// What a GPU has an instruction for, in both widths; a sine is for libdevice.

// CHECK: llvm.func @__nv_sinf
// CHECK-NOT: @__nv_fmaf
// CHECK-LABEL: llvm.func @functions
// CHECK: llvm.intr.fma({{.*}}) : (f32, f32, f32) -> f32
// CHECK: llvm.intr.rint({{.*}}) : (f32) -> f32
// CHECK: llvm.intr.sqrt({{.*}}) : (f64) -> f64
// CHECK: llvm.call @__nv_sinf
gpu.module @kernels {
  llvm.func @__nv_fmaf(f32, f32, f32) -> f32
  llvm.func @__nv_rintf(f32) -> f32
  llvm.func @__nv_sqrt(f64) -> f64
  llvm.func @__nv_sinf(f32) -> f32
  llvm.func @functions(%x: f32, %y: f64, %p: !llvm.ptr) {
    %a = llvm.call @__nv_fmaf(%x, %x, %x) : (f32, f32, f32) -> f32
    %b = llvm.call @__nv_rintf(%a) : (f32) -> f32
    %c = llvm.call @__nv_sqrt(%y) : (f64) -> f64
    %d = llvm.call @__nv_sinf(%b) : (f32) -> f32
    llvm.store %c, %p : f64, !llvm.ptr
    llvm.store %d, %p : f32, !llvm.ptr
    llvm.return
  }
}
