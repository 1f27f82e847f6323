// RUN: pit-mlir-opt %s --pit-join-siblings | filecheck %s

#kinds = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>, #linalg.iterator_type<reduction>]
#td = affine_map<(e, t, h, d) -> (t, d)>
#ehd = affine_map<(e, t, h, d) -> (e, h, d)>
#eh = affine_map<(e, t, h, d) -> (e, h)>

// The gate's sum is one more argument of the epilogue that read its result; x is read once.
// CHECK-LABEL: func.func @gate_and_up
// CHECK: "pit.contract"
// CHECK-NEXT: %[[X:.*]] = "pit.element"(%{{.*}}) {{.*}} -> f32
// CHECK-NEXT: %[[GATE:.*]] = "pit.element"
// CHECK-NEXT: %[[UP:.*]] = "pit.element"
// CHECK-NEXT: "pit.yield"(%[[X]], %[[GATE]], %[[UP]])
// CHECK: ^bb0(%[[G:.*]]: f32, %[[U:.*]]: f32):
// CHECK: %[[LIVE:.*]] = arith.maximumf %[[G]]
// CHECK: arith.mulf %[[LIVE]], %[[U]]
// CHECK-NOT: "pit.contract"
// CHECK: return
func.func @gate_and_up(%x: tensor<8x16xf32>, %w: tensor<4x32x16xf32>, %v: tensor<4x32x16xf32>, %I: !pit.index, %o: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %g = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%w) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    %zero = arith.constant 0.0 : f32
    %live = arith.maximumf %s, %zero : f32
    "pit.yield"(%live) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  %y = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%v) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    %m = "pit.element"(%g) {map = #eh, compact = true} : (tensor<?x32xf32>) -> f32
    %p = arith.mulf %m, %s : f32
    "pit.yield"(%p) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Rows of another tensor are other rows.
// CHECK-LABEL: func.func @other_rows
// CHECK-COUNT-2: "pit.contract"
func.func @other_rows(%x: tensor<8x16xf32>, %z: tensor<8x16xf32>, %w: tensor<4x32x16xf32>, %v: tensor<4x32x16xf32>, %I: !pit.index, %o: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %g = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%w) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  %y = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%z) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%v) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    %m = "pit.element"(%g) {map = #eh, compact = true} : (tensor<?x32xf32>) -> f32
    %p = arith.mulf %m, %s : f32
    "pit.yield"(%p) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// The gate is wanted by the caller too.
// CHECK-LABEL: func.func @two_users
// CHECK-COUNT-2: "pit.contract"
func.func @two_users(%x: tensor<8x16xf32>, %w: tensor<4x32x16xf32>, %v: tensor<4x32x16xf32>, %I: !pit.index, %o: tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %g = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%w) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  %y = "pit.contract"(%o, %I) ({
    %a = "pit.element"(%x) {map = #td, compact = false} : (tensor<8x16xf32>) -> f32
    %b = "pit.element"(%v) {map = #ehd, compact = false} : (tensor<4x32x16xf32>) -> f32
    "pit.yield"(%a, %b) : (f32, f32) -> ()
  }, {
  ^bb0(%s: f32):
    %m = "pit.element"(%g) {map = #eh, compact = true} : (tensor<?x32xf32>) -> f32
    %p = arith.mulf %m, %s : f32
    "pit.yield"(%p) : (f32) -> ()
  }) {indexing_maps = [#eh], iterator_types = #kinds, group = array<i64: 0, 1>, block = array<i64: 1>, compact = true, combine = "store"} : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  return %g, %y : tensor<?x32xf32>, tensor<?x32xf32>
}
