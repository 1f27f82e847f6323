// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse | filecheck %s --check-prefix=CSE
// RUN: pit-mlir-opt %s --canonicalize | filecheck %s --check-prefix=DEAD

// CHECK-LABEL: func.func @tokens
// CHECK-SAME:    %[[MASK:.*]]: tensor<?x?xi1>) -> !pit.index
// CHECK:         %[[I:.*]] = "pit.detect"(%[[MASK]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>} : (tensor<?x?xi1>) -> !pit.index
// CHECK:         return %[[I]] : !pit.index
func.func @tokens(%mask: tensor<?x?xi1>) -> !pit.index {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?x?xi1>) -> !pit.index
  return %I : !pit.index
}

// No segments: one list. Blocks and micro-tiles of 0 are not chosen yet.
// CHECK-LABEL: func.func @one_list
// CHECK:         axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64, segments = array<i64>
func.func @one_list(%x: tensor<16x4xf32>) -> !pit.index {
  %I = "pit.detect"(%x) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64} : (tensor<16x4xf32>) -> !pit.index
  return %I : !pit.index
}

// By key: one pass over the numbers of experts that tokens chose lists the tokens of each. A place of one key is listed
// once, so rows may be stored by the place alone.
// CHECK-LABEL: func.func @keys
// CHECK:         axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64>, values = 8 : i64
// CHECK:         "pit.swrite"(%{{.*}}, %{{.*}}, %{{.*}}) {axis = array<i64: 0>, combine = "store", group = array<i64: 1>}
func.func @keys(%chosen: tensor<?xi64>, %v: tensor<?x4xf32>, %c: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %I = "pit.detect"(%chosen) {values = 8 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?xi64>) -> !pit.index
  %y = "pit.swrite"(%v, %c, %I) {axis = array<i64: 0>, group = array<i64: 1>, combine = "store"} : (tensor<?x4xf32>, tensor<?x4xf32>, !pit.index) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Equal detects are one, a detect that nobody reads goes.
// CSE-LABEL:  func.func @twice
// CSE:          %[[I:.*]] = "pit.detect"
// CSE-NOT:      "pit.detect"
// CSE:          return %[[I]], %[[I]]
// DEAD-LABEL: func.func @dead
// DEAD-NOT:     "pit.detect"
func.func @twice(%m: tensor<8xi32>) -> (!pit.index, !pit.index) {
  %I = "pit.detect"(%m) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<8xi32>) -> !pit.index
  %J = "pit.detect"(%m) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<8xi32>) -> !pit.index
  return %I, %J : !pit.index, !pit.index
}

func.func @dead(%m: tensor<8xi32>) {
  %I = "pit.detect"(%m) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<8xi32>) -> !pit.index
  return
}
