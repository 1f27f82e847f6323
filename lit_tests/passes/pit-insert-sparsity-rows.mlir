// RUN: pit-mlir-opt %s -p "pit-insert-sparsity{only=rows}" --split-input-file | filecheck %s

// R3 at a select: the value is read and written through the index of the mask.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @select
// CHECK-SAME: (%[[X:.*]]: tensor<4x?x8xf32>, %[[M:.*]]: tensor<4x?xi64>,
// CHECK: %[[I:.*]] = "pit.detect"(%[[M]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>}
// CHECK: %[[R:.*]] = "pit.sread"(%[[X]], %[[I]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>}
// CHECK: %[[Z:.*]] = linalg.fill
// CHECK: %[[W:.*]] = "pit.swrite"(%[[R]], %[[Z]], %[[I]]) {axis = array<i64: 0, 1>, combine = "store", group = array<i64: 0, 1>}
// CHECK: return %[[W]]
func.func @select(%x: tensor<4x?x8xf32>, %mask: tensor<4x?xi64>, %n: index) -> tensor<4x?x8xf32> {
  %c0 = arith.constant 0 : i64
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%n) : tensor<4x?x8xf32>
  %y = linalg.generic {indexing_maps = [#bt, #btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%mask, %x : tensor<4x?xi64>, tensor<4x?x8xf32>) outs(%e : tensor<4x?x8xf32>) {
  ^bb0(%m: i64, %a: f32, %o: f32):
    %live = arith.cmpi ne, %m, %c0 : i64
    %s = arith.select %live, %a, %zero : f32
    linalg.yield %s : f32
  } -> tensor<4x?x8xf32>
  return %y : tensor<4x?x8xf32>
}

// -----

// R3 at a product: the mask is a cast of the argument; the product itself is read.

#bt = affine_map<(b, t, d) -> (b, t)>
#id2 = affine_map<(b, t) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @product
// CHECK-SAME: (%{{.*}}, %[[M:.*]]: tensor<4x5xi1>)
// CHECK: %[[C:.*]] = linalg.generic
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: arith.mulf
// CHECK: %[[I:.*]] = "pit.detect"(%[[M]])
// CHECK: "pit.sread"(%[[Y]], %[[I]])
// CHECK: "pit.swrite"
func.func @product(%x: tensor<4x5x8xf32>, %mask: tensor<4x5xi1>) -> tensor<4x5x8xf32> {
  %e2 = tensor.empty() : tensor<4x5xf32>
  %e = tensor.empty() : tensor<4x5x8xf32>
  %c = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%mask : tensor<4x5xi1>) outs(%e2 : tensor<4x5xf32>) {
  ^bb0(%m: i1, %o: f32):
    %f = arith.uitofp %m : i1 to f32
    linalg.yield %f : f32
  } -> tensor<4x5xf32>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %c : tensor<4x5x8xf32>, tensor<4x5xf32>) outs(%e : tensor<4x5x8xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %p = arith.mulf %a, %m : f32
    linalg.yield %p : f32
  } -> tensor<4x5x8xf32>
  return %y : tensor<4x5x8xf32>
}

// -----

// Not at a product of floats (a scale says nothing of zeros), not at another background, not for truth values.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @other
// CHECK-NOT: pit.
func.func @other(%x: tensor<4x5x8xf32>, %scale: tensor<4x5xf32>, %mask: tensor<4x5xi1>, %flags: tensor<4x5x8xi1>)
    -> (tensor<4x5x8xf32>, tensor<4x5x8xf32>, tensor<4x5x8xf32>) {
  %lowest = arith.constant -3.40282347E+38 : f32
  %false = arith.constant false
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x5x8xf32>
  %eb = tensor.empty() : tensor<4x5x8xi1>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %scale : tensor<4x5x8xf32>, tensor<4x5xf32>) outs(%e : tensor<4x5x8xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %p = arith.mulf %a, %m : f32
    linalg.yield %p : f32
  } -> tensor<4x5x8xf32>
  %s = linalg.generic {indexing_maps = [#bt, #btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%mask, %x : tensor<4x5xi1>, tensor<4x5x8xf32>) outs(%e : tensor<4x5x8xf32>) {
  ^bb0(%m: i1, %a: f32, %o: f32):
    %p = arith.select %m, %a, %lowest : f32
    linalg.yield %p : f32
  } -> tensor<4x5x8xf32>
  %b = linalg.generic {indexing_maps = [#bt, #btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%mask, %flags : tensor<4x5xi1>, tensor<4x5x8xi1>) outs(%eb : tensor<4x5x8xi1>) {
  ^bb0(%m: i1, %a: i1, %o: i1):
    %p = arith.select %m, %a, %false : i1
    linalg.yield %p : i1
  } -> tensor<4x5x8xi1>
  %f = linalg.generic {indexing_maps = [#btd, #btd, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%b, %x : tensor<4x5x8xi1>, tensor<4x5x8xf32>) outs(%e : tensor<4x5x8xf32>) {
  ^bb0(%m: i1, %a: f32, %o: f32):
    %n = arith.select %m, %zero, %a : f32
    linalg.yield %n : f32
  } -> tensor<4x5x8xf32>
  return %y, %s, %f : tensor<4x5x8xf32>, tensor<4x5x8xf32>, tensor<4x5x8xf32>
}

// -----

// Not at an input that scales columns, as a norm does; at one over rows.

#td = affine_map<(t, d) -> (t, d)>

// CHECK-LABEL: func.func @columns
// CHECK-NOT: pit.detect
// CHECK: return
func.func @columns(%x: tensor<5x8xf32>, %scale: tensor<8xf32> {pit.kind = "input", pit.name = "scale"}) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<5x8xf32>
  %y = linalg.generic {indexing_maps = [#td, affine_map<(t, d) -> (d)>, #td], iterator_types = ["parallel", "parallel"]}
      ins(%x, %scale : tensor<5x8xf32>, tensor<8xf32>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %p = arith.mulf %a, %m : f32
    linalg.yield %p : f32
  } -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}

// CHECK-LABEL: func.func @scaled_rows
// CHECK: pit.detect
func.func @scaled_rows(%x: tensor<5x8xf32>, %scale: tensor<5xf32> {pit.kind = "input", pit.name = "scale"}) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<5x8xf32>
  %y = linalg.generic {indexing_maps = [#td, affine_map<(t, d) -> (t)>, #td], iterator_types = ["parallel", "parallel"]}
      ins(%x, %scale : tensor<5x8xf32>, tensor<5xf32>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    %p = arith.mulf %a, %m : f32
    linalg.yield %p : f32
  } -> tensor<5x8xf32>
  return %y : tensor<5x8xf32>
}
