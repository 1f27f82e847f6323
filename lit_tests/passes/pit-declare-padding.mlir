// RUN: pit-mlir-opt %s -p "pit-declare-padding{argument=1}" --split-input-file --verify-diagnostics | filecheck %s

// A result over (batch, token) is 0 where the mask is.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @result
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x8xf32>, %[[M:.*]]: tensor<?x?xi1>,
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: arith.mulf
// CHECK: %[[S:.*]] = linalg.generic
// CHECK-SAME: ins(%[[M]], %[[Y]] :
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : f32
// CHECK: return %[[S]]
func.func @result(%x: tensor<?x?x8xf32>, %mask: tensor<?x?xi1>, %b: index, %t: index) -> tensor<?x?x8xf32> {
  %e = tensor.empty(%b, %t) : tensor<?x?x8xf32>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mask : tensor<?x?x8xf32>, tensor<?x?xi1>) outs(%e : tensor<?x?x8xf32>) {
  ^bb0(%a: f32, %m: i1, %o: f32):
    %p = arith.mulf %a, %a : f32
    linalg.yield %p : f32
  } -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Time-major inside: the axes are found wherever they stand, for integer and for float masks.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>
#tbd = affine_map<(b, t, d) -> (t, b, d)>
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#swapped = affine_map<(d0, d1, d2) -> (d1, d0)>

// CHECK-DAG: #[[SWAPPED:.*]] = affine_map<(d0, d1, d2) -> (d1, d0)>
// CHECK-LABEL: func.func @time_major
// CHECK: linalg.generic
// CHECK: linalg.generic {indexing_maps = [#[[SWAPPED]],
// CHECK: arith.cmpi ne
// CHECK: arith.select
func.func @time_major(%x: tensor<2x5x8xf32>, %mask: tensor<2x5xi64>) -> tensor<5x2x8xf32> {
  %e = tensor.empty() : tensor<5x2x8xf32>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #tbd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mask : tensor<2x5x8xf32>, tensor<2x5xi64>) outs(%e : tensor<5x2x8xf32>) {
  ^bb0(%a: f32, %m: i64, %o: f32):
    linalg.yield %a : f32
  } -> tensor<5x2x8xf32>
  return %y : tensor<5x2x8xf32>
}

// -----

// A slice of one token reads the masked value; a slice along another axis does not.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>

// CHECK-LABEL: func.func @slices
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: %[[S:.*]] = linalg.generic
// CHECK: arith.cmpf une
// CHECK: arith.select
// CHECK: tensor.extract_slice %[[Y]][0, 0, 4]
// CHECK: tensor.extract_slice %[[S]][0, 0, 0] [2, 1, 8]
func.func @slices(%x: tensor<2x5x8xf32>, %mask: tensor<2x5xf32>) -> (tensor<2x5x4xf32>, tensor<2x8xf32>) {
  %e = tensor.empty() : tensor<2x5x8xf32>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mask : tensor<2x5x8xf32>, tensor<2x5xf32>) outs(%e : tensor<2x5x8xf32>) {
  ^bb0(%a: f32, %m: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x5x8xf32>
  %half = tensor.extract_slice %y[0, 0, 4] [2, 5, 4] [1, 1, 1] : tensor<2x5x8xf32> to tensor<2x5x4xf32>
  // expected-remark@+1 {{assumes: the rows that this slice reads are live}}
  %first = tensor.extract_slice %y[0, 0, 0] [2, 1, 8] [1, 1, 1] : tensor<2x5x8xf32> to tensor<2x8xf32>
  // expected-remark@+1 {{result 1 does not carry (batch, token): returned as it is}}
  return %half, %first : tensor<2x5x4xf32>, tensor<2x8xf32>
}

// -----

// An iota, a fill and an empty tensor may stand for any axis of their size: they join nothing.

#b = affine_map<(b, t) -> (b)>
#bt = affine_map<(b, t) -> (b, t)>
#c = affine_map<(b, c) -> (c)>

// CHECK-LABEL: func.func @shared_iota
// CHECK: return %{{.*}}, %{{.*}}, %{{.*}} : tensor<5x5xf32>, tensor<5x5xf32>, tensor<5x5xi1>
// CHECK-NOT: arith.select
func.func @shared_iota(%x: tensor<5x5xf32>, %mask: tensor<5x5xi1>)
    -> (tensor<5x5xf32>, tensor<5x5xf32>, tensor<5x5xi1>) {
  %e = tensor.empty() : tensor<5xindex>
  %f = tensor.empty() : tensor<5x5xf32>
  %iota = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%e : tensor<5xindex>) {
  ^bb0(%o: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  } -> tensor<5xindex>
  %y = linalg.generic {indexing_maps = [#bt, #c, #bt], iterator_types = ["parallel", "parallel"]}
      ins(%x, %iota : tensor<5x5xf32>, tensor<5xindex>) outs(%f : tensor<5x5xf32>) {
  ^bb0(%a: f32, %i: index, %o: f32):
    linalg.yield %a : f32
  } -> tensor<5x5xf32>
  // expected-remark@+2 {{result 0 does not carry (batch, token): returned as it is}}
  // expected-remark@+1 {{result 1 does not carry (batch, token): returned as it is}}
  return %y, %x, %mask : tensor<5x5xf32>, tensor<5x5xf32>, tensor<5x5xi1>
}

// -----

// A mean over all tokens reads unused ones as well.

#bt = affine_map<(b, t, d) -> (b, t)>
#btd = affine_map<(b, t, d) -> (b, t, d)>
#bd = affine_map<(b, d, t) -> (b, d)>
#in = affine_map<(b, d, t) -> (b, t, d)>

// CHECK-LABEL: func.func @pooled
// CHECK-NOT: arith.select
func.func @pooled(%x: tensor<2x5x8xf32>, %mask: tensor<2x5xi1>) -> tensor<2x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x5x8xf32>
  %e2 = tensor.empty() : tensor<2x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e2 : tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = linalg.generic {indexing_maps = [#btd, #bt, #btd], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %mask : tensor<2x5x8xf32>, tensor<2x5xi1>) outs(%e : tensor<2x5x8xf32>) {
  ^bb0(%a: f32, %m: i1, %o: f32):
    linalg.yield %a : f32
  } -> tensor<2x5x8xf32>
  // expected-remark@+1 {{reduces over tokens, and the mask does not make the unused ones 0: its input stays dense}}
  %s = linalg.generic {indexing_maps = [#in, #bd], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%y : tensor<2x5x8xf32>) outs(%z : tensor<2x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = arith.addf %a, %o : f32
    linalg.yield %p : f32
  } -> tensor<2x8xf32>
  // expected-remark@+1 {{result 0 does not carry (batch, token): returned as it is}}
  return %s : tensor<2x8xf32>
}

// -----

// A batch of one: the normal form has no dimension for it, the mask loses it as well.

#t = affine_map<(t, d) -> (t)>
#td = affine_map<(t, d) -> (t, d)>

// CHECK-LABEL: func.func @one_sequence
// CHECK: %[[M:.*]] = tensor.collapse_shape %arg1 {{\[\[}}0, 1]] : tensor<1x5xi1> into tensor<5xi1>
// CHECK: %[[Y:.*]] = tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins(%[[M]], %[[Y]] : tensor<5xi1>, tensor<1x5x8xf32>)
// CHECK: arith.select
func.func @one_sequence(%x: tensor<5x8xf32>, %mask: tensor<1x5xi1>) -> tensor<1x5x8xf32> {
  %e = tensor.empty() : tensor<5x8xf32>
  %m = tensor.collapse_shape %mask [[0, 1]] : tensor<1x5xi1> into tensor<5xi1>
  %y = linalg.generic {indexing_maps = [#td, #t, #td], iterator_types = ["parallel", "parallel"]}
      ins(%x, %m : tensor<5x8xf32>, tensor<5xi1>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: i1, %o: f32):
    %p = arith.mulf %a, %a : f32
    linalg.yield %p : f32
  } -> tensor<5x8xf32>
  %z = tensor.expand_shape %y [[0, 1], [2]] output_shape [1, 5, 8] : tensor<5x8xf32> into tensor<1x5x8xf32>
  return %z : tensor<1x5x8xf32>
}
