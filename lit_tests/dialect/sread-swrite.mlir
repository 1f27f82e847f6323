// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse | filecheck %s --check-prefix=CSE

// CHECK-LABEL: func.func @rows
// CHECK:         %[[R:.*]] = "pit.sread"(%{{.*}}, %[[I:.*]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<4x128x768xf32>, !pit.index) -> tensor<?x768xf32>
// CHECK:         %[[N:.*]] = "pit.size"(%[[I]]) : (!pit.index) -> index
// CHECK:         "pit.swrite"(%[[R]], %{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, combine = "store", group = array<i64: 0, 1>}
func.func @rows(%x: tensor<4x128x768xf32>, %zero: tensor<4x128x768xf32>, %mask: tensor<4x128xi1>) -> (tensor<4x128x768xf32>, index) {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x128xi1>) -> !pit.index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<4x128x768xf32>, !pit.index) -> tensor<?x768xf32>
  %n = "pit.size"(%I) : (!pit.index) -> index
  %y = "pit.swrite"(%r, %zero, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"} : (tensor<?x768xf32>, tensor<4x128x768xf32>, !pit.index) -> tensor<4x128x768xf32>
  return %y, %n : tensor<4x128x768xf32>, index
}

// A table that carries only the position is read through a projection; rows stand where the first dimension stood.
// CHECK-LABEL: func.func @projections
// CHECK:         group = array<i64: 1>} : (tensor<128x768xf32>, !pit.index) -> tensor<?x768xf32>
// CHECK:         axis = array<i64: 2, 1>, group = array<i64: 0, 1>} : (tensor<12x128x4x64xf32>, !pit.index) -> tensor<12x?x64xf32>
// CHECK:         combine = "add", group = array<i64: 0>
func.func @projections(%table: tensor<128x768xf32>, %heads: tensor<12x128x4x64xf32>, %sums: tensor<4x768xf32>, %mask: tensor<4x128xi1>) -> (tensor<?x768xf32>, tensor<12x?x64xf32>, tensor<4x768xf32>) {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<4x128xi1>) -> !pit.index
  %p = "pit.sread"(%table, %I) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<128x768xf32>, !pit.index) -> tensor<?x768xf32>
  %h = "pit.sread"(%heads, %I) {axis = array<i64: 2, 1>, group = array<i64: 0, 1>} : (tensor<12x128x4x64xf32>, !pit.index) -> tensor<12x?x64xf32>
  %s = "pit.swrite"(%p, %sums, %I) {axis = array<i64: 0>, group = array<i64: 0>, combine = "add"} : (tensor<?x768xf32>, tensor<4x768xf32>, !pit.index) -> tensor<4x768xf32>
  return %p, %h, %s : tensor<?x768xf32>, tensor<12x?x64xf32>, tensor<4x768xf32>
}

// An index may come from elsewhere: what cannot be seen is not checked.
// CHECK-LABEL: func.func @given
// CSE-LABEL:   func.func @given
// CSE-COUNT-1:   "pit.sread"
// CSE-NOT:       "pit.sread"
func.func @given(%x: tensor<?x8xf32>, %I: !pit.index) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %a = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 0>} : (tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  %b = "pit.sread"(%x, %I) {axis = array<i64: 0>, group = array<i64: 0>} : (tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return %a, %b : tensor<?x8xf32>, tensor<?x8xf32>
}
