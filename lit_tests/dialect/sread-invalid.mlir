// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @no_group(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{'pit.sread' op requires attribute 'group'}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return
}

// -----

func.func @outside_rank(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'axis' = [0, 3] names a dimension outside rank 3}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 3>, group = array<i64: 0, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return
}

// -----

func.func @empty_axis(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'axis' must name at least one dimension}}
  %r = "pit.sread"(%x, %I) {axis = array<i64>, group = array<i64>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return
}

// -----

func.func @lengths(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'axis' has 2 dimensions but 'group' has 1 coordinates}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return
}

// -----

func.func @outside_group(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [2] names a dimension outside rank 2}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 2>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x8x16xf32>
  return
}

// -----

func.func @repeats(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [1, 1] repeats a dimension}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 1, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf32>
  return
}

// -----

func.func @shape(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{reads tensor<4x8x16xf32> along [0, 1]: expected result tensor<?x16xf32>, got tensor<?x17xf32>}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x17xf32>
  return
}

// -----

func.func @element_type(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{expected result tensor<?x16xf32>, got tensor<?x16xf64>}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x16xf64>
  return
}

// -----

func.func @static_rows(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{expected result tensor<?x16xf32>, got tensor<32x16xf32>}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<32x16xf32>
  return
}

// -----

func.func @place_of_rows(%x: tensor<4x8x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{expected result tensor<4x?x16xf32>, got tensor<?x4x16xf32>}}
  %r = "pit.sread"(%x, %I) {axis = array<i64: 1>, group = array<i64: 1>} : (tensor<4x8x16xf32>, !pit.index) -> tensor<?x4x16xf32>
  return
}
