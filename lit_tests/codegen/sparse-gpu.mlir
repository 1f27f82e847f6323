// RUN: pit-mlir-opt %s -p 'pit-lower-to-gpu{chip=sm_80}' | filecheck %s
// RUN: pit-mlir-opt %s -p 'pit-lower-to-gpu{chip=sm_80 deterministic=true}' | filecheck %s --check-prefix=DETERMINISTIC

// Bits: sixteen bytes of each of 32 rows at a time, eight entries a byte. Lists: counted by their bits, no atomics, and
// nothing waits on the host.
// CHECK-LABEL: func.func @lists
// CHECK: gpu.launch
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<?xbf16>, vector<8xbf16>
// CHECK-NOT: memref.load
// CHECK: memref.store {{.*}} : memref<?xi8>
// CHECK: gpu.terminator
// CHECK: gpu.launch
// CHECK: math.ctpop
// CHECK: gpu.shuffle up
// CHECK: gpu.barrier
// CHECK-NOT: atomic_rmw
// CHECK: gpu.terminator
func.func @lists(%a: tensor<128x4096xbf16>, %b: tensor<4096x64xbf16>, %c: tensor<128x64xbf16>) -> tensor<128x64xbf16> {
  %K = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>, micro_tile = 32 : i64}
      : (tensor<128x4096xbf16>) -> !pit.index
  %s = "pit.generic"(%c, %K) ({
  ^bb0(%acc: bf16):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<128x4096xbf16>) -> bf16
    %w = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<4096x64xbf16>) -> bf16
    %p = arith.mulf %x, %w : bf16
    %t = arith.addf %acc, %p : bf16
    "pit.yield"(%t) : (bf16) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], group = array<i64: 0, 2>, compact = false,
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
                        #linalg.iterator_type<reduction>]}
      : (tensor<128x64xbf16>, !pit.index) -> tensor<128x64xbf16>
  return %s : tensor<128x64xbf16>
}

// A large list whose order nobody sees: one reading, a vote for each entry, places for a warp by one atomic addition.
// CHECK-LABEL: func.func @unordered
// CHECK: gpu.launch
// CHECK: memref.store
// CHECK: gpu.terminator
// CHECK: gpu.launch
// CHECK: vector.load {{.*}} {alignment = 8 : i64} : memref<?xi8>, vector<8xi8>
// CHECK: gpu.ballot
// CHECK: math.ctpop
// CHECK: memref.atomic_rmw addi
// CHECK: gpu.shuffle idx
// CHECK-NOT: atomic_rmw
// CHECK: gpu.terminator
// CHECK-NOT: math.ctpop
// Where equal calls must give equal bits it is ascending.
// DETERMINISTIC-LABEL: func.func @unordered
// DETERMINISTIC-NOT: atomic_rmw
// DETERMINISTIC: return
func.func @unordered(%x: tensor<262144x64xf32>, %mask: tensor<262144xi8>, %init: tensor<262144x64xf32>)
    -> tensor<262144x64xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64}
      : (tensor<262144xi8>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 0>}
      : (tensor<262144x64xf32>, !pit.index) -> tensor<?x64xf32>
  %y = "pit.swrite"(%r, %init, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "store"}
      : (tensor<?x64xf32>, tensor<262144x64xf32>, !pit.index) -> tensor<262144x64xf32>
  return %y : tensor<262144x64xf32>
}

// Rows of 16 bytes and more are moved by vectors, through the list.
// CHECK-LABEL: func.func @rows
// CHECK: vector.load {{.*}} {alignment = 16 : i64} : memref<4x7x64xf32>, vector<4xf32>
// CHECK-NEXT: vector.store {{.*}} {alignment = 16 : i64} : memref<?x64xf32>, vector<4xf32>
func.func @rows(%x: tensor<4x7x64xf32>, %mask: tensor<4x7xi1>, %init: tensor<4x7x64xf32>) -> tensor<4x7x64xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<4x7xi1>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<4x7x64xf32>, !pit.index) -> tensor<?x64xf32>
  %y = "pit.swrite"(%r, %init, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x64xf32>, tensor<4x7x64xf32>, !pit.index) -> tensor<4x7x64xf32>
  return %y : tensor<4x7x64xf32>
}

// Tensor cores multiply bf16, both products of a tile while the next one is on its way; nothing multiplies f32.
// CHECK-LABEL: func.func @attend
// CHECK: gpu.launch
// CHECK: nvgpu.device_async_copy {{.*}}, 8, {{.*}} {bypassL1}
// CHECK: nvvm.cp.async.commit.group
// CHECK: scf.for
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = false}
// CHECK: nvgpu.mma.sync({{.*}}) {mmaShape = [16, 8, 16]}
// CHECK: math.exp
// CHECK: nvgpu.ldmatrix {{.*}} {numTiles = 4 : i32, transpose = true}
// CHECK: nvgpu.mma.sync({{.*}}) {mmaShape = [16, 8, 16]}
// CHECK-NOT: vector.fma
// CHECK: gpu.terminator
func.func @attend(%q: tensor<2x70x64xbf16>, %k: tensor<2x70x64xbf16>, %v: tensor<2x70x64xbf16>) -> tensor<2x70x64xbf16> {
  %init = tensor.empty() : tensor<2x70x64xbf16>
  %o = "pit.attend"(%q, %k, %v, %init) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>,
      indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>,
                       affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]}
      : (tensor<2x70x64xbf16>, tensor<2x70x64xbf16>, tensor<2x70x64xbf16>, tensor<2x70x64xbf16>) -> tensor<2x70x64xbf16>
  return %o : tensor<2x70x64xbf16>
}
