// RUN: pit-mlir-opt %s --pit-prove-permutation 2>&1 | filecheck %s

// The position is read in the body: along the classes the row is zero but at the class itself. The classes are tied
// to their positions; nothing is said of the rows by d0, and by the keys only if no key occurs twice.
// CHECK-LABEL: func.func @one_hot
// CHECK: pit.axes = ["parallel", "none"]
// CHECK-SAME: pit.deltas = ["operand 0 = d1", "d1 = operand 0"]
func.func @one_hot(%key: tensor<7xi64>, %o: tensor<7x5xf32>) -> tensor<7x5xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e) -> (t)>, affine_map<(t, e) -> (t, e)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%key : tensor<7xi64>) outs(%o : tensor<7x5xf32>) {
  ^bb0(%k: i64, %out: f32):
    %p = linalg.index 1 : index
    %q = arith.index_cast %p : index to i64
    %c = arith.cmpi eq, %k, %q : i64
    %r = arith.uitofp %c : i1 to f32
    linalg.yield %r : f32
  } -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// In normal form the positions are an operand.
// CHECK-LABEL: func.func @outlined
// CHECK: pit.axes = ["parallel", "parallel"]
// CHECK-SAME: pit.deltas = ["operand 0 = operand 1", "operand 1 = operand 0"]
func.func @outlined(%key: tensor<7xi64>, %iota: tensor<5xi64>, %o: tensor<7x5xf32>) -> tensor<7x5xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e) -> (t)>, affine_map<(t, e) -> (e)>, affine_map<(t, e) -> (t, e)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%key, %iota : tensor<7xi64>, tensor<5xi64>) outs(%o : tensor<7x5xf32>) {
  ^bb0(%k: i64, %i: i64, %out: f32):
    %c = arith.cmpi eq, %k, %i : i64
    %r = arith.uitofp %c : i1 to f32
    linalg.yield %r : f32
  } -> tensor<7x5xf32>
  return %0 : tensor<7x5xf32>
}

// The dispatch of routed experts with a capacity, in one body: a token has one expert, and there one slot.
// CHECK-LABEL: func.func @dispatch
// CHECK: pit.assumes = ["the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.axes = ["parallel", "none", "none"]
// CHECK-SAME: pit.deltas = ["operand 0 = d1", "d1 = operand 0", "d2 = operand 1"]
// CHECK-SAME: pit.masks = [{}, {}, {"0" = array<i64: 0, 1>}]
func.func @dispatch(%expert: tensor<7xi32>, %slot: tensor<7x5xi64>, %gate: tensor<7xf32>, %o: tensor<7x5x3xf32>) -> tensor<7x5x3xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e, c) -> (t)>, affine_map<(t, e, c) -> (t, e)>,
                                        affine_map<(t, e, c) -> (t)>, affine_map<(t, e, c) -> (t, e, c)>],
                       iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%expert, %slot, %gate : tensor<7xi32>, tensor<7x5xi64>, tensor<7xf32>) outs(%o : tensor<7x5x3xf32>) {
  ^bb0(%x: i32, %s: i64, %g: f32, %out: f32):
    %e = linalg.index 1 : index
    %f = arith.index_cast %e : index to i32
    %c = linalg.index 2 : index
    %d = arith.index_cast %c : index to i64
    %p = arith.cmpi eq, %x, %f : i32
    %q = arith.cmpi eq, %s, %d : i64
    %u = arith.uitofp %p : i1 to f32
    %v = arith.uitofp %q : i1 to f32
    %m = arith.mulf %u, %v : f32
    %r = arith.mulf %m, %g : f32
    linalg.yield %r : f32
  } -> tensor<7x5x3xf32>
  return %0 : tensor<7x5x3xf32>
}

// Under a reduction: one expert adds something to each row.
// CHECK-LABEL: func.func @combine
// CHECK: pit.axes = ["parallel", "reduction", "parallel"]
// CHECK-SAME: pit.deltas = ["operand 0 = operand 1", "operand 1 = operand 0", "none"]
func.func @combine(%key: tensor<7xi64>, %iota: tensor<5xi64>, %y: tensor<5x7x2xf32>, %o: tensor<7x2xf32>) -> tensor<7x2xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e, d) -> (t)>, affine_map<(t, e, d) -> (e)>,
                                        affine_map<(t, e, d) -> (e, t, d)>, affine_map<(t, e, d) -> (t, d)>],
                       iterator_types = ["parallel", "reduction", "parallel"]}
      ins(%key, %iota, %y : tensor<7xi64>, tensor<5xi64>, tensor<5x7x2xf32>) outs(%o : tensor<7x2xf32>) {
  ^bb0(%k: i64, %i: i64, %x: f32, %acc: f32):
    %zero = arith.constant 0.0 : f32
    %c = arith.cmpi eq, %k, %i : i64
    %p = arith.select %c, %x, %zero : f32
    %r = arith.addf %acc, %p : f32
    linalg.yield %r : f32
  } -> tensor<7x2xf32>
  return %0 : tensor<7x2xf32>
}

// A diagonal, one row by its number, and a position that no operand names.
// CHECK-LABEL: func.func @diagonal
// CHECK: pit.deltas = ["d0 = d1", "d1 = d0"]
func.func @diagonal(%o: tensor<5x5xi1>) -> tensor<5x5xi1> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%o : tensor<5x5xi1>) {
  ^bb0(%out: i1):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %r = arith.cmpi eq, %i, %j : index
    linalg.yield %r : i1
  } -> tensor<5x5xi1>
  return %0 : tensor<5x5xi1>
}
// CHECK-LABEL: func.func @third_row
// CHECK: pit.deltas = ["d0 = 2", "none"]
func.func @third_row(%x: tensor<5x5xf32>, %o: tensor<5x5xf32>) -> tensor<5x5xf32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<5x5xf32>) outs(%o : tensor<5x5xf32>) {
  ^bb0(%in: f32, %out: f32):
    %two = arith.constant 2 : index
    %zero = arith.constant 0.0 : f32
    %i = linalg.index 0 : index
    %c = arith.cmpi eq, %i, %two : index
    %r = arith.select %c, %in, %zero : f32
    linalg.yield %r : f32
  } -> tensor<5x5xf32>
  return %0 : tensor<5x5xf32>
}
// CHECK-LABEL: func.func @next
// CHECK: pit.deltas = ["operand 0 = ?", "d1 = ?"]
func.func @next(%key: tensor<7xi64>, %o: tensor<7x5xi64>) -> tensor<7x5xi64> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e) -> (t)>, affine_map<(t, e) -> (t, e)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%key : tensor<7xi64>) outs(%o : tensor<7x5xi64>) {
  ^bb0(%k: i64, %out: i64):
    %one = arith.constant 1 : i64
    %p = linalg.index 1 : index
    %q = arith.index_cast %p : index to i64
    %n = arith.addi %k, %one : i64
    %c = arith.cmpi eq, %n, %q : i64
    %r = arith.extui %c : i1 to i64
    linalg.yield %r : i64
  } -> tensor<7x5xi64>
  return %0 : tensor<7x5xi64>
}

// None: a mask of several positions, and a row that is 1 where the one-hot row is 0.
// CHECK-LABEL: func.func @causal
// CHECK-NOT: pit.deltas
func.func @causal(%o: tensor<5x5xi1>) -> tensor<5x5xi1> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      outs(%o : tensor<5x5xi1>) {
  ^bb0(%out: i1):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %r = arith.cmpi sle, %j, %i : index
    linalg.yield %r : i1
  } -> tensor<5x5xi1>
  return %0 : tensor<5x5xi1>
}
// CHECK-LABEL: func.func @one_cold
// CHECK-NOT: pit.deltas
func.func @one_cold(%key: tensor<7xi64>, %iota: tensor<5xi64>, %o: tensor<7x5xi1>) -> tensor<7x5xi1> {
  %0 = linalg.generic {indexing_maps = [affine_map<(t, e) -> (t)>, affine_map<(t, e) -> (e)>, affine_map<(t, e) -> (t, e)>],
                       iterator_types = ["parallel", "parallel"]}
      ins(%key, %iota : tensor<7xi64>, tensor<5xi64>) outs(%o : tensor<7x5xi1>) {
  ^bb0(%k: i64, %i: i64, %out: i1):
    %r = arith.cmpi ne, %k, %i : i64
    linalg.yield %r : i1
  } -> tensor<7x5xi1>
  return %0 : tensor<7x5xi1>
}
