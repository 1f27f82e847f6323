// RUN: pit-mlir-opt %s --pit-form-attention --split-input-file | filecheck %s

// One step of decoding: no tensor carries the single query, so it gets a dimension of size 1.

#q = affine_map<(b, k, d) -> (b, d)>
#k = affine_map<(b, k, d) -> (b, k, d)>
#s = affine_map<(b, k, d) -> (b, k)>
#id = affine_map<(b, k) -> (b, k)>
#row = affine_map<(b, k) -> (b)>
#p = affine_map<(b, e, k) -> (b, k)>
#v = affine_map<(b, e, k) -> (b, k, e)>
#o = affine_map<(b, e, k) -> (b, e)>

// CHECK-DAG: #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1)>
// CHECK-DAG: #[[O:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d4, d1)>
// CHECK-LABEL: func.func @decode
// CHECK: %[[QUERY:.*]] = tensor.expand_shape %arg0 {{\[\[}}0], [1, 2]] output_shape [%{{.*}}, 8, 1] : tensor<?x8xf32> into tensor<?x8x1xf32>
// CHECK: %[[INIT:.*]] = tensor.expand_shape %{{.*}} {{\[\[}}0], [1, 2]]
// CHECK: %[[A:.*]] = "pit.attend"(%[[QUERY]], %arg1, %arg2, %[[INIT]])
// CHECK: indexing_maps = [#[[Q]], #{{.*}}, #{{.*}}, #[[O]]]
// CHECK: %[[R:.*]] = tensor.collapse_shape %[[A]] {{\[\[}}0], [1, 2]] : tensor<?x8x1xf32> into tensor<?x8xf32>
// CHECK: return %[[R]]
func.func @decode(%Q: tensor<?x8xf32>, %K: tensor<?x5x8xf32>, %V: tensor<?x5x8xf32>, %n: index) -> tensor<?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %e2 = tensor.empty(%n) : tensor<?x5xf32>
  %e1 = tensor.empty(%n) : tensor<?xf32>
  %eo = tensor.empty(%n) : tensor<?x8xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<?x5xf32>) -> tensor<?x5xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
  %i1 = linalg.fill ins(%ninf : f32) outs(%e1 : tensor<?xf32>) -> tensor<?xf32>
  %zo = linalg.fill ins(%zero : f32) outs(%eo : tensor<?x8xf32>) -> tensor<?x8xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%Q, %K : tensor<?x8xf32>, tensor<?x5x8xf32>) outs(%z2 : tensor<?x5xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %y = arith.addf %acc, %m : f32
    linalg.yield %y : f32
  } -> tensor<?x5xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%scores : tensor<?x5xf32>) outs(%i1 : tensor<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %y = arith.maximumf %a, %acc : f32
    linalg.yield %y : f32
  } -> tensor<?xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%scores, %max : tensor<?x5xf32>, tensor<?xf32>) outs(%e2 : tensor<?x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %d = arith.subf %a, %b : f32
    %y = math.exp %d : f32
    linalg.yield %y : f32
  } -> tensor<?x5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<?x5xf32>) outs(%z1 : tensor<?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %y = arith.addf %a, %acc : f32
    linalg.yield %y : f32
  } -> tensor<?xf32>
  %P = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<?x5xf32>, tensor<?xf32>) outs(%e2 : tensor<?x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<?x5xf32>
  %out = linalg.generic {indexing_maps = [#p, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%P, %V : tensor<?x5xf32>, tensor<?x5x8xf32>) outs(%zo : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %y = arith.addf %acc, %m : f32
    linalg.yield %y : f32
  } -> tensor<?x8xf32>
  return %out : tensor<?x8xf32>
}
