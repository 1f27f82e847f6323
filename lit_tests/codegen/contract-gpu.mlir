// RUN: pit-mlir-opt %s -p 'pit-lower-to-gpu{chip=sm_80}' | filecheck %s
// RUN: pit-mlir-opt %s -p 'pit-lower-to-gpu{chip=sm_90a}' | filecheck %s --check-prefix=HOPPER
// RUN: pit-mlir-opt %s -p 'pit-lower-to-gpu{chip=sm_80 tf32=true}' | filecheck %s --check-prefix=TF32

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#kinds = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]

// bf16: 16 bytes at a time are copied past the registers, no element is loaded one by one, tensor cores multiply.
// CHECK-LABEL: func.func @narrow
// CHECK: gpu.launch
// CHECK-NOT: memref.load
// CHECK: nvgpu.device_async_copy {{.*}}, 8 {bypassL1}
// CHECK: nvvm.cp.async.commit.group
// CHECK: scf.for
// CHECK: nvvm.cp.async.wait.group 1
// CHECK-NEXT: gpu.barrier
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = false}
// CHECK: nvgpu.mma.sync({{.*}}) {mmaShape = [16, 8, 16]}
// CHECK-NOT: vector.fma
// CHECK: gpu.shuffle xor
// CHECK: vector.store {{.*}} {alignment = 16 : i64} : memref<?xf32>, vector<4xf32>
// CHECK: gpu.terminator

// The same on sm_90a: a producer and consumers that meet at barriers, and nothing of mma.sync.
// Both factors are plain parts of tensors: they come as boxes that one thread asks for, and no thread copies.
// HOPPER-LABEL: func.func @narrow
// HOPPER: %[[LEFT:.*]] = call @pit_gpu_tensor_map
// HOPPER: %[[RIGHT:.*]] = call @pit_gpu_tensor_map
// HOPPER: gpu.launch
// HOPPER-SAME: dynamic_shared_memory_size
// HOPPER-NOT: nvgpu.device_async_copy
// HOPPER: nvvm.mbarrier.init
// HOPPER: nvvm.fence.mbarrier.init
// HOPPER: scf.if
// HOPPER: nvvm.setmaxregister decrease 88
// HOPPER: nvvm.mbarrier.try_wait.parity
// HOPPER: nvvm.mbarrier.arrive.expect_tx
// HOPPER: nvvm.cp.async.bulk.tensor.shared.cluster.global {{.*}}, %[[LEFT]], %{{.*}}, box[%{{.*}}, %{{.*}}]
// HOPPER: nvvm.cp.async.bulk.tensor.shared.cluster.global {{.*}}, %[[RIGHT]], %{{.*}}, box[%{{.*}}, %{{.*}}]
// HOPPER: else
// HOPPER: nvvm.setmaxregister increase 208
// HOPPER: nvvm.mbarrier.try_wait.parity
// HOPPER: nvvm.wgmma.fence.aligned
// HOPPER-COUNT-4: nvvm.wgmma.mma_async
// HOPPER: nvvm.wgmma.commit.group.sync.aligned
// HOPPER: gpu.shuffle xor
// HOPPER: vector.store {{.*}} vector<4xf32>
// HOPPER-NOT: nvgpu.mma.sync
// HOPPER: gpu.terminator
func.func @narrow(%x: tensor<256x512xbf16>, %w: tensor<256x512xbf16>, %init: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = #mk, compact = false} : (tensor<256x512xbf16>) -> bf16
    %b = "pit.element"(%w) {map = #nk, compact = false} : (tensor<256x512xbf16>) -> bf16
    %e = arith.extf %a : bf16 to f32
    %f = arith.extf %b : bf16 to f32
    "pit.yield"(%e, %f) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = #kinds, group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<256x256xf32>) -> tensor<256x256xf32>
  return %y : tensor<256x256xf32>
}

// f32 is exact: multiply-adds, and no tensor core rounds to tf32. An odd stride allows four bytes at a time.
// CHECK-LABEL: func.func @exact
// CHECK: nvgpu.device_async_copy {{.*}}, 1, %
// CHECK: vector.fma
// CHECK-NOT: mma.sync
// CHECK: gpu.terminator
// TF32-LABEL: func.func @exact
// TF32: nvgpu.device_async_copy {{.*}}, 1, %
// TF32: nvgpu.ldmatrix {{.*}} -> vector<4x1xf32>
// TF32: nvvm.convert.float.to.tf32 {{.*}} {rnd = #nvvm.fp_rnd_mode<rna>}
// TF32: nvgpu.mma.sync({{.*}}) {mmaShape = [16, 8, 8], tf32Enabled}
// TF32-NOT: vector.fma
// TF32: gpu.terminator
// HOPPER-LABEL: func.func @exact
// HOPPER-NOT: wgmma
// HOPPER: gpu.terminator
func.func @exact(%x: tensor<256x127xf32>, %w: tensor<256x127xf32>, %init: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = #mk, compact = false} : (tensor<256x127xf32>) -> f32
    %b = "pit.element"(%w) {map = #nk, compact = false} : (tensor<256x127xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = #kinds, group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<256x256xf32>) -> tensor<256x256xf32>
  return %y : tensor<256x256xf32>
}

// Rows that a list gives are gathered by the threads of the producer, while the weights come as boxes: everybody arrives.
// HOPPER-LABEL: func.func @rows
// HOPPER: call @pit_gpu_tensor_map
// HOPPER-NOT: call @pit_gpu_tensor_map
// HOPPER: gpu.launch
// HOPPER: %[[ALL:.*]] = arith.constant 129 : i32
// HOPPER: nvvm.mbarrier.init %{{.*}}, %[[ALL]]
// HOPPER: nvvm.cp.async.bulk.tensor.shared.cluster.global
// HOPPER: nvgpu.device_async_copy
// HOPPER: nvvm.fence.proxy
// HOPPER: nvvm.mbarrier.arrive
// HOPPER: nvvm.wgmma.mma_async
func.func @rows(%x: tensor<256x512xbf16>, %w: tensor<256x512xbf16>, %mask: tensor<256xf32>, %init: tensor<256x256xf32>) -> tensor<256x256xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<256xf32>) -> !pit.index
  %y = "pit.contract"(%init, %I) ({
    %a = "pit.element"(%x) {map = #mk, compact = false} : (tensor<256x512xbf16>) -> bf16
    %b = "pit.element"(%w) {map = #nk, compact = false} : (tensor<256x512xbf16>) -> bf16
    %e = arith.extf %a : bf16 to f32
    %f = arith.extf %b : bf16 to f32
    "pit.yield"(%e, %f) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = #kinds, group = array<i64: 0>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<256x256xf32>, !pit.index) -> tensor<256x256xf32>
  return %y : tensor<256x256xf32>
}
