// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-simplify" --split-input-file --verify-diagnostics | filecheck %s

// R2 on keys: where the mask is 0 the score is -inf, and a live query sees itself. Queries follow by R1.

#q = affine_map<(b, h, q, k, d, e) -> (b, q, h, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, k, h, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, k, h, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, q, h, e)>
#m = affine_map<(b, h, q, k, d, e) -> (b, k)>

// CHECK-DAG: #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d1, d4)>
// CHECK-DAG: #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d1, d4)>
// CHECK-DAG: #[[V:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d1, d5)>
// CHECK-DAG: #[[O:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d1, d5)>
// CHECK-LABEL: func.func @ragged
// CHECK: %[[I:.*]] = "pit.detect"
// CHECK-DAG: %[[Q0:.*]] = "pit.sread"(%arg0, %[[I]])
// CHECK-DAG: %[[K0:.*]] = "pit.sread"(%arg1, %[[I]])
// CHECK-DAG: %[[V0:.*]] = "pit.sread"(%arg2, %[[I]])
// CHECK: %[[A:.*]] = "pit.attend"(%[[Q0]], %[[K0]], %[[V0]], %{{.*}}, %[[I]])
// CHECK: {batch = 2 : i64, compact = array<i64: 0, 1, 2, 3>, indexing_maps = [#[[Q]], #[[K]], #[[V]], #[[O]]]{{.*}}segments = array<i64: 0>}
// CHECK: "pit.swrite"(%[[A]],
func.func @ragged(%q: tensor<?x?x2x8xf32>, %k: tensor<?x?x2x8xf32>, %v: tensor<?x?x2x8xf32>, %mask: tensor<?x?xi64>,
                  %init: tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32> {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant -3.40282347E+38 : f32
  %c0 = arith.constant 0 : i64
  // expected-remark@below {{compact: runs on live rows alone}}
  // expected-remark@below {{assumes: a finite constant <= -1e30 added to a value counts as -inf}}
  // expected-remark@below {{assumes: the data is finite}}
  %a = "pit.attend"(%q, %k, %v, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<?x?xi64>) -> i64
    %live = arith.cmpi ne, %m, %c0 : i64
    %bias = arith.select %live, %zero, %lowest : f32
    %y = arith.addf %s, %bias : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<?x?xi64>) -> !pit.index
  %r = "pit.sread"(%a, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<?x?x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
  %w = "pit.swrite"(%r, %init, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x2x8xf32>, tensor<?x?x2x8xf32>, !pit.index) -> tensor<?x?x2x8xf32>
  return %w : tensor<?x?x2x8xf32>
}

// -----

// Causal and padding: k := q is always allowed.

#q = affine_map<(b, h, q, k, d, e) -> (b, h, q, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, h, k, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, h, k, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, h, q, e)>
#m = affine_map<(b, h, q, k, d, e) -> (b, k)>
#qi = affine_map<(b, h, q, k, d, e) -> (q)>
#ki = affine_map<(b, h, q, k, d, e) -> (k)>

// CHECK-LABEL: func.func @causal
// CHECK: "pit.attend"
// CHECK: compact = array<i64: 0, 1, 2, 3>, indexing_maps
func.func @causal(%q: tensor<2x4x5x8xf32>, %mask: tensor<2x5xi1>, %pos: tensor<5xindex>) -> tensor<2x4x5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %init = tensor.empty() : tensor<2x4x5x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%init : tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  // expected-remark@below {{compact: runs on live rows alone}}
  // expected-remark@below {{assumes: the data is finite}}
  %a = "pit.attend"(%q, %q, %q, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5xi1>) -> i1
    %i = "pit.element"(%pos) {map = #qi, compact = false} : (tensor<5xindex>) -> index
    %j = "pit.element"(%pos) {map = #ki, compact = false} : (tensor<5xindex>) -> index
    %le = arith.cmpi sle, %j, %i : index
    %both = arith.andi %le, %m : i1
    %y = arith.select %both, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<2x5xi1>) -> !pit.index
  %r = "pit.sread"(%a, %i) {axis = array<i64: 0, 2>, group = array<i64: 0, 1>}
      : (tensor<2x4x5x8xf32>, !pit.index) -> tensor<?x4x8xf32>
  %w = "pit.swrite"(%r, %z, %i) {axis = array<i64: 0, 2>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x4x8xf32>, tensor<2x4x5x8xf32>, !pit.index) -> tensor<2x4x5x8xf32>
  return %w : tensor<2x4x5x8xf32>
}

// -----

// Unmasked keys, a mask of -100 (Swin's is not a zero), and a mask that forbids a query itself: dense.

#q = affine_map<(b, h, q, k, d, e) -> (b, q, h, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, k, h, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, k, h, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, q, h, e)>
#m = affine_map<(b, h, q, k, d, e) -> (b, k)>
#qi = affine_map<(b, h, q, k, d, e) -> (q)>
#ki = affine_map<(b, h, q, k, d, e) -> (k)>

// CHECK-LABEL: func.func @dense
// CHECK: "pit.attend"
// CHECK: compact = array<i64>, indexing_maps
// CHECK: "pit.attend"
// CHECK: compact = array<i64>, indexing_maps
// CHECK: "pit.attend"
// CHECK: compact = array<i64>, indexing_maps
func.func @dense(%q: tensor<2x5x2x8xf32>, %mask: tensor<2x5xi1>, %pos: tensor<5xindex>)
    -> (tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %some = arith.constant -100.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %init = tensor.empty() : tensor<2x5x2x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%init : tensor<2x5x2x8xf32>) -> tensor<2x5x2x8xf32>
  // expected-remark@below {{keys are not left out where the mask is 0: their score is not proved to be -inf there}}
  %a = "pit.attend"(%q, %q, %q, %init) ({
  ^bb0(%s: f32):
    "pit.yield"(%s) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>) -> tensor<2x5x2x8xf32>
  // expected-remark@below {{keys are not left out where the mask is 0: their score is not proved to be -inf there}}
  %b = "pit.attend"(%q, %q, %q, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5xi1>) -> i1
    %bias = arith.select %m, %zero, %some : f32
    %y = arith.addf %s, %bias : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>) -> tensor<2x5x2x8xf32>
  // expected-remark@below {{a live query is not proved to see itself: it may have no live key}}
  %c = "pit.attend"(%q, %q, %q, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5xi1>) -> i1
    %i = "pit.element"(%pos) {map = #qi, compact = false} : (tensor<5xindex>) -> index
    %j = "pit.element"(%pos) {map = #ki, compact = false} : (tensor<5xindex>) -> index
    %lt = arith.cmpi slt, %j, %i : index
    %both = arith.andi %lt, %m : i1
    %y = arith.select %both, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>) -> tensor<2x5x2x8xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<2x5xi1>) -> !pit.index
  %ra = "pit.sread"(%a, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<2x5x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
  %rb = "pit.sread"(%b, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<2x5x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
  %rc = "pit.sread"(%c, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<2x5x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
  %wa = "pit.swrite"(%ra, %z, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x2x8xf32>, tensor<2x5x2x8xf32>, !pit.index) -> tensor<2x5x2x8xf32>
  %wb = "pit.swrite"(%rb, %z, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x2x8xf32>, tensor<2x5x2x8xf32>, !pit.index) -> tensor<2x5x2x8xf32>
  %wc = "pit.swrite"(%rc, %z, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x2x8xf32>, tensor<2x5x2x8xf32>, !pit.index) -> tensor<2x5x2x8xf32>
  return %wa, %wb, %wc : tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>
}
