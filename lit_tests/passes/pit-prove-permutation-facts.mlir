// RUN: pit-mlir-opt %s --pit-prove-permutation 2>&1 | filecheck %s
// RUN: pit-mlir-opt %s --pit-prove-permutation 2>/dev/null | pit-mlir-opt - --pit-prove-permutation 2>&1 | filecheck %s

// Attributes are what they were after a second pass, and read as they were written.

// pit.neutral: the ends of integer types, each of its extremum. 0 is the end of the numbers without sign.
// CHECK-LABEL: func.func @signed_max
// CHECK: pit.annihilates = [false]
// CHECK-SAME: pit.background = ["init"]
// CHECK-SAME: pit.fill = {{\[\["signed-min"\]\]}}
// CHECK-SAME: pit.neutral = {{\[\["signed-min"\]\]}}
func.func @signed_max(%x: tensor<9xi8>, %o: tensor<i8>) -> tensor<i8> {
  %0 = linalg.reduce { arith.maxsi } ins(%x : tensor<9xi8>) outs(%o : tensor<i8>) dimensions = [0]
  return %0 : tensor<i8>
}
// CHECK-LABEL: func.func @signed_min
// CHECK: pit.neutral = {{\[\["signed-max"\]\]}}
func.func @signed_min(%x: tensor<9xi64>, %o: tensor<i64>) -> tensor<i64> {
  %0 = linalg.reduce { arith.minsi } ins(%x : tensor<9xi64>) outs(%o : tensor<i64>) dimensions = [0]
  return %0 : tensor<i64>
}
// CHECK-LABEL: func.func @unsigned_max
// CHECK: pit.neutral = {{\[\["0"\]\]}}
func.func @unsigned_max(%x: tensor<9xi32>, %o: tensor<i32>) -> tensor<i32> {
  %0 = linalg.reduce { arith.maxui } ins(%x : tensor<9xi32>) outs(%o : tensor<i32>) dimensions = [0]
  return %0 : tensor<i32>
}
// CHECK-LABEL: func.func @unsigned_min
// CHECK: pit.neutral = {{\[\["all-ones"\]\]}}
func.func @unsigned_min(%x: tensor<9xi32>, %o: tensor<i32>) -> tensor<i32> {
  %0 = linalg.reduce { arith.minui } ins(%x : tensor<9xi32>) outs(%o : tensor<i32>) dimensions = [0]
  return %0 : tensor<i32>
}
// CHECK-LABEL: func.func @float_min
// CHECK: pit.neutral = {{\[\["\+inf"\]\]}}
func.func @float_min(%x: tensor<9xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.reduce { arith.minimumf } ins(%x : tensor<9xf32>) outs(%o : tensor<f32>) dimensions = [0]
  return %0 : tensor<f32>
}

// No value of the base is neutral in a sum of squared differences: no background, and nothing to fill with.
// CHECK-LABEL: func.func @squared_differences
// CHECK: pit.annihilates = [false, false]
// CHECK-SAME: pit.axes = ["reduction"]
// CHECK-SAME: pit.background = ["none", "none"]
// CHECK-NOT: pit.deltas
// CHECK-SAME: pit.fill = {{\[\["0", "0"\]\]}}
// CHECK-SAME: pit.neutral = {{\[\[\], \[\]\]}}
func.func @squared_differences(%x: tensor<4xf32>, %y: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>],
                       iterator_types = ["reduction"]}
      ins(%x, %y : tensor<4xf32>, tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %d = arith.subf %a, %b : f32
    %q = arith.mulf %d, %d : f32
    %r = arith.addf %acc, %q : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}

// pit.fill needs all that carry the iterator, and an exp is 0 nowhere but at -inf.
// CHECK-LABEL: func.func @sum_of_exp
// CHECK: pit.fill = {{\[\["-inf"\]\]}}
// CHECK-SAME: pit.neutral = {{\[\["-inf"\]\]}}
func.func @sum_of_exp(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %e = math.exp %a : f32
    %r = arith.addf %acc, %e : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}
// CHECK-LABEL: func.func @sum_of_cos
// CHECK: pit.fill = {{\[\[\]\]}}
// CHECK-SAME: pit.neutral = {{\[\[\]\]}}
func.func @sum_of_cos(%x: tensor<4xf32>, %o: tensor<f32>) -> tensor<f32> {
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : tensor<4xf32>) outs(%o : tensor<f32>) {
  ^bb0(%a: f32, %acc: f32):
    %e = math.cos %a : f32
    %r = arith.addf %acc, %e : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}

// pit.masks: a product, a selection between two, a conjunction; a sum masks nothing but at the infinities.
// CHECK-LABEL: func.func @product
// CHECK: pit.assumes = ["the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.masks = [{"0" = array<i64: 1>}, {"0" = array<i64: 0>}]
func.func @product(%x: tensor<4xf32>, %y: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.mul ins(%x, %y : tensor<4xf32>, tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
// CHECK-LABEL: func.func @choice
// CHECK-NOT: pit.assumes
// CHECK: pit.masks = [{"0" = array<i64: 1>, "1" = array<i64: 2>}, {}, {}]
func.func @choice(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.select ins(%c, %x, %y : tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
// CHECK-LABEL: func.func @conjunction
// CHECK: pit.masks = [{"0" = array<i64: 1>}, {"0" = array<i64: 0>}]
func.func @conjunction(%x: tensor<4xi32>, %y: tensor<4xi32>, %o: tensor<4xi32>) -> tensor<4xi32> {
  %0 = linalg.map { arith.andi } ins(%x, %y : tensor<4xi32>, tensor<4xi32>) outs(%o : tensor<4xi32>)
  return %0 : tensor<4xi32>
}
// CHECK-LABEL: func.func @disjunction
// CHECK: pit.masks = [{"all-ones" = array<i64: 1>}, {"all-ones" = array<i64: 0>}]
func.func @disjunction(%x: tensor<4xi32>, %y: tensor<4xi32>, %o: tensor<4xi32>) -> tensor<4xi32> {
  %0 = linalg.map { arith.ori } ins(%x, %y : tensor<4xi32>, tensor<4xi32>) outs(%o : tensor<4xi32>)
  return %0 : tensor<4xi32>
}
// CHECK-LABEL: func.func @integer_max
// CHECK: pit.masks = [{"signed-max" = array<i64: 1>}, {"signed-max" = array<i64: 0>}]
func.func @integer_max(%x: tensor<4xi16>, %y: tensor<4xi16>, %o: tensor<4xi16>) -> tensor<4xi16> {
  %0 = linalg.map { arith.maxsi } ins(%x, %y : tensor<4xi16>, tensor<4xi16>) outs(%o : tensor<4xi16>)
  return %0 : tensor<4xi16>
}
// CHECK-LABEL: func.func @sum
// CHECK: pit.masks = [{"+inf" = array<i64: 1>, "-inf" = array<i64: 1>}, {"+inf" = array<i64: 0>, "-inf" = array<i64: 0>}]
func.func @sum(%x: tensor<4xf32>, %y: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.add ins(%x, %y : tensor<4xf32>, tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// pit.assumes: 0 / y is 0 but for y = 0.
// CHECK-LABEL: func.func @quotient
// CHECK: pit.annihilates = [true, false]
// CHECK-SAME: pit.assumes = ["denominators are not zero", "the data is finite (no NaN, no infinity)"]
// CHECK-SAME: pit.background = ["0", "expression of operands [0]"]
func.func @quotient(%x: tensor<4xf32>, %y: tensor<4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %0 = linalg.div ins(%x, %y : tensor<4xf32>, tensor<4xf32>) outs(%o : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
