// RUN: pit-mlir-opt %s --pit-lower-to-cpu | filecheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#kinds = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]

// Two contractions of one form call one kernel; operands are passed as flat buffers with strides.
// CHECK-LABEL: func.func @twice
// CHECK: call @[[KERNEL:pit_contract_[0-9a-f]+]](
// CHECK: call @[[KERNEL]](
// CHECK-NOT: pit.contract
// CHECK: return
func.func @twice(%x: tensor<?x64xf32>, %v: tensor<64x64xf32>, %w: tensor<64x64xf32>, %init: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %h = "pit.contract"(%init) ({
    %a = "pit.element"(%x) {map = #mk, compact = false} : (tensor<?x64xf32>) -> f32
    %b = "pit.element"(%v) {map = #nk, compact = false} : (tensor<64x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = #kinds, group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<?x64xf32>) -> tensor<?x64xf32>
  %y = "pit.contract"(%init) ({
    %a = "pit.element"(%h) {map = #mk, compact = false} : (tensor<?x64xf32>) -> f32
    %b = "pit.element"(%w) {map = #nk, compact = false} : (tensor<64x64xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%sum: f32):
    "pit.yield"(%sum) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = #kinds, group = array<i64>, block = array<i64>, compact = false, combine = "store"}
      : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The kernel is in the module once, private, and its tasks run in parallel.
// CHECK: func.func private @[[KERNEL]](
// CHECK: scf.parallel
// CHECK: call @pit_micro_dense_f32
// CHECK-NOT: func.func private @pit_contract_
