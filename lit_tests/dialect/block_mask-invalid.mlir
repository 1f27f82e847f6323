// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @one_size(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{takes the sizes of queries and keys, got 1 sizes}}
  %K = "pit.block_mask"(%n) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 1, 0>} : (index) -> !pit.index
  return
}

// -----

func.func @size_type(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{a size must be an index, got i64}}
  %K = "pit.block_mask"(%n, %x) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, i64) -> !pit.index
  return
}

// -----

func.func @block(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{attribute 'block' = [64, 0] must be two lengths above 0}}
  %K = "pit.block_mask"(%n, %n) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 0>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  return
}

// -----

func.func @segments(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{attribute 'segments' = [0] names a dimension outside rank 0}}
  %K = "pit.block_mask"(%n, %n) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64: 0>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  return
}

// -----

func.func @no_index(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{has segments [0] of rows but no index}}
  %K = "pit.block_mask"(%n, %n, %n) ({
    %live = "pit.element"(%m) {map = affine_map<(b, q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64: 0>, operandSegmentSizes = array<i32: 3, 0>} : (index, index, index) -> !pit.index
  return
}

// -----

func.func @index_size(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?x?xi1>) -> !pit.index
  // expected-error@+1 {{index over 2 coordinates does not fit 0 segment iterators and one axis}}
  %K = "pit.block_mask"(%n, %n, %I) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 1>} : (index, index, !pit.index) -> !pit.index
  return
}

// -----

func.func @yields(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{body yields ['f32'], expected ['i1']}}
  %K = "pit.block_mask"(%n, %n) ({
    %f = arith.constant 0.0 : f32
    "pit.yield"(%f) : (f32) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  return
}

// -----

func.func @map(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{must select iterators}}
  %K = "pit.block_mask"(%n, %n) ({
    %live = "pit.element"(%m) {map = affine_map<(q, k) -> (q, k + 1)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  return
}

// -----

func.func @iterators(%n: index, %x: i64, %m: tensor<?x?xi1>) {
  // expected-error@+1 {{over 3 of 2 iterators}}
  %K = "pit.block_mask"(%n, %n) ({
    %live = "pit.element"(%m) {map = affine_map<(b, q, k) -> (q, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  return
}
