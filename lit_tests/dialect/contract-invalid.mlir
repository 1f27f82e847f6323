// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @combine(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{attribute 'combine' must be one of ['store', 'add'], got "max"}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "max"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @no_combine(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{'pit.contract' op requires attribute 'combine'}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @map_of_result(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{of the result must select iterators}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m + 1, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @result(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{result tensor<4x17xf32> must have the type of init tensor<4x16xf32>}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x17xf32>
  return
}

// -----

func.func @no_index(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{has group [0] and block [] but no index}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @group_size(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'group' = [0] has 1 iterators for an index over 2 coordinates}}
  %y = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @block(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x8xi1>) -> !pit.index
  // expected-error@+1 {{attribute 'block' = [1, 1] must give a size that is not negative for each segment of group [0, 2]}}
  %y = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, block = array<i64: 1, 1>, compact = false, combine = "store"} : (tensor<4x16xf32>, !pit.index) -> tensor<4x16xf32>
  return
}

// -----

func.func @tile(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{attribute 'tile' = [12, 0, 64] must be rows, vectors and depth, all positive}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store", tile = array<i64: 12, 0, 64>} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @factors(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{region 'product' takes nothing and yields two factors of one type or more, got ['f32']}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a) : (f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @epilogue(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{region 'epilogue' takes ['f64'], expected ['f32']}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f64):
    "pit.yield"(%s) : (f64) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @epilogue_reads(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{the epilogue reads tensor<4x8xf32> along a reduction}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    %c = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = false, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}

// -----

func.func @rows_without_index(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %o: tensor<4x16xf32>, %m: tensor<4x8xi1>) {
  // expected-error@+1 {{is of compact rows, but there is no index}}
  %y = "pit.contract"(%o) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<4x8xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<16x8xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>], group = array<i64>, block = array<i64>, compact = true, combine = "store"} : (tensor<4x16xf32>) -> tensor<4x16xf32>
  return
}
