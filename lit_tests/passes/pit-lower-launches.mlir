// RUN: pit-mlir-opt %s --split-input-file --pit-lower-launches | filecheck %s

// Kernels have numbers in the order of their first launch; arguments are passed by an array of pointers.

// CHECK: module attributes {{{.*}}pit.kernels = ["second", "first"]
// CHECK: llvm.func @pit_gpu_launch(i32, i64, i64, i64, i64, i64, i64, i32, !llvm.ptr)
// CHECK-LABEL: llvm.func @main
// CHECK: %[[ROOM:.*]] = llvm.alloca {{.*}} x f32
// CHECK: %[[TABLE:.*]] = llvm.alloca {{.*}} x !llvm.array<1 x ptr>
// CHECK: llvm.store %{{.*}}, %[[ROOM]]
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[TABLE]][0, 0]
// CHECK: llvm.store %[[ROOM]], %[[SLOT]]
// CHECK: llvm.call @pit_gpu_launch(%{{.*}}, %[[TABLE]])
// CHECK: llvm.call @pit_gpu_launch
// CHECK-NOT: gpu.launch_func
module attributes {gpu.container_module} {
  llvm.func @main(%n: i64, %x: f32) {
    gpu.launch_func @kernels::@second blocks in (%n, %n, %n) threads in (%n, %n, %n) : i64 args(%x : f32)
    gpu.launch_func @kernels::@first blocks in (%n, %n, %n) threads in (%n, %n, %n) : i64
    llvm.return
  }
  gpu.module @kernels {
    llvm.func @first() attributes {gpu.kernel, nvvm.kernel} {
      llvm.return
    }
    llvm.func @second(%x: f32) attributes {gpu.kernel, nvvm.kernel} {
      llvm.return
    }
  }
}

// -----

// A buffer is passed as its parts.
// CHECK-LABEL: llvm.func @buffers
// CHECK: llvm.alloca {{.*}} x !llvm.array<6 x ptr>
// CHECK: llvm.extractvalue %{{.*}}[0] : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
// CHECK: llvm.extractvalue %{{.*}}[4, 0]
// CHECK: llvm.call @pit_gpu_launch
module attributes {gpu.container_module} {
  llvm.func @buffers(%n: i64, %m: i64, %b: !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>) {
    %i = builtin.unrealized_conversion_cast %m : i64 to index
    %x = builtin.unrealized_conversion_cast %b : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> to memref<?xf32>
    gpu.launch_func @kernels::@only blocks in (%n, %n, %n) threads in (%n, %n, %n) : i64 args(%x : memref<?xf32>, %i : index)
    llvm.return
  }
  gpu.module @kernels {
    gpu.func @only(%x: memref<?xf32>, %i: index) kernel {
      gpu.return
    }
  }
}

// -----

// A pointer is to a tensor map: the kernel takes the map itself, by value, as the driver copies it.
// CHECK-LABEL: llvm.func @maps
// CHECK-SAME: i64, %[[MAP:[a-z0-9]+]]: !llvm.ptr
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %{{.*}}[0, 0]
// CHECK: llvm.store %[[MAP]], %[[SLOT]]
// CHECK: llvm.call @pit_gpu_launch
// CHECK: llvm.func @copies(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}, %{{.*}}: f32)
module attributes {gpu.container_module} {
  llvm.func @maps(%n: i64, %map: !llvm.ptr, %x: f32) {
    gpu.launch_func @kernels::@copies blocks in (%n, %n, %n) threads in (%n, %n, %n) : i64 args(%map : !llvm.ptr, %x : f32)
    llvm.return
  }
  gpu.module @kernels {
    llvm.func @copies(%map: !llvm.ptr, %x: f32) attributes {gpu.kernel, nvvm.kernel} {
      llvm.return
    }
  }
}
