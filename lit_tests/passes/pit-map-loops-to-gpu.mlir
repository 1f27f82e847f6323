// RUN: pit-mlir-opt %s --split-input-file -p 'linalg-generalize-named-ops, pit-map-loops-to-gpu' | filecheck %s

// Sums along memory: a warp for each, whose lanes meet by shuffles; the first lane writes.

// CHECK-LABEL: func.func @sum_of_rows
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.addf
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: scf.if
// CHECK: memref.store
func.func @sum_of_rows(%x: memref<64x100xf32>, %y: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x100xf32>) outs(%y : memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// Sums of columns: a thread for each, neighbours read neighbours.

// CHECK-LABEL: func.func @sum_of_columns
// CHECK: gpu.launch
// CHECK-NOT: gpu.shuffle
// CHECK: return
func.func @sum_of_columns(%x: memref<64x1000xf32>, %y: memref<1000xf32>) {
  linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x1000xf32>) outs(%y : memref<1000xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// Long sums of columns: threads for parts of each, then a warp combines the parts of a column.

// CHECK-LABEL: func.func @long_sum_of_columns
// CHECK: %[[PARTS:.*]] = memref.alloc(%{{.*}}) : memref<?xf32>
// CHECK: gpu.launch
// CHECK-NOT: gpu.shuffle
// CHECK: memref.store {{.*}}, %[[PARTS]]
// CHECK: gpu.launch
// CHECK: memref.load %[[PARTS]]
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: memref.store {{.*}} : memref<1000xf32>
func.func @long_sum_of_columns(%x: memref<65536x1000xf32>, %y: memref<1000xf32>) {
  linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<65536x1000xf32>) outs(%y : memref<1000xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// One sum of all: blocks for parts, whose threads meet in shared memory.

// CHECK-LABEL: func.func @sum_of_all
// CHECK: gpu.launch
// CHECK: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK: gpu.launch
// CHECK: gpu.shuffle xor
// CHECK: memref.store {{.*}} : memref<f32>
func.func @sum_of_all(%x: memref<1024x1000xf32>, %y: memref<f32>) {
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> ()>],
                  iterator_types = ["reduction", "reduction"]}
      ins(%x : memref<1024x1000xf32>) outs(%y : memref<f32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }
  return
}

// -----

// What is read along another axis than it is written goes through squares of shared memory; few columns do not.

// CHECK-LABEL: func.func @transpose
// CHECK: gpu.launch
// CHECK-SAME: workgroup(%[[SQUARE:.*]] : memref<1056xf32, #gpu.address_space<workgroup>>)
// CHECK: gpu.barrier
// CHECK: memref.store {{.*}}, %[[SQUARE]]
// CHECK: gpu.barrier
// CHECK: memref.load %[[SQUARE]]
// CHECK: memref.store {{.*}} : memref<700x100xf32>
// CHECK: gpu.launch
// CHECK-NOT: workgroup
// CHECK: return
func.func @transpose(%x: memref<100x700xf32>, %y: memref<700x100xf32>, %few: memref<100x4xf32>,
                     %turned: memref<4x100xf32>) {
  linalg.transpose ins(%x : memref<100x700xf32>) outs(%y : memref<700x100xf32>) permutation = [1, 0]
  linalg.transpose ins(%few : memref<100x4xf32>) outs(%turned : memref<4x100xf32>) permutation = [1, 0]
  return
}

// -----

// Parallel loops are grids; a loop whose trips depend on each other is a kernel of one thread.

// CHECK-LABEL: func.func @loops
// CHECK: gpu.launch
// CHECK: memref.store
// CHECK: gpu.launch
// CHECK-SAME: threads({{.*}}) in ({{.*}} = %c1{{.*}}, {{.*}} = %c1{{.*}}, {{.*}} = %c1
// CHECK: memref.load
func.func @loops(%x: memref<100xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %one = arith.constant 1.0 : f32
  scf.parallel (%i) = (%c0) to (%c100) step (%c1) {
    memref.store %one, %x[%i] : memref<100xf32>
  }
  scf.for %i = %c1 to %c100 step %c1 {
    %before = arith.subi %i, %c1 : index
    %a = memref.load %x[%before] : memref<100xf32>
    %b = memref.load %x[%i] : memref<100xf32>
    %s = arith.addf %a, %b : f32
    memref.store %s, %x[%i] : memref<100xf32>
  }
  return
}

// -----

// Copies between layouts are kernels.

// CHECK-LABEL: func.func @strided_copy
// CHECK-NOT: memref.copy
// CHECK: gpu.launch
func.func @strided_copy(%x: memref<8x4xf32, strided<[16, 2]>>, %y: memref<8x4xf32>) {
  memref.copy %x, %y : memref<8x4xf32, strided<[16, 2]>> to memref<8x4xf32>
  return
}

// -----

// A softmax is one kernel: its row is read three times and written once, nothing else reaches memory.

// CHECK-LABEL: func.func @softmax
// CHECK: gpu.launch
// CHECK: scf.for
// CHECK: arith.maximumf
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: scf.for
// CHECK: math.exp
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: scf.for
// CHECK: math.exp
// CHECK: arith.divf
// CHECK: memref.store
// CHECK-NOT: memref.store
// CHECK: return
func.func @softmax(%x: memref<64x100xf32>, %y: memref<64x100xf32>) {
  %lowest = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %m = memref.alloc() : memref<64xf32>
  %s = memref.alloc() : memref<64xf32>
  %e = memref.alloc() : memref<64x100xf32>
  linalg.generic {indexing_maps = [affine_map<(r) -> ()>, affine_map<(r) -> (r)>], iterator_types = ["parallel"]}
      ins(%lowest : f32) outs(%m : memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  }
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x100xf32>) outs(%m : memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r, c)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%x, %m : memref<64x100xf32>, memref<64xf32>) outs(%e : memref<64x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.subf %a, %b : f32
    %u = math.exp %t : f32
    linalg.yield %u : f32
  }
  linalg.generic {indexing_maps = [affine_map<(r) -> ()>, affine_map<(r) -> (r)>], iterator_types = ["parallel"]}
      ins(%zero : f32) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  }
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<64x100xf32>) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  }
  linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r, c)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%e, %s : memref<64x100xf32>, memref<64xf32>) outs(%y : memref<64x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.divf %a, %b : f32
    linalg.yield %t : f32
  }
  return
}
