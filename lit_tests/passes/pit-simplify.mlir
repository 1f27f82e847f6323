// RUN: pit-mlir-opt %s -p "pit-prove-permutation, pit-simplify" --split-input-file | filecheck %s

// R1: the read goes up through element-wise work, a contraction and a row reduction; a table over tokens is read
// through the projection of the index, a weight as it is, and the fill is made anew. R4 then cancels it.

#bt = affine_map<(b, t, d) -> (b, t)>
#td = affine_map<(b, t, d) -> (t, d)>
#btd = affine_map<(b, t, d) -> (b, t, d)>
#btk = affine_map<(b, t, n, k) -> (b, t, k)>
#nk = affine_map<(b, t, n, k) -> (n, k)>
#btn = affine_map<(b, t, n, k) -> (b, t, n)>

// CHECK-DAG: #[[RK:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[NK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[RN:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @hoist
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x8xf32>, %[[POS:.*]]: tensor<?x8xf32>, %[[W:.*]]: tensor<16x8xf32>, %[[M:.*]]: tensor<?x?xi1>)
// CHECK: %[[I:.*]] = "pit.detect"(%[[M]])
// CHECK-NOT: pit.detect
// CHECK-DAG: %[[XR:.*]] = "pit.sread"(%[[X]], %[[I]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
// CHECK-DAG: %[[PR:.*]] = "pit.sread"(%[[POS]], %[[I]]) {axis = array<i64: 0>, group = array<i64: 1>}
// CHECK: %[[SUM:.*]] = linalg.generic
// CHECK-SAME: ins(%[[XR]], %[[PR]] : tensor<?x8xf32>, tensor<?x8xf32>)
// CHECK-SAME: attrs = {{.*}}pit.axes = ["parallel", "parallel"]
// CHECK: %[[FILL:.*]] = linalg.fill {{.*}} -> tensor<?x16xf32>
// CHECK: %[[P:.*]] = linalg.generic {indexing_maps = [#[[RK]], #[[NK]], #[[RN]]]
// CHECK-SAME: ins(%[[SUM]], %[[W]] : tensor<?x8xf32>, tensor<16x8xf32>) outs(%[[FILL]] : tensor<?x16xf32>)
// CHECK-SAME: pit.axes = ["parallel", "parallel", "reduction"]
// CHECK: %[[Y:.*]] = "pit.swrite"(%[[P]],
// CHECK-NOT: pit.sread
// CHECK: return %[[Y]]
func.func @hoist(%x: tensor<?x?x8xf32>, %pos: tensor<?x8xf32>, %w: tensor<16x8xf32>, %mask: tensor<?x?xi1>)
    -> tensor<?x?x16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %b = tensor.dim %x, %c0 : tensor<?x?x8xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x8xf32>
  %e = tensor.empty(%b, %t) : tensor<?x?x8xf32>
  %sum = linalg.generic {indexing_maps = [#btd, #td, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %pos : tensor<?x?x8xf32>, tensor<?x8xf32>) outs(%e : tensor<?x?x8xf32>) {
  ^bb0(%a: f32, %p: f32, %o: f32):
    %s = arith.addf %a, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x8xf32>
  // A size asked of a value that becomes compact is asked of the argument instead.
  %n = tensor.dim %sum, %c1 : tensor<?x?x8xf32>
  %e16 = tensor.empty(%b, %n) : tensor<?x?x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e16 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
  %prod = linalg.generic {indexing_maps = [#btk, #nk, #btn], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%sum, %w : tensor<?x?x8xf32>, tensor<16x8xf32>) outs(%f : tensor<?x?x16xf32>) {
  ^bb0(%a: f32, %v: f32, %o: f32):
    %p = arith.mulf %a, %v : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x16xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<?x?xi1>) -> !pit.index
  %r = "pit.sread"(%prod, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<?x?x16xf32>, !pit.index) -> tensor<?x16xf32>
  %y = "pit.swrite"(%r, %f, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x16xf32>, tensor<?x?x16xf32>, !pit.index) -> tensor<?x?x16xf32>
  // R4, through an index that is the same once equal ones are merged.
  %j = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<?x?xi1>) -> !pit.index
  %again = "pit.sread"(%y, %j) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<?x?x16xf32>, !pit.index) -> tensor<?x16xf32>
  %out = "pit.swrite"(%again, %f, %j) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x16xf32>, tensor<?x?x16xf32>, !pit.index) -> tensor<?x?x16xf32>
  return %out : tensor<?x?x16xf32>
}

// -----

// Another user that reads the value as a whole keeps it dense: it is read once, below it all is compact.

#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @dense_user
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK-SAME: outs(%{{.*}} : tensor<2x5x8xf32>)
// CHECK: %[[R:.*]] = "pit.sread"(%[[Y]],
// CHECK: %[[N:.*]] = linalg.generic
// CHECK-SAME: ins(%[[R]] : tensor<?x8xf32>)
// CHECK: "pit.swrite"(%[[N]],
// CHECK: return %[[Y]]
func.func @dense_user(%x: tensor<2x5x8xf32>, %mask: tensor<2x5xi1>) -> (tensor<2x5x8xf32>, tensor<2x5x8xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  %y = linalg.generic {indexing_maps = [#btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<2x5x8xf32>) outs(%e : tensor<2x5x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<2x5x8xf32>
  %n = linalg.generic {indexing_maps = [#btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%y : tensor<2x5x8xf32>) outs(%e : tensor<2x5x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<2x5x8xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<2x5xi1>) -> !pit.index
  %r = "pit.sread"(%n, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
      : (tensor<2x5x8xf32>, !pit.index) -> tensor<?x8xf32>
  %w = "pit.swrite"(%r, %f, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x8xf32>, tensor<2x5x8xf32>, !pit.index) -> tensor<2x5x8xf32>
  return %y, %w : tensor<2x5x8xf32>, tensor<2x5x8xf32>
}

// -----

// Data movement along other axes: slices, concatenations, paddings and reshapes of rows, time-major.

// CHECK-LABEL: func.func @movement
// CHECK-SAME: (%[[X:.*]]: tensor<5x2x8xf32>
// CHECK-DAG: %[[N:.*]] = "pit.size"
// CHECK-DAG: %[[R:.*]] = "pit.sread"(%[[X]], %{{.*}}) {axis = array<i64: 1, 0>, group = array<i64: 0, 1>}
// CHECK: tensor.extract_slice %[[R]][0, 4] [%[[N]], 4] [1, 1] : tensor<?x8xf32> to tensor<?x4xf32>
// CHECK: tensor.concat dim(1) {{.*}} -> tensor<?x12xf32>
// CHECK: tensor.pad {{.*}} low[0, 2] high[0, 2]
// CHECK: tensor.expand_shape {{.*}} {{\[\[}}0], [1, 2]] output_shape [%[[N]], 4, 4]
// CHECK: tensor.collapse_shape {{.*}} {{\[\[}}0], [1, 2]]
// CHECK: "pit.swrite"{{.*}}: (tensor<?x16xf32>, tensor<5x2x16xf32>
func.func @movement(%x: tensor<5x2x8xf32>, %mask: tensor<2x5xi1>) -> tensor<5x2x16xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x2x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x2x16xf32>) -> tensor<5x2x16xf32>
  %half = tensor.extract_slice %x[0, 0, 4] [5, 2, 4] [1, 1, 1] : tensor<5x2x8xf32> to tensor<5x2x4xf32>
  %cat = tensor.concat dim(2) %half, %x : (tensor<5x2x4xf32>, tensor<5x2x8xf32>) -> tensor<5x2x12xf32>
  %pad = tensor.pad %cat low[0, 0, 2] high[0, 0, 2] {
  ^bb0(%a: index, %b: index, %c: index):
    tensor.yield %zero : f32
  } : tensor<5x2x12xf32> to tensor<5x2x16xf32>
  %heads = tensor.expand_shape %pad [[0], [1], [2, 3]] output_shape [5, 2, 4, 4] : tensor<5x2x16xf32> into tensor<5x2x4x4xf32>
  %back = tensor.collapse_shape %heads [[0], [1], [2, 3]] : tensor<5x2x4x4xf32> into tensor<5x2x16xf32>
  %i = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<2x5xi1>) -> !pit.index
  %r = "pit.sread"(%back, %i) {axis = array<i64: 1, 0>, group = array<i64: 0, 1>}
      : (tensor<5x2x16xf32>, !pit.index) -> tensor<?x16xf32>
  %w = "pit.swrite"(%r, %f, %i) {axis = array<i64: 1, 0>, group = array<i64: 0, 1>, combine = "store"}
      : (tensor<?x16xf32>, tensor<5x2x16xf32>, !pit.index) -> tensor<5x2x16xf32>
  return %w : tensor<5x2x16xf32>
}

// A tensor of rank 0 becomes one of two dimensions: neither of them is one of its own.
// CHECK-LABEL: func.func @of_rank_0
// CHECK: tensor.expand_shape
// CHECK: "pit.sread"
func.func @of_rank_0(%x: tensor<f32>, %m: tensor<1x1xi1>) -> tensor<?xf32> {
  %e = tensor.expand_shape %x [] output_shape [1, 1] : tensor<f32> into tensor<1x1xf32>
  %i = "pit.detect"(%m) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64}
      : (tensor<1x1xi1>) -> !pit.index
  %r = "pit.sread"(%e, %i) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<1x1xf32>, !pit.index) -> tensor<?xf32>
  return %r : tensor<?xf32>
}

// -----

// A sort leaves its rows apart: those that are read are sorted, along the dimension that the index leaves alone.
//
// CHECK-LABEL: func.func @sorted
// CHECK: %[[ROWS:.*]] = "pit.sread"(%{{.*}}, %{{.*}}) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<3x9x4xf32>, !pit.index) -> tensor<?x4xf32>
// CHECK: %[[SORTED:.*]] = tm_tensor.sort dimension(1) outs(%[[ROWS]] : tensor<?x4xf32>)
// CHECK: return %[[SORTED]]
func.func @sorted(%x: tensor<3x9x4xf32>, %mask: tensor<3x9xi1>) -> tensor<?x4xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<3x9xi1>) -> !pit.index
  %s = tm_tensor.sort dimension(2) outs(%x : tensor<3x9x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf oge, %a, %b : f32
    tm_tensor.yield %c : i1
  } -> tensor<3x9x4xf32>
  %r = "pit.sread"(%s, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<3x9x4xf32>, !pit.index) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// -----

// Along the dimension of the index the rows of a sort are not those of its operand.
//
// CHECK-LABEL: func.func @sorted_rows
// CHECK: tm_tensor.sort dimension(1) outs(%{{.*}} : tensor<3x9x4xf32>)
// CHECK: "pit.sread"
func.func @sorted_rows(%x: tensor<3x9x4xf32>, %mask: tensor<3x9xi1>) -> tensor<?x4xf32> {
  %I = "pit.detect"(%mask) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64} : (tensor<3x9xi1>) -> !pit.index
  %s = tm_tensor.sort dimension(1) outs(%x : tensor<3x9x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf oge, %a, %b : f32
    tm_tensor.yield %c : i1
  } -> tensor<3x9x4xf32>
  %r = "pit.sread"(%s, %I) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<3x9x4xf32>, !pit.index) -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}
