// RUN: pit-mlir-opt %s --pit-prove-permutation --pit-insert-sparsity=only=lists --split-input-file 2>%t | filecheck %s
// RUN: filecheck %s --check-prefix=SAYS < %t

#mn = affine_map<(m, n) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>

// R2: the zeros of a ReLU are found in its values, a list of k for each block of rows m.

// CHECK-LABEL: func.func @relu
// CHECK: %[[H:.*]] = linalg.generic
// CHECK: %[[I:.*]] = "pit.detect"(%[[H]]) {axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64, segments = array<i64: 0>}
// CHECK: "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: "pit.element"(%[[H]])
// CHECK: }) {compact = false, group = array<i64: 0, 2>
// CHECK-SAME: pit.axes = ["parallel", "parallel", "reduction"]
// SAYS: remark: restricted to what is live by relu at {{.*}}: a list along reduced iterators
func.func @relu(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %e: tensor<?x8xf32>, %init: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.cmpf ugt, %a, %zero : f32
    %t = arith.select %c, %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %w : tensor<?x8xf32>, tensor<6x8xf32>) outs(%init : tensor<?x6xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

// R3: rows of a weight that a mask makes zero are a list of n; the mask is asked, not the product. Other columns of
// the result keep the init.

#nk = affine_map<(n, k) -> (n, k)>
#n = affine_map<(n, k) -> (n)>
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @rows_of_a_weight
// CHECK-SAME: %[[MASK:[^:]*]]: tensor<6xf32> {pit.kind = "input"
// CHECK: %[[I:.*]] = "pit.detect"(%[[MASK]]) {axis = array<i64: 0>, block = array<i64>, micro_tile = 0 : i64, segments = array<i64>}
// CHECK: "pit.generic"(%{{.*}}, %[[I]]) ({
// CHECK: }) {compact = false, group = array<i64: 1>
// SAYS: remark: restricted to what is live by product at {{.*}}: a list along parallel iterators, parts of its result; assumes: the data is finite
func.func @rows_of_a_weight(%x: tensor<?x8xf32>, %w: tensor<6x8xf32>, %mask: tensor<6xf32> {pit.name = "mask", pit.kind = "input"},
                            %init: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %e = tensor.empty() : tensor<6x8xf32>
  %v = linalg.generic {indexing_maps = [#nk, #n, #nk], iterator_types = ["parallel", "parallel"]}
      ins(%w, %mask : tensor<6x8xf32>, tensor<6xf32>) outs(%e : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.mulf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<6x8xf32>
  %y = linalg.generic {indexing_maps = [#x, #w, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %v : tensor<?x8xf32>, tensor<6x8xf32>) outs(%init : tensor<?x6xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

// A mean over the values of a ReLU uses each once: finding the live ones costs as much.

#mn = affine_map<(m, n) -> (m, n)>
#m = affine_map<(m, n) -> (m)>

// CHECK-LABEL: func.func @sum
// CHECK-NOT: pit.detect
// SAYS: remark: not restricted by relu at {{.*}}: each element is used once
func.func @sum(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %init: tensor<?xf32>) -> tensor<?xf32> {
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#mn, #m], iterator_types = ["parallel", "reduction"]}
      ins(%h : tensor<?x8xf32>) outs(%init : tensor<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %acc, %a : f32
    linalg.yield %s : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// An approximation that the model asks for: its zeros are found like those of a ReLU, and the remark names it.

#mn = affine_map<(m, n) -> (m, n)>
#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func.func @threshold
// CHECK: %[[H:.*]] = "pit.mark"
// CHECK: %[[I:.*]] = "pit.detect"(%[[H]]) {axis = array<i64: 1>
// CHECK: "pit.generic"(%{{.*}}, %[[I]])
// SAYS: remark: restricted to what is live by threshold at {{.*}}: a list along reduced iterators
func.func @threshold(%h: tensor<?x8xf32>, %w: tensor<6x8xf32>, %init: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %v = "pit.mark"(%h) {approximation = "magnitudes up to 0.1 are as good as 0", operandSegmentSizes = array<i32: 1, 0>}
      : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%v, %w : tensor<?x8xf32>, tensor<6x8xf32>) outs(%init : tensor<?x6xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// -----

// Two zeros in one operand, a mask's and a ReLU's: its values know both, and theirs is the smallest list. The mask of
// the weights is another candidate, which is not used.

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#out = affine_map<(m, n, k) -> (m, n)>
#mn = affine_map<(m, n) -> (m, n)>

// CHECK-LABEL: func.func @both
// CHECK: linalg.generic
// CHECK: %[[H:.*]] = linalg.generic
// CHECK: arith.select
// CHECK: %[[I:.*]] = "pit.detect"(%[[H]]) {axis = array<i64: 1>, block = array<i64: 0>, micro_tile = 0 : i64, segments = array<i64: 0>}
// CHECK: "pit.generic"(%{{.*}}, %[[I]])
// SAYS: restricted to what is live by select at {{.*}} and relu at {{.*}}: a list along reduced iterators, the terms of its sums; what is 0 by either is 0 in its values, which therefore have the smallest list; chosen of 2: both say as much as is known before a call; not used, one index is enough: select at
func.func @both(%x: tensor<?x8xf32>, %live: tensor<?x8xi1>, %w: tensor<6x8xf32>, %kept: tensor<6x8xi1>,
                %e: tensor<?x8xf32>, %ew: tensor<6x8xf32>, %init: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %zero = arith.constant 0.0 : f32
  %r = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %h = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%r, %live : tensor<?x8xf32>, tensor<?x8xi1>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %c: i1, %o: f32):
    %t = arith.select %c, %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %v = linalg.generic {indexing_maps = [#mn, #mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%w, %kept : tensor<6x8xf32>, tensor<6x8xi1>) outs(%ew : tensor<6x8xf32>) {
  ^bb0(%a: f32, %c: i1, %o: f32):
    %t = arith.select %c, %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<6x8xf32>
  %y = linalg.generic {indexing_maps = [#mk, #nk, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %v : tensor<?x8xf32>, tensor<6x8xf32>) outs(%init : tensor<?x6xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}
