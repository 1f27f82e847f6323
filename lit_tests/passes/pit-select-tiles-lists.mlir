// RUN: pit-mlir-opt %s --pit-select-tiles | filecheck %s
// RUN: pit-mlir-opt %s --pit-select-tiles 2>&1 | filecheck %s --check-prefix=REMARK
// RUN: pit-mlir-opt %s -p 'pit-select-tiles{choice=16x1}' | filecheck %s --check-prefix=ONE
// RUN: pit-mlir-opt %s -p 'pit-select-tiles{choice=1x64}' | filecheck %s --check-prefix=PARTS
// RUN: pit-mlir-opt %s -p 'pit-select-tiles{choice=dense}' | filecheck %s --check-prefix=DENSE
// RUN: pit-mlir-opt %s -p 'pit-select-tiles{chip=sm_80}' | filecheck %s --check-prefix=CHIP

// Blocks of 64 rows are open: lists for micro-tiles of 8, 16 and 32 rows are offered, and lists of rows for each 64 steps
// of the depth, and counted in each call.

// REMARK: remark: each call counts the live micro-tiles 8x1, 16x1, 1x64, 32x1, and follows the list that costs least, or none
// CHECK-LABEL: func.func @open
// CHECK-DAG: %[[A:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 8>
// CHECK-DAG: %[[B:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 16>
// CHECK-DAG: %[[C:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 32>
// CHECK-DAG: %[[D:.*]] = "pit.detect"(%arg0) {axis = array<i64: 0>, block = array<i64: 64>, micro_tile = 64 : i64, segments = array<i64: 1>}
// CHECK: "pit.contract"(%arg2, %[[A]], %[[B]], %[[D]], %[[C]])
// CHECK: alternatives = [{block = array<i64: 16>, group = array<i64: 0, 2>}, {block = array<i64: 64>, group = array<i64: 2, 0>}, {block = array<i64: 32>, group = array<i64: 0, 2>}]
// CHECK-SAME: block = array<i64: 8>

// The kernels of a GPU decide for themselves whether they follow the one list that there is.
// CHIP-LABEL: func.func @open
// CHIP: %[[C:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 32>
// CHIP: "pit.contract"(%arg2, %[[C]])
// CHIP-NOT: alternatives
// CHIP: block = array<i64: 32>

// ONE-LABEL: func.func @open
// ONE: %[[B:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 16>
// ONE: "pit.contract"(%arg2, %[[B]])
// ONE: always, block = array<i64: 16>

// PARTS-LABEL: func.func @open
// PARTS: %[[D:.*]] = "pit.detect"(%arg0) {axis = array<i64: 0>, block = array<i64: 64>
// PARTS: "pit.contract"(%arg2, %[[D]])
// PARTS: always, block = array<i64: 64>
// PARTS-SAME: group = array<i64: 2, 0>

// DENSE-LABEL: func.func @open
// DENSE: "pit.contract"(%arg2)
// DENSE: block = array<i64>
func.func @open(%a: tensor<64x100xf32>, %b: tensor<100x48xf32>, %c: tensor<64x48xf32>) -> tensor<64x48xf32> {
  %I = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<64x100xf32>) -> !pit.index
  %r = "pit.generic"(%c, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<64x100xf32>) -> f32
    %y = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<100x48xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, compact = false} : (tensor<64x48xf32>, !pit.index) -> tensor<64x48xf32>
  return %r : tensor<64x48xf32>
}

// Blocks that were given are kept, and so is the one list.

// CHECK-LABEL: func.func @given
// CHECK: %[[I:.*]] = "pit.detect"(%arg0) {axis = array<i64: 1>, block = array<i64: 32>
// CHECK-NOT: "pit.detect"
// CHECK: "pit.contract"(%arg2, %[[I]])
func.func @given(%a: tensor<64x100xf32>, %b: tensor<100x48xf32>, %c: tensor<64x48xf32>) -> tensor<64x48xf32> {
  %I = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 32>, micro_tile = 0 : i64}
      : (tensor<64x100xf32>) -> !pit.index
  %r = "pit.generic"(%c, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<64x100xf32>) -> f32
    %y = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<100x48xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, compact = false} : (tensor<64x48xf32>, !pit.index) -> tensor<64x48xf32>
  return %r : tensor<64x48xf32>
}

// A depth of one part has no list of rows for each part: what is left are rows that are not zero throughout.

// CHECK-LABEL: func.func @short
// CHECK-COUNT-3: "pit.detect"(%arg0) {axis = array<i64: 1>
// CHECK-NOT: "pit.detect"
// CHECK: "pit.contract"
func.func @short(%a: tensor<64x64xf32>, %b: tensor<64x48xf32>, %c: tensor<64x48xf32>) -> tensor<64x48xf32> {
  %I = "pit.detect"(%a) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<64x64xf32>) -> !pit.index
  %r = "pit.generic"(%c, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<64x64xf32>) -> f32
    %y = "pit.element"(%b) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x48xf32>) -> f32
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>],
      iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>],
      group = array<i64: 0, 2>, compact = false} : (tensor<64x48xf32>, !pit.index) -> tensor<64x48xf32>
  return %r : tensor<64x48xf32>
}
