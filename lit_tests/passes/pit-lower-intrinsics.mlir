// RUN: pit-mlir-opt %s --pit-lower-intrinsics | filecheck %s

// What a GPU has an instruction for; a sine is for libdevice, and half precision is widened before.

// CHECK-LABEL: gpu.func @functions
// CHECK: llvm.intr.fma(
// CHECK: llvm.intr.sqrt(
// CHECK: llvm.intr.rint(
// CHECK: math.sin
// CHECK: math.sqrt {{.*}} : f16
gpu.module @kernels {
  gpu.func @functions(%x: f32, %h: f16, %y: memref<4xf32>, %z: memref<4xf16>) kernel {
    %c0 = arith.constant 0 : index
    %a = math.fma %x, %x, %x : f32
    %b = math.sqrt %a : f32
    %c = math.roundeven %b : f32
    %d = math.sin %c : f32
    %e = math.sqrt %h : f16
    memref.store %d, %y[%c0] : memref<4xf32>
    memref.store %e, %z[%c0] : memref<4xf16>
    gpu.return
  }
}

// Functions of the host are left alone.

// CHECK-LABEL: func.func @host
// CHECK: math.sqrt
func.func @host(%x: f32) -> f32 {
  %y = math.sqrt %x : f32
  return %y : f32
}
