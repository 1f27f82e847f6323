// Experts: the sum over them becomes additions of rows where a router sent them (R5).
//
// RUN: pit-mlir-opt %s --split-input-file -p 'pit-prove-permutation, pit-insert-sparsity{only=rows}' \
// RUN:   --mlir-print-local-scope 2>/dev/null | filecheck %s
// RUN: pit-mlir-opt %s --split-input-file -p 'pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify' \
// RUN:   --mlir-print-local-scope 2>/dev/null | filecheck %s --check-prefix=SIMPLE

// One product with the weights of the router, zero but at the expert that was chosen: the numbers of the chosen experts
// are the keys of an index, whose segments are experts and whose entries are tokens. The weights of an expert are read
// where they lie.
//
// CHECK-LABEL: func.func @combine
// CHECK-SAME: %[[CHOSEN:[a-z0-9]+]]: tensor<?xi64>
// CHECK: %[[I:.*]] = "pit.detect"(%[[CHOSEN]]) {axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64>, values = 4 : i64}
// CHECK: %[[TERMS:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel"]
// CHECK-NOT: addf
// CHECK: linalg.yield
// CHECK: %[[ROWS:.*]] = "pit.sread"(%[[TERMS]], %[[I]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
// CHECK: %[[SUM:.*]] = "pit.swrite"(%[[ROWS]], %{{.*}}, %[[I]]) {axis = array<i64: 0>, combine = "add", group = array<i64: 1>}
// CHECK: return %[[SUM]]
//
// SIMPLE-LABEL: func.func @combine
// SIMPLE: %[[X:.*]] = "pit.sread"(%{{.*}}, %[[I:.*]]) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<?x16xf32>, !pit.index) -> tensor<?x16xf32>
// SIMPLE: %[[H:.*]] = "pit.generic"(%{{.*}}, %[[I]]) ({
// SIMPLE: "pit.element"(%[[X]]) {compact = true, map = affine_map<(d0, d1, d2, d3) -> (d0, d3)>}
// SIMPLE: "pit.element"(%{{.*}}) {compact = false, map = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>}
// SIMPLE: {compact = true, group = array<i64: 0, 1>
// SIMPLE: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]
// SIMPLE-NOT: 4x?x8
func.func @combine(%chosen: tensor<?xi64>, %x: tensor<?x16xf32>, %w: tensor<4x16x8xf32>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %chosen, %c0 : tensor<?xi64>
  %r0 = tensor.empty(%t) : tensor<?x4xf32>
  %e0 = tensor.empty() : tensor<4xindex>
  %numbers = linalg.generic {indexing_maps = [affine_map<(e) -> (e)>], iterator_types = ["parallel"]}
      outs(%e0 : tensor<4xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<4xindex>
  %route = linalg.generic {indexing_maps = [affine_map<(t, e) -> (t)>, affine_map<(t, e) -> (e)>, affine_map<(t, e) -> (t, e)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%chosen, %numbers : tensor<?xi64>, tensor<4xindex>) outs(%r0 : tensor<?x4xf32>) {
  ^bb0(%c: i64, %n: index, %o: f32):
    %m = arith.index_cast %n : index to i64
    %same = arith.cmpi eq, %c, %m : i64
    %f = arith.uitofp %same : i1 to f32
    linalg.yield %f : f32
  } -> tensor<?x4xf32>
  %h0 = tensor.empty(%t) : tensor<4x?x8xf32>
  %h1 = linalg.fill ins(%zero : f32) outs(%h0 : tensor<4x?x8xf32>) -> tensor<4x?x8xf32>
  %h = linalg.generic {indexing_maps = [affine_map<(e, t, n, k) -> (t, k)>, affine_map<(e, t, n, k) -> (e, k, n)>,
      affine_map<(e, t, n, k) -> (e, t, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x16xf32>, tensor<4x16x8xf32>) outs(%h1 : tensor<4x?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x?x8xf32>
  %y0 = tensor.empty(%t) : tensor<?x8xf32>
  %y1 = linalg.fill ins(%zero : f32) outs(%y0 : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, n, e) -> (e, t, n)>, affine_map<(t, n, e) -> (t, e)>,
      affine_map<(t, n, e) -> (t, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %route : tensor<4x?x8xf32>, tensor<?x4xf32>) outs(%y1 : tensor<?x8xf32>) {
  ^bb0(%a: f32, %g: f32, %acc: f32):
    %p = arith.mulf %a, %g : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A model that adds up expert by expert: the rows go to what is there.
//
// CHECK-LABEL: func.func @accumulate
// CHECK-SAME: %[[OUT:[a-z0-9]+]]: tensor<?x8xf32>
// CHECK: %[[ROWS:.*]] = "pit.sread"
// CHECK: %[[SUM:.*]] = "pit.swrite"(%[[ROWS]], %[[OUT]], %{{.*}}) {axis = array<i64: 0>, combine = "add", group = array<i64: 0>}
// CHECK: return %[[SUM]]
func.func @accumulate(%out: tensor<?x8xf32>, %x: tensor<?x8xf32>, %mask: tensor<?xi1>) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %t = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%t) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(t, n) -> (t, n)>, affine_map<(t, n) -> (t, n)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(t, n) -> (t, n)>, affine_map<(t, n) -> (t)>, affine_map<(t, n) -> (t, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%y, %mask : tensor<?x8xf32>, tensor<?xi1>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %m: i1, %o: f32):
    %f = arith.uitofp %m : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(t, n) -> (t, n)>, affine_map<(t, n) -> (t, n)>, affine_map<(t, n) -> (t, n)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%out, %g : tensor<?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.addf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  return %s : tensor<?x8xf32>
}

// -----

// What is summed is an argument: nothing is saved by computing it in rows.
//
// CHECK-LABEL: func.func @nothing_computed
// CHECK-NOT: pit.detect
func.func @nothing_computed(%chosen: tensor<6x4xi1>, %y: tensor<4x6x8xf32>, %init: tensor<6x8xf32>) -> tensor<6x8xf32> {
  %s = linalg.generic {indexing_maps = [affine_map<(t, n, e) -> (e, t, n)>, affine_map<(t, n, e) -> (t, e)>,
      affine_map<(t, n, e) -> (t, n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%y, %chosen : tensor<4x6x8xf32>, tensor<6x4xi1>) outs(%init : tensor<6x8xf32>) {
  ^bb0(%a: f32, %m: i1, %acc: f32):
    %f = arith.uitofp %m : i1 to f32
    %p = arith.mulf %a, %f : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  return %s : tensor<6x8xf32>
}

// -----

// A sum beside another result is no place to add rows to.
//
// CHECK-LABEL: func.func @two
// CHECK: pit.swrite
// CHECK: %{{.*}}:2 = linalg.generic
// CHECK: return %{{.*}}#0, %{{.*}}#1
#id = affine_map<(t, n) -> (t, n)>
#t = affine_map<(t, n) -> (t)>
func.func @two(%out: tensor<6x8xf32>, %x: tensor<6x8xf32>, %mask: tensor<6xi1>) -> (tensor<6x8xf32>, tensor<6x8xf32>) {
  %e = tensor.empty() : tensor<6x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<6x8xf32>) outs(%e : tensor<6x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<6x8xf32>
  %g = linalg.generic {indexing_maps = [#id, #t, #id], iterator_types = ["parallel", "parallel"]} ins(%y, %mask : tensor<6x8xf32>, tensor<6xi1>) outs(%e : tensor<6x8xf32>) {
  ^bb0(%a: f32, %m: i1, %o: f32):
    %f = arith.uitofp %m : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<6x8xf32>
  %s:2 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%out, %g : tensor<6x8xf32>, tensor<6x8xf32>) outs(%e, %e : tensor<6x8xf32>, tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32, %q: f32):
    %p = arith.addf %a, %b : f32
    %d = arith.subf %a, %b : f32
    linalg.yield %p, %d : f32, f32
  } -> (tensor<6x8xf32>, tensor<6x8xf32>)
  return %s#0, %s#1 : tensor<6x8xf32>, tensor<6x8xf32>
}

// -----

// An iterator that the result lacks adds up too, whatever it is called: its points have no places to be added to.
//
// CHECK-LABEL: func.func @lack
// CHECK-NOT: pit.swrite
// CHECK: return
func.func @lack(%chosen: tensor<6x4xi1>, %x: tensor<4x6x8xf32>, %e: tensor<4x6x8xf32>, %init: tensor<8xf32>) -> tensor<8xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>, affine_map<(a, b, c) -> (a, b, c)>],
      iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<4x6x8xf32>) outs(%e : tensor<4x6x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<4x6x8xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(t, n, e) -> (e, t, n)>, affine_map<(t, n, e) -> (t, e)>,
      affine_map<(t, n, e) -> (n)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%y, %chosen : tensor<4x6x8xf32>, tensor<6x4xi1>) outs(%init : tensor<8xf32>) {
  ^bb0(%a: f32, %m: i1, %acc: f32):
    %f = arith.uitofp %m : i1 to f32
    %p = arith.mulf %a, %f : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %s : tensor<8xf32>
}

// -----

// A loop over experts, each with a comparison of its own: all of them are segments of the one index of the key.
//
// CHECK-LABEL: func.func @loop
// CHECK-SAME: %[[CHOSEN:[a-z0-9]+]]: tensor<?x2xi64>
// CHECK: %[[E:.*]] = "pit.detect"(%[[CHOSEN]]) {axis = array<i64: 0>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64>, values = 3 : i64}
// CHECK: %[[ONE:.*]] = "pit.segment"(%[[E]]) {number = 1 : i64}
// CHECK: "pit.swrite"(%{{.*}}, %{{.*}}, %[[ONE]])
// CHECK: %[[TWO:.*]] = "pit.segment"(%[[E]]) {number = 2 : i64}
// CHECK: "pit.swrite"(%{{.*}}, %{{.*}}, %[[TWO]])
// CHECK-NOT: "pit.detect"
// CHECK: return
#tk = affine_map<(t, k) -> (t, k)>
#t = affine_map<(t, n) -> (t)>
#tn = affine_map<(t, n) -> (t, n)>
func.func @loop(%chosen: tensor<?x2xi64>, %x: tensor<?x8xf32>, %w: tensor<?x2xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1 : i64
  %two = arith.constant 2 : i64
  %n = tensor.dim %x, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#tn, #tn], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  %k0 = tensor.empty(%n) : tensor<?x2xf32>
  %g0 = tensor.empty(%n) : tensor<?xf32>
  %g = linalg.fill ins(%zero : f32) outs(%g0 : tensor<?xf32>) -> tensor<?xf32>
  %m1 = linalg.generic {indexing_maps = [#tk, #tk, #tk], iterator_types = ["parallel", "parallel"]} ins(%w, %chosen : tensor<?x2xf32>, tensor<?x2xi64>) outs(%k0 : tensor<?x2xf32>) {
  ^bb0(%a: f32, %c: i64, %o: f32):
    %same = arith.cmpi eq, %c, %one : i64
    %f = arith.uitofp %same : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<?x2xf32>
  %g1 = linalg.generic {indexing_maps = [#tk, affine_map<(t, k) -> (t)>], iterator_types = ["parallel", "reduction"]} ins(%m1 : tensor<?x2xf32>) outs(%g : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  %y1 = linalg.generic {indexing_maps = [#tn, #t, #tn], iterator_types = ["parallel", "parallel"]} ins(%y, %g1 : tensor<?x8xf32>, tensor<?xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  %m2 = linalg.generic {indexing_maps = [#tk, #tk, #tk], iterator_types = ["parallel", "parallel"]} ins(%w, %chosen : tensor<?x2xf32>, tensor<?x2xi64>) outs(%k0 : tensor<?x2xf32>) {
  ^bb0(%a: f32, %c: i64, %o: f32):
    %same = arith.cmpi eq, %c, %two : i64
    %f = arith.uitofp %same : i1 to f32
    %p = arith.mulf %a, %f : f32
    linalg.yield %p : f32
  } -> tensor<?x2xf32>
  %g2 = linalg.generic {indexing_maps = [#tk, affine_map<(t, k) -> (t)>], iterator_types = ["parallel", "reduction"]} ins(%m2 : tensor<?x2xf32>) outs(%g : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  %y2 = linalg.generic {indexing_maps = [#tn, #t, #tn], iterator_types = ["parallel", "parallel"]} ins(%y, %g2 : tensor<?x8xf32>, tensor<?xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<?x8xf32>
  return %y1, %y2 : tensor<?x8xf32>, tensor<?x8xf32>
}
