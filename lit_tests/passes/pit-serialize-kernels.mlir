// RUN: pit-mlir-opt %s --pit-serialize-kernels=chip=sm_90a | filecheck %s --check-prefix=HOPPER
// RUN: pit-mlir-opt %s -p 'pit-serialize-kernels{chip=sm_80 assembled=false}' | filecheck %s --check-prefix=TEXT
// RUN: pit-mlir-opt %s --pit-serialize-kernels=chip=sm_89 | filecheck %s --check-prefix=ADA

// Machine code of sm_90a is for that chip alone; with that of others comes PTX that newer ones take.

// TEXT: gpu.binary @kernels
// TEXT-SAME: chip = "sm_80"
// TEXT-SAME: .visible .entry store
// TEXT-NOT: ELF
// HOPPER-NOT: gpu.module
// HOPPER: gpu.binary @kernels
// HOPPER-SAME: chip = "sm_90a"
// HOPPER-NOT: sm_80
// ADA: gpu.binary @kernels
// ADA-SAME: chip = "sm_89"
// ADA-SAME: chip = "sm_80"
// ADA-SAME: .visible .entry store
gpu.module @kernels {
  llvm.func @store(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
    %zero = llvm.mlir.constant(0.0 : f32) : f32
    llvm.store %zero, %x : f32, !llvm.ptr
    llvm.return
  }
}
