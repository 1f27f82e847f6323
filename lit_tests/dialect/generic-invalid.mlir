// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @no_maps(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{'pit.generic' op requires attribute 'indexing_maps'}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @no_iterators(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{'pit.generic' op requires attribute 'iterator_types'}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @no_compact(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{'pit.generic' op requires attribute 'compact'}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @compact_kind(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'compact' must be a boolean, got 1 : i64}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = 1 : i64} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @map_count(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{has 2 indexing maps for 1 tensors}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @map_iterators(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{is over 2 of 3 iterators}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @map_rank(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{has 1 results for tensor<4x16xf32>}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @group_outside(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [0, 3] names a dimension outside rank 3}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 3>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @group_size(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [0] has 1 iterators for an index over 2 coordinates}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @result(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{results ['tensor<4x17xf32>'] must have the types of the outputs ['tensor<4x16xf32>']}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x17xf32>
  return
}

// -----

func.func @body_arguments(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{body takes ['f64'], expected ['f32']}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f64):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @rows_without_group(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{must name them as iterator d0 and no other of group [0, 1]}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 1>, compact = true} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @element_iterators(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{reads tensor<4x8xf32> through a map over 2 of 3 iterators}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @element_rows(%a: tensor<4x8xf32>, %init: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{must name them as iterator d0 and no other of group [0, 2]}}
  %c = "pit.generic"(%init, %I) ({
  ^bb0(%acc: f32):
    %x = "pit.element"(%a) {map = affine_map<(m, n, k) -> (m, k)>, compact = true} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%x) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @element_map(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{'pit.element' op requires attribute 'map'}}
  %x = "pit.element"(%a) {compact = false} : (tensor<4x8xf32>) -> f32
  return
}

// -----

func.func @element_map_kind(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{attribute 'map' has the wrong kind: 1 : i64}}
  %x = "pit.element"(%a) {map = 1 : i64, compact = false} : (tensor<4x8xf32>) -> f32
  return
}

// -----

func.func @element_compact(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{requires attribute 'compact'}}
  %x = "pit.element"(%a) {map = affine_map<(m, k) -> (m, k)>} : (tensor<4x8xf32>) -> f32
  return
}

// -----

func.func @element_rank(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{has 1 results for tensor<4x8xf32>}}
  %x = "pit.element"(%a) {map = affine_map<(m, k) -> (m)>, compact = false} : (tensor<4x8xf32>) -> f32
  return
}

// -----

func.func @element_symbols(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{has 2 results for tensor<4x8xf32>}}
  %x = "pit.element"(%a) {map = affine_map<(m, k)[s] -> (m, s)>, compact = false} : (tensor<4x8xf32>) -> f32
  return
}

// -----

func.func @element_source(%a: f32) {
  // expected-error@+1 {{source must be a ranked tensor, got f32}}
  %x = "pit.element"(%a) {map = affine_map<() -> ()>, compact = false} : (f32) -> f32
  return
}

// -----

func.func @element_type(%a: tensor<4x8xf32>) {
  // expected-error@+1 {{result must be f32, the element of tensor<4x8xf32>, got f64}}
  %x = "pit.element"(%a) {map = affine_map<(m, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f64
  return
}
