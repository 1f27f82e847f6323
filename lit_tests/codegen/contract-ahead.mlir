// RUN: pit-mlir-opt %s --pit-lower-to-cpu | filecheck %s

#kinds = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]

// What is packed next is asked for while the micro-kernel multiplies: 8 pairs of lines for each column and 256 steps.
// CHECK: func.func private @pit_micro_dense_f32_[[SHAPE:[0-9xp]+]]_asks_f32_8(
// CHECK: scf.for
// CHECK: memref.prefetch {{.*}}, read, locality<2>, data
// CHECK: memref.prefetch {{.*}}, read, locality<2>, data
// CHECK: vector.fma
// In the steps after those, nothing is.
// CHECK: scf.for
// CHECK-NOT: locality<2>
// CHECK: return
// CHECK-LABEL: func.func @live
func.func @live(%x: tensor<64x512xf32>, %w: tensor<512x512xf32>, %init: tensor<64x512xf32>) -> tensor<64x512xf32> {
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = affine_map<(m, n, k) -> (m, k)>, compact = false} : (tensor<64x512xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (n, k)>, compact = false} : (tensor<512x512xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [affine_map<(m, n, k) -> (m, n)>], iterator_types = #kinds, group = array<i64>, block = array<i64>,
      compact = false, combine = "store"} : (tensor<64x512xf32>) -> tensor<64x512xf32>
  return %y : tensor<64x512xf32>
}
