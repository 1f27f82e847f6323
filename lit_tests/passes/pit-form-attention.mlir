// RUN: pit-mlir-opt %s --pit-form-attention --canonicalize --split-input-file | filecheck %s

// The mask is made of the attention mask inside the region; no tensor over queries and keys is left.

#qmap = affine_map<(b, h, q, k, d) -> (b, q, h, d)>
#kmap = affine_map<(b, h, q, k, d) -> (b, k, h, d)>
#smap = affine_map<(b, h, q, k, d) -> (b, h, q, k)>
#id4 = affine_map<(b, h, q, k) -> (b, h, q, k)>
#row = affine_map<(b, h, q, k) -> (b, h, q)>
#bqk = affine_map<(b, h, q, k) -> (b, q, k)>
#bk = affine_map<(b, q, k) -> (b, k)>
#id3 = affine_map<(b, q, k) -> (b, q, k)>
#pmap = affine_map<(b, h, q, e, k) -> (b, h, q, k)>
#vmap = affine_map<(b, h, q, e, k) -> (b, k, h, e)>
#omap = affine_map<(b, h, q, e, k) -> (b, q, h, e)>

// CHECK-LABEL: func.func @additive_mask
// CHECK-SAME: (%[[Q:.*]]: tensor<2x?x4x16xf32>, %[[K:.*]]: tensor<2x?x4x16xf32>, %[[V:.*]]: tensor<2x?x4x16xf32>, %[[M:.*]]: tensor<2x?xi1>
// CHECK-NOT: linalg.generic
// CHECK: "pit.attend"(%[[Q]], %[[K]], %[[V]], %{{.*}}) ({
// CHECK: ^bb0(%[[S:.*]]: f32):
// CHECK: %[[E:.*]] = "pit.element"(%[[M]])
// CHECK: %[[SCALED:.*]] = arith.mulf %[[S]]
// CHECK: %[[A:.*]] = arith.select %[[E]]
// CHECK: %[[Y:.*]] = arith.addf %[[SCALED]], %[[A]]
// CHECK: "pit.yield"(%[[Y]])
// CHECK: }) {batch = 2 : i64, compact = array<i64>
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @additive_mask(%Q: tensor<2x?x4x16xf32>, %K: tensor<2x?x4x16xf32>, %V: tensor<2x?x4x16xf32>, %mask: tensor<2x?xi1>,
                         %n: index) -> tensor<2x?x4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %ninf = arith.constant 0xFF800000 : f32
  %lowest = arith.constant -3.40282347E+38 : f32
  %scale = arith.constant 2.500000e-01 : f32
  %e4 = tensor.empty(%n, %n) : tensor<2x4x?x?xf32>
  %e3 = tensor.empty(%n) : tensor<2x4x?xf32>
  %em = tensor.empty(%n, %n) : tensor<2x?x?xf32>
  %eo = tensor.empty(%n) : tensor<2x?x4x16xf32>
  %z4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<2x4x?x?xf32>) -> tensor<2x4x?x?xf32>
  %z3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<2x4x?xf32>) -> tensor<2x4x?xf32>
  %i3 = linalg.fill ins(%ninf : f32) outs(%e3 : tensor<2x4x?xf32>) -> tensor<2x4x?xf32>
  %zo = linalg.fill ins(%zero : f32) outs(%eo : tensor<2x?x4x16xf32>) -> tensor<2x?x4x16xf32>
  %qk = linalg.generic {indexing_maps = [#qmap, #kmap, #smap], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%Q, %K : tensor<2x?x4x16xf32>, tensor<2x?x4x16xf32>) outs(%z4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %p, %acc : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %scaled = linalg.generic {indexing_maps = [#id4, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%qk : tensor<2x4x?x?xf32>) outs(%e4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.mulf %a, %scale : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %additive = linalg.generic {indexing_maps = [#bk, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%mask : tensor<2x?xi1>) outs(%em : tensor<2x?x?xf32>) {
  ^bb0(%a: i1, %o: f32):
    %s = arith.select %a, %zero, %lowest : f32
    linalg.yield %s : f32
  } -> tensor<2x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#id4, #bqk, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%scaled, %additive : tensor<2x4x?x?xf32>, tensor<2x?x?xf32>) outs(%e4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %max = linalg.generic {indexing_maps = [#id4, #row], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%scores : tensor<2x4x?x?xf32>) outs(%i3 : tensor<2x4x?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.maximumf %a, %acc : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?xf32>
  %shifted = linalg.generic {indexing_maps = [#id4, #row, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%scores, %max : tensor<2x4x?x?xf32>, tensor<2x4x?xf32>) outs(%e4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.subf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %exp = linalg.generic {indexing_maps = [#id4, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%shifted : tensor<2x4x?x?xf32>) outs(%e4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %sum = linalg.generic {indexing_maps = [#id4, #row], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%exp : tensor<2x4x?x?xf32>) outs(%z3 : tensor<2x4x?xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %s = arith.addf %a, %acc : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?xf32>
  %p = linalg.generic {indexing_maps = [#id4, #row, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%exp, %sum : tensor<2x4x?x?xf32>, tensor<2x4x?xf32>) outs(%e4 : tensor<2x4x?x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.divf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<2x4x?x?xf32>
  %out = linalg.generic {indexing_maps = [#pmap, #vmap, #omap], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%p, %V : tensor<2x4x?x?xf32>, tensor<2x?x4x16xf32>) outs(%zo : tensor<2x?x4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x?x4x16xf32>
  return %out : tensor<2x?x4x16xf32>
}
