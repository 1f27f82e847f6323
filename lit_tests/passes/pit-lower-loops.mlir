// RUN: pit-mlir-opt %s --pit-lower-loops --canonicalize --cse | filecheck %s

// Rows in parallel chunks, the sum of a row in a register, in any order.

// CHECK-LABEL: func.func @row_sums
// CHECK-SAME: (%[[X:.*]]: memref<4x?xf32>, %[[Y:.*]]: memref<4xf32>)
// CHECK: scf.parallel
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[START:.*]] = memref.load %[[Y]][%[[I]]]
// CHECK: %[[SUM:.*]] = scf.for %[[J:.*]] = {{.*}} iter_args(%[[ACC:.*]] = %[[START]])
// CHECK: %[[V:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
// CHECK: arith.addf %[[ACC]], %[[V]] fastmath<reassoc,contract>
// CHECK: memref.store %[[SUM]], %[[Y]][%[[I]]]
func.func @row_sums(%x: memref<4x?xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x: memref<4x?xf32>) outs(%y: memref<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %o, %a : f32
    linalg.yield %q : f32
  }
  return
}

// Little work, one loop: contiguous iterators become one.

// CHECK-LABEL: func.func @small
// CHECK-NOT: scf.parallel
// CHECK: memref.collapse_shape %{{.*}} {{\[\[}}0, 1]] : memref<3x5xf32> into memref<15xf32>
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: return
func.func @small(%x: memref<3x5xf32>, %y: memref<3x5xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x: memref<3x5xf32>) outs(%y: memref<3x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %a, %a : f32
    linalg.yield %q : f32
  }
  return
}

// A sum and what divides by it go through the rows together.

// CHECK-LABEL: func.func @rows_together
// CHECK: scf.parallel
// CHECK-NOT: scf.parallel
// CHECK: arith.addf
// CHECK: arith.divf
// CHECK: return
func.func @rows_together(%x: memref<64x100xf32>, %s: memref<64xf32>, %y: memref<64x100xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "reduction"]} ins(%x: memref<64x100xf32>) outs(%s: memref<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %o, %a : f32
    linalg.yield %q : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %s: memref<64x100xf32>, memref<64xf32>) outs(%y: memref<64x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %q = arith.divf %a, %b : f32
    linalg.yield %q : f32
  }
  return
}

// The second reads rows that the first has not written yet: two loops.

// CHECK-LABEL: func.func @rows_apart
// CHECK: arith.addf
// CHECK: scf.for
// CHECK: arith.divf
// CHECK: return
func.func @rows_apart(%x: memref<64x64xf32>, %t: memref<64x64xf32>, %y: memref<64x64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x: memref<64x64xf32>) outs(%t: memref<64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %a, %a : f32
    linalg.yield %q : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%t: memref<64x64xf32>) outs(%y: memref<64x64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.divf %a, %a : f32
    linalg.yield %q : f32
  }
  return
}

// Sizes that only the call knows are compared; where they differ there are no trips.

// CHECK-LABEL: func.func @unknown_sizes
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: func.call @pit_check_failed
// CHECK: arith.select %[[SAME]], %{{.*}}, %c0
func.func @unknown_sizes(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]} ins(%x: memref<?xf32>) outs(%y: memref<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  }
  return
}

// What passes from one to the other has room for one row; what is returned stays.

// CHECK-LABEL: func.func @passing_row
// CHECK-NOT: memref.alloc()
// CHECK: scf.parallel
// CHECK: %[[ROOM:.*]] = memref.alloca() {{.*}} : memref<100xf32>
// CHECK: memref.reinterpret_cast %[[ROOM]] to offset: [0], sizes: [1, 100], strides: [0, 1]
// CHECK: return
// CHECK-LABEL: func.func @row_that_stays
// CHECK: memref.alloc()
// CHECK-NOT: memref.alloca
// CHECK: return
func.func @passing_row(%x: memref<64x100xf32>, %y: memref<64x100xf32>) {
  %t = memref.alloc() : memref<64x100xf32>
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x: memref<64x100xf32>) outs(%t: memref<64x100xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = math.exp %a : f32
    linalg.yield %q : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%t: memref<64x100xf32>) outs(%y: memref<64x100xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %a, %a : f32
    linalg.yield %q : f32
  }
  return
}
func.func @row_that_stays(%x: memref<64x100xf32>, %y: memref<64x100xf32>) -> memref<64x100xf32> {
  %t = memref.alloc() : memref<64x100xf32>
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x: memref<64x100xf32>) outs(%t: memref<64x100xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = math.exp %a : f32
    linalg.yield %q : f32
  }
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%t: memref<64x100xf32>) outs(%y: memref<64x100xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.addf %a, %a : f32
    linalg.yield %q : f32
  }
  return %t : memref<64x100xf32>
}

// Windows with few terms: a vector of two rows at once, each sum in a register; what both rows read is loaded once.

// CHECK-LABEL: func.func @windows
// CHECK-SAME: (%[[X:.*]]: memref<1x3x32xf32>, %[[W:.*]]: memref<1x2xf32>, %[[Y:.*]]: memref<1x2x32xf32>)
// CHECK: scf.for
// CHECK-COUNT-2: vector.load %[[Y]]
// CHECK-COUNT-3: vector.load %[[X]]
// CHECK-NOT: vector.load
// CHECK: vector.store
// CHECK: vector.store
func.func @windows(%x: memref<1x3x32xf32>, %w: memref<1x2xf32>, %y: memref<1x2x32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(c, y, x, i) -> (c, y + i, x)>, affine_map<(c, y, x, i) -> (c, i)>,
      affine_map<(c, y, x, i) -> (c, y, x)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w: memref<1x3x32xf32>, memref<1x2xf32>) outs(%y: memref<1x2x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  }
  return
}
