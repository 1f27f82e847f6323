// RUN: pit-mlir-opt %s --pit-select-tiles | filecheck %s

#kinds = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]
#id = affine_map<(r, h) -> (r, h)>

// Slices of columns are contractions of slices of the weight, which take in what is done with them.
// CHECK-LABEL: func.func @halves
// CHECK-DAG: %[[UP:.*]] = tensor.extract_slice %arg1[0, 32, 0] [4, 32, 16] [1, 1, 1]
// CHECK-DAG: %[[GATE:.*]] = tensor.extract_slice %arg1[0, 0, 0] [4, 32, 16] [1, 1, 1]
// CHECK: %[[RESULT:.*]] = "pit.contract"
// CHECK: "pit.element"(%[[UP]])
// CHECK: "pit.contract"
// CHECK: "pit.element"(%[[GATE]])
// CHECK: ^bb0
// CHECK: "pit.element"(%[[RESULT]])
// CHECK: arith.mulf
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @halves(%x: tensor<8x16xf32>, %w: tensor<4x64x16xf32>, %m: tensor<8x4xf32>) -> tensor<?x32xf32> {
  %I = "pit.detect"(%m) {segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<8x4xf32>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%n) : tensor<?x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x64xf32>) -> tensor<?x64xf32>
  %h = "pit.generic"(%zeros, %I) ({
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {map = affine_map<(e, t, h, d) -> (t, d)>, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(e, t, h, d) -> (e, h, d)>, compact = false} : (tensor<4x64x16xf32>) -> f32
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(e, t, h, d) -> (e, h)>], iterator_types = #kinds, group = array<i64: 0, 1>, compact = true} : (tensor<?x64xf32>, !pit.index) -> tensor<?x64xf32>
  %gate = tensor.extract_slice %h[0, 0] [%n, 32] [1, 1] : tensor<?x64xf32> to tensor<?x32xf32>
  %up = tensor.extract_slice %h[0, 32] [%n, 32] [1, 1] : tensor<?x64xf32> to tensor<?x32xf32>
  %out = tensor.empty(%n) : tensor<?x32xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%gate, %up : tensor<?x32xf32>, tensor<?x32xf32>) outs(%out : tensor<?x32xf32>) {
  ^bb0(%g: f32, %u: f32, %o: f32):
    %p = arith.mulf %g, %u : f32
    linalg.yield %p : f32
  } -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Not all that reads the result is a slice of columns.
// CHECK-LABEL: func.func @read_as_a_whole
// CHECK: "pit.contract"
// CHECK-NOT: "pit.contract"
// CHECK: return
func.func @read_as_a_whole(%x: tensor<8x16xf32>, %w: tensor<4x64x16xf32>, %m: tensor<8x4xf32>) -> (tensor<?x32xf32>, tensor<?x64xf32>) {
  %I = "pit.detect"(%m) {segments = array<i64: 1>, axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<8x4xf32>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty(%n) : tensor<?x64xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x64xf32>) -> tensor<?x64xf32>
  %h = "pit.generic"(%zeros, %I) ({
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {map = affine_map<(e, t, h, d) -> (t, d)>, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(e, t, h, d) -> (e, h, d)>, compact = false} : (tensor<4x64x16xf32>) -> f32
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [affine_map<(e, t, h, d) -> (e, h)>], iterator_types = #kinds, group = array<i64: 0, 1>, compact = true} : (tensor<?x64xf32>, !pit.index) -> tensor<?x64xf32>
  %gate = tensor.extract_slice %h[0, 0] [%n, 32] [1, 1] : tensor<?x64xf32> to tensor<?x32xf32>
  return %gate, %h : tensor<?x32xf32>, tensor<?x64xf32>
}
