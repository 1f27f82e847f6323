// RUN: pit-mlir-opt %s --pit-select-tiles --canonicalize --cse | filecheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#i = affine_map<(m, n) -> (m, n)>
#t = affine_map<(m, n) -> (n, m)>
#b = affine_map<(m, n) -> (n)>

// A sum that starts at zero needs no init; bias, activation and residual move into the epilogue.
// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<?x64xf32>, %w: tensor<32x64xf32>, %bias: tensor<32xf32>, %res: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x64xf32>
  %e = tensor.empty(%m) : tensor<?x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  // CHECK: "pit.contract"
  // CHECK-NEXT: %[[X:.+]] = "pit.element"(%arg0)
  // CHECK-NEXT: %[[W:.+]] = "pit.element"(%arg1)
  // CHECK-NEXT: "pit.yield"(%[[X]], %[[W]])
  // CHECK: ^bb0(%[[SUM:.+]]: f32):
  // CHECK-NEXT: %[[BIAS:.+]] = "pit.element"(%arg2)
  // CHECK-NEXT: %[[ADDED:.+]] = arith.addf %[[SUM]], %[[BIAS]]
  // CHECK-NEXT: %[[ACT:.+]] = math.tanh %[[ADDED]]
  // CHECK-NEXT: %[[RES:.+]] = "pit.element"(%arg3)
  // CHECK-NEXT: %[[Y:.+]] = arith.addf %[[ACT]], %[[RES]]
  // CHECK-NEXT: "pit.yield"(%[[Y]])
  // CHECK-NOT: linalg.generic
  %c = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x64xf32>, tensor<32x64xf32>) outs(%f : tensor<?x32xf32>) {
  ^bb0(%a: f32, %q: f32, %acc: f32):
    %p = arith.mulf %a, %q : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x32xf32>
  %d = linalg.generic {indexing_maps = [#i, #b, #i], iterator_types = ["parallel", "parallel"]}
      ins(%c, %bias : tensor<?x32xf32>, tensor<32xf32>) outs(%e : tensor<?x32xf32>) {
  ^bb0(%a: f32, %q: f32, %o: f32):
    %p = arith.addf %a, %q : f32
    %s = math.tanh %p : f32
    linalg.yield %s : f32
  } -> tensor<?x32xf32>
  %y = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}
      ins(%d, %res : tensor<?x32xf32>, tensor<?x32xf32>) outs(%e : tensor<?x32xf32>) {
  ^bb0(%a: f32, %q: f32, %o: f32):
    %p = arith.addf %a, %q : f32
    linalg.yield %p : f32
  } -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// bf16 is summed in f32, whatever the body did; an element-wise transposition changes the map of the result.
// CHECK-LABEL: func.func @narrow
func.func @narrow(%x: tensor<8x64xbf16>, %w: tensor<32x64xbf16>, %init: tensor<8x32xbf16>) -> tensor<32x8xbf16> {
  // CHECK: "pit.contract"
  // CHECK: %[[X:.+]] = arith.extf {{.*}} : bf16 to f32
  // CHECK: %[[W:.+]] = arith.extf {{.*}} : bf16 to f32
  // CHECK: "pit.yield"(%[[X]], %[[W]])
  // CHECK: ^bb0(%[[SUM:.+]]: f32):
  // CHECK: arith.addf %[[SUM]]
  // CHECK: arith.truncf {{.*}} : f32 to bf16
  // CHECK: arith.negf
  // CHECK: indexing_maps = [#[[MAP:.+]]]
  // CHECK-SAME: -> tensor<32x8xbf16>
  %c = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xbf16>, tensor<32x64xbf16>) outs(%init : tensor<8x32xbf16>) {
  ^bb0(%a: bf16, %q: bf16, %acc: bf16):
    %p = arith.mulf %a, %q : bf16
    %s = arith.addf %acc, %p : bf16
    linalg.yield %s : bf16
  } -> tensor<8x32xbf16>
  %e = tensor.empty() : tensor<32x8xbf16>
  %y = linalg.generic {indexing_maps = [#t, #i], iterator_types = ["parallel", "parallel"]}
      ins(%c : tensor<8x32xbf16>) outs(%e : tensor<32x8xbf16>) {
  ^bb0(%a: bf16, %o: bf16):
    %p = arith.negf %a : bf16
    linalg.yield %p : bf16
  } -> tensor<32x8xbf16>
  return %y : tensor<32x8xbf16>
}

// Rows are gathered on their way in and scattered on their way out; the masked weight is never made.
// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<4x128x64xf32>, %mask: tensor<4x128xi1>, %w: tensor<32x64xf32>, %live: tensor<32x64xf32>,
                %out: tensor<4x128x32xf32>) -> tensor<4x128x32xf32> {
  // CHECK: %[[I:.+]] = "pit.detect"(%arg1)
  // CHECK-SAME: block = array<i64: 1>, micro_tile = 1
  // CHECK-NOT: pit.sread
  // CHECK: "pit.contract"(%arg4, %[[I]])
  // CHECK: "pit.element"(%arg0) {compact = false
  // CHECK: %[[W:.+]] = "pit.element"(%arg2)
  // CHECK: %[[M:.+]] = "pit.element"(%arg3)
  // CHECK: arith.mulf %[[W]], %[[M]]
  // CHECK: compact = false, group = array<i64: 0, 3>
  // CHECK-NOT: pit.swrite
  // CHECK: return
  %zero = arith.constant 0.0 : f32
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<4x128xi1>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  %r = "pit.sread"(%x, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<4x128x64xf32>, !pit.index) -> tensor<?x64xf32>
  %e0 = tensor.empty() : tensor<32x64xf32>
  %ww = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}
      ins(%w, %live : tensor<32x64xf32>, tensor<32x64xf32>) outs(%e0 : tensor<32x64xf32>) {
  ^bb0(%a: f32, %q: f32, %o: f32):
    %p = arith.mulf %a, %q : f32
    linalg.yield %p : f32
  } -> tensor<32x64xf32>
  %e = tensor.empty(%n) : tensor<?x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %c = linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%r, %ww : tensor<?x64xf32>, tensor<32x64xf32>) outs(%f : tensor<?x32xf32>) {
  ^bb0(%a: f32, %q: f32, %acc: f32):
    %p = arith.mulf %a, %q : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x32xf32>
  %y = "pit.swrite"(%c, %out, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x32xf32>, tensor<4x128x32xf32>, !pit.index) -> tensor<4x128x32xf32>
  return %y : tensor<4x128x32xf32>
}

// Live k for blocks of rows: the block is chosen with the tiles.
// CHECK-LABEL: func.func @list
func.func @list(%x: tensor<?x64xf32>, %w: tensor<64x32xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // CHECK: %[[K:.+]] = "pit.detect"(%arg0)
  // CHECK-SAME: block = array<i64: 8>, micro_tile = 8
  // CHECK: "pit.contract"(%arg2, %[[K]],
  // CHECK: block = array<i64: 32>
  // CHECK-SAME: group = array<i64: 0, 2>
  %K = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64}
      : (tensor<?x64xf32>) -> !pit.index
  %y = "pit.generic"(%init, %K) ({
  ^bb0(%acc: f32):
    %a = "pit.element"(%x) {map = #mk, compact = false} : (tensor<?x64xf32>) -> f32
    %b = "pit.element"(%w) {map = affine_map<(m, n, k) -> (k, n)>, compact = false} : (tensor<64x32xf32>) -> f32
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    "pit.yield"(%s) : (f32) -> ()
  }) {indexing_maps = [#mn], iterator_types = [#linalg.iterator_type<parallel>, #linalg.iterator_type<parallel>,
      #linalg.iterator_type<reduction>], group = array<i64: 0, 2>, compact = false}
      : (tensor<?x32xf32>, !pit.index) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// A number that an operation takes as an operand is captured.
// CHECK-LABEL: func.func @scaled
// CHECK-SAME: %[[S:[^:]*]]: f32
// CHECK: "pit.contract"
// CHECK: arith.mulf %{{.*}}, %[[S]]
func.func @scaled(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %s: f32, %e: tensor<4x8xf32>, %o: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> ()>, affine_map<(m, k) -> (m, k)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<4x8xf32>, f32) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<4x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%y, %w : tensor<4x8xf32>, tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %acc, %p : f32
    linalg.yield %t : f32
  } -> tensor<4x16xf32>
  return %r : tensor<4x16xf32>
}

// An activation that reads the result twice is joined into one operation, which the contraction takes in.
// CHECK-LABEL: func.func @silu
// CHECK: "pit.contract"
// CHECK: math.exp
// CHECK: %[[GATE:.+]] = arith.divf
// CHECK: arith.mulf %{{.*}}, %[[GATE]]
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @silu(%x: tensor<4x8xf32>, %w: tensor<8x16xf32>, %o: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %one = arith.constant 1.0 : f32
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<4x8xf32>, tensor<8x16xf32>) outs(%o : tensor<4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %acc, %p : f32
    linalg.yield %t : f32
  } -> tensor<4x16xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
                       iterator_types = ["parallel", "parallel"]} ins(%r : tensor<4x16xf32>) outs(%o : tensor<4x16xf32>) {
  ^bb0(%a: f32, %b: f32):
    %n = arith.negf %a : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %s = arith.divf %one, %d : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%r, %g : tensor<4x16xf32>, tensor<4x16xf32>) outs(%o : tensor<4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<4x16xf32>
  return %h : tensor<4x16xf32>
}
