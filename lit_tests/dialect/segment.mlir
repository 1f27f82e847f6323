// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --split-input-file --cse | filecheck %s

// CHECK-LABEL: func.func @third
// CHECK: %[[E:.*]] = "pit.detect"
// CHECK: %[[I:.*]] = "pit.segment"(%[[E]]) {number = 2 : i64} : (!pit.index) -> !pit.index
// CHECK: "pit.sread"(%{{.*}}, %[[I]]) {axis = array<i64: 0>, group = array<i64: 0>}
func.func @third(%chosen: tensor<?x2xi64>, %x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %E = "pit.detect"(%chosen) {values = 4 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?x2xi64>) -> !pit.index
  %I = "pit.segment"(%E) {number = 2 : i64} : (!pit.index) -> !pit.index
  %rows = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 0>} : (tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return %rows : tensor<?x8xf32>
}
