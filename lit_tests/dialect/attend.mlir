// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s

#q = affine_map<(b, h, q, k, d, e) -> (b, h, q, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, h, k, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, h, k, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, h, q, e)>

// Dense, with an additive mask; the body may be anything on the score.
// CHECK-LABEL: func.func @dense
// CHECK:         "pit.attend"(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) ({
// CHECK:           "pit.element"
// CHECK:         batch = 2 : i64, compact = array<i64>
// CHECK-SAME:    segments = array<i64>
func.func @dense(%query: tensor<16x12x128x64xf32>, %key: tensor<16x12x128x64xf32>, %value: tensor<16x12x128x64xf32>, %init: tensor<16x12x128x64xf32>, %mask: tensor<16x128xf32>) -> tensor<16x12x128x64xf32> {
  %o = "pit.attend"(%query, %key, %value, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = affine_map<(b, h, q, k, d, e) -> (b, k)>, compact = false} : (tensor<16x128xf32>) -> f32
    %y = arith.addf %s, %m : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<16x12x128x64xf32>, tensor<16x12x128x64xf32>, tensor<16x12x128x64xf32>, tensor<16x12x128x64xf32>) -> tensor<16x12x128x64xf32>
  return %o : tensor<16x12x128x64xf32>
}

// Ragged rows in, ragged rows out; a guarded softmax gives 0 where torch's does.
// CHECK-LABEL: func.func @ragged
// CHECK:         compact = array<i64: 0, 1, 2, 3>, guarded
func.func @ragged(%query: tensor<?x12x64xf32>, %key: tensor<?x12x64xf32>, %value: tensor<?x12x64xf32>, %init: tensor<?x12x64xf32>, %mask: tensor<16x128xi1>) -> tensor<?x12x64xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<16x128xi1>) -> !pit.index
  %o = "pit.attend"(%query, %key, %value, %init, %I) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64: 0>, compact = array<i64: 0, 1, 2, 3>, guarded,
      indexing_maps = [affine_map<(b, h, q, k, d, e) -> (q, h, d)>, affine_map<(b, h, q, k, d, e) -> (k, h, d)>,
                       affine_map<(b, h, q, k, d, e) -> (k, h, e)>, affine_map<(b, h, q, k, d, e) -> (q, h, e)>]}
      : (tensor<?x12x64xf32>, tensor<?x12x64xf32>, tensor<?x12x64xf32>, tensor<?x12x64xf32>, !pit.index) -> tensor<?x12x64xf32>
  return %o : tensor<?x12x64xf32>
}
