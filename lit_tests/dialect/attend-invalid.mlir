// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @batch(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{'pit.attend' op attribute 'batch' = -1 must not be negative}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = -1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @map_rank(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{has 2 results for tensor<2x5x3xf32>}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @map_iterators(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{is over 4 of 5 iterators}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @not_a_selection(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{must select iterators}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q + 1, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @repeats(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{repeats an iterator}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (d, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @result(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{result tensor<2x5x8xf32> must have the type of init tensor<2x5x7xf32>}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x8xf32>
  return
}

// -----

func.func @score(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{body takes ['f64'], expected ['f32']}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f64):
    "pit.yield"(%s) : (f64) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @no_index(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{has segments [0] and compact operands [] but no index}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64: 0>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @index_size(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{index over 2 coordinates does not fit 0 segment iterators and one axis}}
  %r = "pit.attend"(%q, %k, %v, %o, %I) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>, !pit.index) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @segments(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'segments' = [1] names a dimension outside rank 1}}
  %r = "pit.attend"(%q, %k, %v, %o, %I) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64: 1>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>, !pit.index) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @guarded(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{attribute 'guarded' must be a unit, got 1 : i64}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>], guarded = 1 : i64} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @element(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{outside batch, q and k}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    %m0 = "pit.element"(%q) {map = affine_map<(b, q, k, d, e) -> (b, q, d)>, compact = false} : (tensor<2x5x3xf32>) -> f32
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>]} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @lowest_without_keys(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>, %n: index, %p: tensor<2x5x6xi1>) {
  // expected-error@+1 {{has attribute 'lowest' but no attribute 'keys'}}
  %r = "pit.attend"(%q, %k, %v, %o) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>], lowest} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @keys_iterators(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>, %n: index, %p: tensor<2x5x6xi1>) {
  %K = "pit.block_mask"(%n, %n, %n) ({
    %live = "pit.element"(%p) {map = affine_map<(b, q, k) -> (b, q, k)>, compact = false} : (tensor<2x5x6xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 3, 0>} : (index, index, index) -> !pit.index
  // expected-error@+1 {{attribute 'keys' = [1] names a dimension outside rank 1}}
  %r = "pit.attend"(%q, %k, %v, %o, %K) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>], keys = array<i64: 1>} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>, !pit.index) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @keys_size(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>, %n: index, %p: tensor<2x5x6xi1>) {
  %K = "pit.block_mask"(%n, %n, %n) ({
    %live = "pit.element"(%p) {map = affine_map<(b, q, k) -> (b, q, k)>, compact = false} : (tensor<2x5x6xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 3, 0>} : (index, index, index) -> !pit.index
  // expected-error@+1 {{index of keys made by pit.block_mask over 3 iterators does not fit [] and queries and keys}}
  %r = "pit.attend"(%q, %k, %v, %o, %K) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>], keys = array<i64>} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>, !pit.index) -> tensor<2x5x7xf32>
  return
}

// -----

func.func @keys_maker(%q: tensor<2x5x3xf32>, %k: tensor<2x6x3xf32>, %v: tensor<2x6x7xf32>, %o: tensor<2x5x7xf32>, %m: tensor<4x8xi1>, %n: index, %p: tensor<2x5x6xi1>) {
  %K = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{index of keys made by pit.detect over None iterators does not fit [0] and queries and keys}}
  %r = "pit.attend"(%q, %k, %v, %o, %K) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [affine_map<(b, q, k, d, e) -> (b, q, d)>, affine_map<(b, q, k, d, e) -> (b, k, d)>, affine_map<(b, q, k, d, e) -> (b, k, e)>, affine_map<(b, q, k, d, e) -> (b, q, e)>], keys = array<i64: 0>} : (tensor<2x5x3xf32>, tensor<2x6x3xf32>, tensor<2x6x7xf32>, tensor<2x5x7xf32>, !pit.index) -> tensor<2x5x7xf32>
  return
}
