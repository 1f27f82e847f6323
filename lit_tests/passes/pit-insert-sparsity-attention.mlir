// RUN: pit-mlir-opt %s --pit-insert-sparsity --split-input-file --verify-diagnostics | filecheck %s

// Positions alone: a window with global tokens. The list needs no look at pairs of positions.

#q = affine_map<(b, h, q, k, d, e) -> (b, h, q, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, h, k, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, h, k, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, h, q, e)>
#qi = affine_map<(b, h, q, k, d, e) -> (q)>
#ki = affine_map<(b, h, q, k, d, e) -> (k)>

// CHECK: #[[KI:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @window
// CHECK: %[[K:.*]] = "pit.block_mask"(%{{.*}}, %{{.*}}) ({
// CHECK: %[[D:.*]] = arith.subi
// CHECK: %[[A:.*]] = math.absi %[[D]]
// CHECK: %[[NEAR:.*]] = arith.cmpi sle, %[[A]]
// CHECK: %[[LIVE:.*]] = arith.ori %[[NEAR]], %{{.*}}
// CHECK: "pit.yield"(%[[LIVE]])
// CHECK: block = array<i64: 64, 64>{{.*}}segments = array<i64>} : (index, index) -> !pit.index
// CHECK: "pit.attend"(%arg0, %arg0, %arg0, %{{.*}}, %[[K]])
// CHECK: arith.select
// CHECK: batch = 2 : i64, compact = array<i64>, indexing_maps = {{.*}}keys = array<i64>
// CHECK-NOT: lowest
func.func @window(%x: tensor<2x4x?x8xf32>, %positions: tensor<?xi64>, %everywhere: tensor<?xi1>, %init: tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32> {
  %ninf = arith.constant 0xFF800000 : f32
  %width = arith.constant 20 : i64
  // expected-remark@below {{each block of queries looks at the blocks of keys that its mask leaves in}}
  // expected-remark@below {{assumes: the data is finite}}
  %a = "pit.attend"(%x, %x, %x, %init) ({
  ^bb0(%s: f32):
    %i = "pit.element"(%positions) {map = #qi, compact = false} : (tensor<?xi64>) -> i64
    %j = "pit.element"(%positions) {map = #ki, compact = false} : (tensor<?xi64>) -> i64
    %g = "pit.element"(%everywhere) {map = #ki, compact = false} : (tensor<?xi1>) -> i1
    %d = arith.subi %i, %j : i64
    %abs = math.absi %d : i64
    %near = arith.cmpi sle, %abs, %width : i64
    %live = arith.ori %near, %g : i1
    %y = arith.select %live, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x4x?x8xf32>, tensor<2x4x?x8xf32>, tensor<2x4x?x8xf32>, tensor<2x4x?x8xf32>) -> tensor<2x4x?x8xf32>
  return %a : tensor<2x4x?x8xf32>
}

// -----

// A mask that is added, of numbers: what is lowest counts as -inf, and a row that has nothing else gets all keys.

#q = affine_map<(b, h, q, k, d, e) -> (b, h, q, d)>
#k = affine_map<(b, h, q, k, d, e) -> (b, h, k, d)>
#v = affine_map<(b, h, q, k, d, e) -> (b, h, k, e)>
#o = affine_map<(b, h, q, k, d, e) -> (b, h, q, e)>
#m = affine_map<(b, h, q, k, d, e) -> (b, q, k)>

// CHECK-LABEL: func.func @added
// CHECK: %[[K:.*]] = "pit.block_mask"(%{{.*}}, %{{.*}}, %{{.*}}) ({
// CHECK: %[[M:.*]] = "pit.element"(%arg1)
// CHECK: %[[LIVE:.*]] = arith.cmpf ugt, %[[M]], %{{.*}} : f32
// CHECK: "pit.yield"(%[[LIVE]])
// CHECK: "pit.attend"(%arg0, %arg0, %arg0, %{{.*}}, %[[K]])
// CHECK: keys = array<i64: 0>, lowest
func.func @added(%x: tensor<2x4x5x8xf32>, %mask: tensor<2x5x5xf32>, %init: tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32> {
  // expected-remark@below {{each block of queries looks at the blocks of keys that its mask leaves in}}
  // expected-remark@below {{assumes: the data is finite}}
  // expected-remark@below {{assumes: a finite constant <= -1e30 added to a value counts as -inf}}
  %a = "pit.attend"(%x, %x, %x, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5x5xf32>) -> f32
    %y = arith.addf %s, %m : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 2 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>, tensor<2x4x5x8xf32>) -> tensor<2x4x5x8xf32>
  return %a : tensor<2x4x5x8xf32>
}

// -----

// Rows of a padded batch: their mask holds at every listed query and key, so that it is not asked again.

#q = affine_map<(b, q, k, d, e) -> (q, d)>
#k = affine_map<(b, q, k, d, e) -> (k, d)>
#v = affine_map<(b, q, k, d, e) -> (k, e)>
#o = affine_map<(b, q, k, d, e) -> (q, e)>
#m = affine_map<(b, q, k, d, e) -> (b, k)>
#qi = affine_map<(b, q, k, d, e) -> (q)>
#ki = affine_map<(b, q, k, d, e) -> (k)>

// CHECK-LABEL: func.func @rows
// CHECK: %[[I:.*]] = "pit.detect"
// CHECK: %[[K:.*]] = "pit.block_mask"(%{{.*}}, %{{.*}}, %{{.*}}, %[[I]]) ({
// CHECK-NEXT: "pit.element"(%arg2)
// CHECK-NEXT: "pit.element"(%arg2)
// CHECK-NEXT: arith.cmpi sge
// CHECK-NEXT: "pit.yield"
// CHECK: segments = array<i64: 0>
// CHECK: "pit.attend"(%arg0, %arg0, %arg0, %{{.*}}, %[[I]], %[[K]])
// CHECK: keys = array<i64: 0>
// CHECK-LABEL: func.func @rows_alone
// CHECK-NOT: pit.block_mask
func.func @rows(%x: tensor<?x8xf32>, %mask: tensor<2x5xi1>, %positions: tensor<5xi64>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %ninf = arith.constant 0xFF800000 : f32
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<2x5xi1>) -> !pit.index
  // expected-remark@below {{each block of queries looks at the blocks of keys that its mask leaves in}}
  // expected-remark@below {{assumes: the data is finite}}
  %a = "pit.attend"(%x, %x, %x, %init, %I) ({
  ^bb0(%s: f32):
    %i = "pit.element"(%positions) {map = #qi, compact = false} : (tensor<5xi64>) -> i64
    %j = "pit.element"(%positions) {map = #ki, compact = false} : (tensor<5xi64>) -> i64
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5xi1>) -> i1
    %before = arith.cmpi sge, %i, %j : i64
    %live = arith.andi %before, %m : i1
    %y = arith.select %live, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64: 0>, compact = array<i64: 0, 1, 2, 3>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}
func.func @rows_alone(%x: tensor<?x8xf32>, %mask: tensor<2x5xi1>, %init: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %ninf = arith.constant 0xFF800000 : f32
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<2x5xi1>) -> !pit.index
  %a = "pit.attend"(%x, %x, %x, %init, %I) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<2x5xi1>) -> i1
    %y = arith.select %m, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 1 : i64, segments = array<i64: 0>, compact = array<i64: 0, 1, 2, 3>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !pit.index) -> tensor<?x8xf32>
  return %a : tensor<?x8xf32>
}

// -----

// Not masks: a bias that is looked up, a number that is too small to count as -inf, a mask on queries alone.

#q = affine_map<(q, k, d, e) -> (q, d)>
#k = affine_map<(q, k, d, e) -> (k, d)>
#v = affine_map<(q, k, d, e) -> (k, e)>
#o = affine_map<(q, k, d, e) -> (q, e)>
#m = affine_map<(q, k, d, e) -> (q, k)>
#qi = affine_map<(q, k, d, e) -> (q)>
#id = affine_map<(q, k) -> (q, k)>

// CHECK-LABEL: func.func @biases
// CHECK-NOT: pit.block_mask
func.func @biases(%x: tensor<5x8xf32>, %table: tensor<32xf32>, %bucket: tensor<5x5xindex>, %mask: tensor<5x5xi1>, %rows: tensor<5xi1>, %init: tensor<5x8xf32>)
    -> (tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant -1.0e+04 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<5x5xf32>
  %bias = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%bucket : tensor<5x5xindex>) outs(%e : tensor<5x5xf32>) {
  ^bb0(%b: index, %out: f32):
    %t = tensor.extract %table[%b] : tensor<32xf32>
    linalg.yield %t : f32
  } -> tensor<5x5xf32>
  // expected-remark@below {{every query looks at all keys}}
  %a = "pit.attend"(%x, %x, %x, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%bias) {map = #m, compact = false} : (tensor<5x5xf32>) -> f32
    %y = arith.addf %s, %m : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 0 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  // expected-remark@below {{every query looks at all keys}}
  %b = "pit.attend"(%x, %x, %x, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%mask) {map = #m, compact = false} : (tensor<5x5xi1>) -> i1
    %t = arith.select %m, %zero, %low : f32
    %y = arith.addf %s, %t : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 0 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  %c = "pit.attend"(%x, %x, %x, %init) ({
  ^bb0(%s: f32):
    %m = "pit.element"(%rows) {map = #qi, compact = false} : (tensor<5xi1>) -> i1
    %y = arith.select %m, %s, %ninf : f32
    "pit.yield"(%y) : (f32) -> ()
  }) {batch = 0 : i64, segments = array<i64>, compact = array<i64>, indexing_maps = [#q, #k, #v, #o]}
      : (tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>) -> tensor<5x8xf32>
  return %a, %b, %c : tensor<5x8xf32>, tensor<5x8xf32>, tensor<5x8xf32>
}
