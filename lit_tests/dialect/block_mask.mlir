// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --cse | filecheck %s --check-prefix=CSE

#q = affine_map<(q, k) -> (q)>
#k = affine_map<(q, k) -> (k)>

// A sliding window, and rows with a mask of their own. Equal lists become one.
// CHECK-LABEL: func.func @lists
// CHECK: "pit.block_mask"(%arg0, %arg0) ({
// CHECK:   "pit.element"
// CHECK: block = array<i64: 64, 64>, operandSegmentSizes = array<i32: 2, 0>, segments = array<i64>} : (index, index) -> !pit.index
// CHECK: %[[I:.*]] = "pit.detect"
// CHECK: "pit.block_mask"(%arg0, %arg0, %arg0, %[[I]]) ({
// CHECK: segments = array<i64: 0>
// CSE-LABEL: func.func @lists
// CSE-COUNT-2: "pit.block_mask"
// CSE-NOT: "pit.block_mask"
func.func @lists(%n: index, %p: tensor<?xi64>, %m: tensor<?x?xi1>) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) {
  %w = arith.constant 20 : i64
  %A = "pit.block_mask"(%n, %n) ({
    %i = "pit.element"(%p) {map = #q, compact = false} : (tensor<?xi64>) -> i64
    %j = "pit.element"(%p) {map = #k, compact = false} : (tensor<?xi64>) -> i64
    %d = arith.subi %i, %j : i64
    %a = math.absi %d : i64
    %live = arith.cmpi sle, %a, %w : i64
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  %B = "pit.block_mask"(%n, %n) ({
    %i = "pit.element"(%p) {map = #q, compact = false} : (tensor<?xi64>) -> i64
    %j = "pit.element"(%p) {map = #k, compact = false} : (tensor<?xi64>) -> i64
    %d = arith.subi %i, %j : i64
    %a = math.absi %d : i64
    %live = arith.cmpi sle, %a, %w : i64
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64>, operandSegmentSizes = array<i32: 2, 0>} : (index, index) -> !pit.index
  %I = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<?x?xi1>) -> !pit.index
  %C = "pit.block_mask"(%n, %n, %n, %I) ({
    %live = "pit.element"(%m) {map = affine_map<(b, q, k) -> (b, k)>, compact = false} : (tensor<?x?xi1>) -> i1
    "pit.yield"(%live) : (i1) -> ()
  }) {block = array<i64: 64, 64>, segments = array<i64: 0>, operandSegmentSizes = array<i32: 3, 1>} : (index, index, index, !pit.index) -> !pit.index
  %a0, %a1, %a2, %a3 = "pit.lists"(%A) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  %b0, %b1, %b2, %b3 = "pit.lists"(%B) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  %c0, %c1, %c2, %c3 = "pit.lists"(%C) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return %a2, %b2, %c2 : tensor<?xi32>, tensor<?xi32>, tensor<?xi32>
}
