// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @no_axis(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'pit.detect' op requires attribute 'axis'}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @no_micro_tile(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{'pit.detect' op requires attribute 'micro_tile'}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @wrong_kind(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'axis' must be array<i64>, got 1 : i64}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = 1 : i64, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @outside_rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'axis' = [2] names a dimension outside rank 2}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 2>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @negative(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'segments' = [-1] names a dimension outside rank 2}}
  %I = "pit.detect"(%x) {segments = array<i64: -1>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @empty_axis(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'axis' must name at least one dimension}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @repeated(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'axis' = [1, 1] repeats a dimension}}
  %I = "pit.detect"(%x) {segments = array<i64>, axis = array<i64: 1, 1>, block = array<i64>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @shared(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{dimensions [1] are both in 'segments' and in 'axis'}}
  %I = "pit.detect"(%x) {segments = array<i64: 1>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @block_count(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'block' has 2 entries for 1 segment dimensions}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1, 2>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @block_negative(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'block' = [-3] must not be negative}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: -3>, micro_tile = 1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @micro_tile_negative(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'micro_tile' = -1 must not be negative}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = -1 : i64} : (tensor<4x8xf32>) -> !pit.index
  return
}

// -----

func.func @not_a_tensor(%x: f32) {
  // expected-error@+1 {{'pit.detect' op is malformed: Cannot cast type to RankedTensorType (from Type(f32))}}
  %I = "pit.detect"(%x) {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (f32) -> !pit.index
  return
}

// -----

func.func @no_operand() {
  // expected-error@+1 {{'pit.detect' op is malformed}}
  %I = "pit.detect"() {segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : () -> !pit.index
  return
}

// -----

func.func @no_values(%x: tensor<4xi64>) {
  // expected-error@+1 {{attribute 'values' = 0 must be positive}}
  %I = "pit.detect"(%x) {values = 0 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4xi64>) -> !pit.index
  return
}

// -----

func.func @float_keys(%x: tensor<4xf32>) {
  // expected-error@+1 {{attribute 'values' needs keys, integers of more than one bit, got f32}}
  %I = "pit.detect"(%x) {values = 3 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4xf32>) -> !pit.index
  return
}

// -----

func.func @segments_of_keys(%x: tensor<4x5xi64>) {
  // expected-error@+1 {{attribute 'values' makes the segments, 'segments' = [0] must be empty}}
  %I = "pit.detect"(%x) {values = 3 : i64, segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x5xi64>) -> !pit.index
  return
}

// -----

func.func @block_of_keys(%x: tensor<4xi64>) {
  // expected-error@+1 {{attribute 'block' = [] must be [1], for the segments of values}}
  %I = "pit.detect"(%x) {values = 3 : i64, segments = array<i64>, axis = array<i64: 0>, block = array<i64>, micro_tile = 1 : i64} : (tensor<4xi64>) -> !pit.index
  return
}
