// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @negative(%E: !pit.index) {
  // expected-error@+1 {{attribute 'number' = -1 must not be negative}}
  %I = "pit.segment"(%E) {number = -1 : i64} : (!pit.index) -> !pit.index
  return
}

// -----

func.func @none_of_them(%chosen: tensor<?xi64>) {
  %E = "pit.detect"(%chosen) {values = 4 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?xi64>) -> !pit.index
  // expected-error@+1 {{attribute 'number' = 4 is none of 4 segments}}
  %I = "pit.segment"(%E) {number = 4 : i64} : (!pit.index) -> !pit.index
  return
}

// -----

func.func @no_segments(%chosen: tensor<?xi64>, %x: tensor<?x8xf32>) {
  %E = "pit.detect"(%chosen) {values = 4 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?xi64>) -> !pit.index
  %I = "pit.segment"(%E) {number = 1 : i64} : (!pit.index) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [1] names a dimension outside rank 1}}
  %rows = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return
}
