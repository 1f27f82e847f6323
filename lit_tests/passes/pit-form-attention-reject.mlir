// RUN: pit-mlir-opt %s --pit-form-attention --split-input-file --verify-diagnostics | filecheck %s

// The weights of attention are returned as well: they are needed as a tensor.

#q = affine_map<(q, k, d) -> (q, d)>
#k = affine_map<(q, k, d) -> (k, d)>
#s = affine_map<(q, k, d) -> (q, k)>
#id = affine_map<(q, k) -> (q, k)>
#row = affine_map<(q, k) -> (q)>
#p = affine_map<(q, e, k) -> (q, k)>
#v = affine_map<(q, e, k) -> (k, e)>
#o = affine_map<(q, e, k) -> (q, e)>

// CHECK-LABEL: func.func @weights_returned
// CHECK-NOT: pit.attend
func.func @weights_returned(%Q: tensor<3x8xf32>, %K: tensor<5x8xf32>, %V: tensor<5x8xf32>) -> (tensor<3x8xf32>, tensor<3x5xf32>) {
  %zero = arith.constant 0.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %e2 = tensor.empty() : tensor<3x5xf32>
  %e1 = tensor.empty() : tensor<3xf32>
  %eo = tensor.empty() : tensor<3x8xf32>
  %z2 = linalg.fill ins(%zero : f32) outs(%e2 : tensor<3x5xf32>) -> tensor<3x5xf32>
  %z1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  %i1 = linalg.fill ins(%ninf : f32) outs(%e1 : tensor<3xf32>) -> tensor<3xf32>
  %zo = linalg.fill ins(%zero : f32) outs(%eo : tensor<3x8xf32>) -> tensor<3x8xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%Q, %K : tensor<3x8xf32>, tensor<5x8xf32>) outs(%z2 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %y = arith.addf %acc, %m : f32
    linalg.yield %y : f32
  } -> tensor<3x5xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%scores : tensor<3x5xf32>) outs(%i1 : tensor<3xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %y = arith.maximumf %a, %acc : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%scores, %max : tensor<3x5xf32>, tensor<3xf32>) outs(%e2 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %d = arith.subf %a, %b : f32
    %y = math.exp %d : f32
    linalg.yield %y : f32
  } -> tensor<3x5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<3x5xf32>) outs(%z1 : tensor<3xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %y = arith.addf %a, %acc : f32
    linalg.yield %y : f32
  } -> tensor<3xf32>
  %P = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<3x5xf32>, tensor<3xf32>) outs(%e2 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<3x5xf32>
  // expected-remark@below {{attention is not formed: an intermediate is used elsewhere, by 'func.return' at}}
  %out = linalg.generic {indexing_maps = [#p, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%P, %V : tensor<3x5xf32>, tensor<5x8xf32>) outs(%zo : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %y = arith.addf %acc, %m : f32
    linalg.yield %y : f32
  } -> tensor<3x8xf32>
  return %out, %P : tensor<3x8xf32>, tensor<3x5xf32>
}

// -----

// A contraction of probabilities that are no softmax: not attention, and nothing is said.

#id = affine_map<(q, k) -> (q, k)>
#p = affine_map<(q, e, k) -> (q, k)>
#v = affine_map<(q, e, k) -> (k, e)>
#o = affine_map<(q, e, k) -> (q, e)>

// CHECK-LABEL: func.func @no_scores
// CHECK-NOT: pit.attend
func.func @no_scores(%S: tensor<3x5xf32>, %V: tensor<5x8xf32>) -> tensor<3x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e2 = tensor.empty() : tensor<3x5xf32>
  %eo = tensor.empty() : tensor<3x8xf32>
  %zo = linalg.fill ins(%zero : f32) outs(%eo : tensor<3x8xf32>) -> tensor<3x8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%S : tensor<3x5xf32>) outs(%e2 : tensor<3x5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %y = math.exp %a : f32
    linalg.yield %y : f32
  } -> tensor<3x5xf32>
  %out = linalg.generic {indexing_maps = [#p, #v, #o], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%exp, %V : tensor<3x5xf32>, tensor<5x8xf32>) outs(%zo : tensor<3x8xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %y = arith.addf %acc, %m : f32
    linalg.yield %y : f32
  } -> tensor<3x8xf32>
  return %out : tensor<3x8xf32>
}
