// RUN: pit-mlir-opt %s -p "pit-normalize, pit-declare-padding{argument=40}, pit-form-attention, pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify" -o %t
// RUN: filecheck %s < %t
// RUN: not grep "} -> tensor<?x?x.*xf32>" %t
// RUN: grep "pit.detect" %t | wc -l | filecheck %s --check-prefix=ONE

// A BERT encoder of two layers as the frontend imports it (dynamic batch and length), padding declared on its attention mask: one index, made of the
// mask; every value over (batch, token) has rows in their place, from the token ids to the result, attention included.

// ONE: 1
// CHECK-LABEL: func.func @main
// CHECK: %[[I:.*]] = "pit.detect"(%[[M:.*]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>}
// CHECK-DAG: %[[IDS:.*]] = "pit.sread"(%{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<?x?xi64>, !pit.index) -> tensor<?xi64>
// CHECK-DAG: linalg.generic {{.*}} ins(%[[IDS]], %{{.*}} : tensor<?xi64>, tensor<16xindex>) outs(%{{.*}} : tensor<?x16xf32>)
// CHECK-DAG: "pit.sread"(%{{.*}}, %[[I]]) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<?x16xf32>, !pit.index) -> tensor<?x16xf32>
// CHECK: "pit.attend"({{.*}}, %[[I]]) ({
// CHECK: compact = array<i64: 0, 1, 2, 3>
// CHECK-SAME: (tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
// CHECK: "pit.attend"({{.*}}, %[[I]]) ({
// CHECK: compact = array<i64: 0, 1, 2, 3>
// CHECK: %[[OUT:.*]] = "pit.swrite"(%{{.*}}, %{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, combine = "store", group = array<i64: 0, 1>} : (tensor<?x16xf32>, tensor<?x?x16xf32>, !pit.index) -> tensor<?x?x16xf32>
// CHECK-NEXT: return %[[OUT]]

#map = affine_map<(d0, d1) -> (d0, d1)>
#map1 = affine_map<(d0, d1) -> (d1)>
#map2 = affine_map<(d0, d1, d2) -> (d0, d1)>
#map3 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#map4 = affine_map<(d0, d1, d2) -> (0, d1, d2)>
#map5 = affine_map<(d0, d1, d2) -> (d0, d1, 0)>
#map6 = affine_map<(d0, d1, d2) -> (d2)>
#map7 = affine_map<(d0) -> (d0)>
#map8 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#map9 = affine_map<(d0, d1, d2, d3) -> ()>
#map10 = affine_map<(d0, d1, d2, d3) -> (d0, 0, 0, 0)>
#map11 = affine_map<(d0, d1, d2, d3) -> (0, 0, 0, d3)>
#map12 = affine_map<(d0, d1, d2, d3) -> (0, d1, d2, 0)>
#map13 = affine_map<(d0, d1, d2, d3) -> (d0, d1, 0, d3)>
#map14 = affine_map<(d0, d1, d2) -> (d1, d2)>
#map15 = affine_map<()[s0] -> (s0 * 2)>
#map16 = affine_map<(d0, d1, d2, d3) -> (d0, 0, d2, d3)>
#map17 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map18 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>
module {
  func.func @main(%arg0: tensor<100x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.word_embeddings.weight"}, %arg1: tensor<32x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.position_embeddings.weight"}, %arg2: tensor<2x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.token_type_embeddings.weight"}, %arg3: tensor<16xf32> {pit.kind = "weight", pit.name = "model.embeddings.LayerNorm.weight"}, %arg4: tensor<16xf32> {pit.kind = "weight", pit.name = "model.embeddings.LayerNorm.bias"}, %arg5: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.query.weight"}, %arg6: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.query.bias"}, %arg7: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.key.weight"}, %arg8: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.key.bias"}, %arg9: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.value.weight"}, %arg10: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.value.bias"}, %arg11: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.dense.weight"}, %arg12: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.dense.bias"}, %arg13: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.LayerNorm.weight"}, %arg14: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.LayerNorm.bias"}, %arg15: tensor<24x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.intermediate.dense.weight"}, %arg16: tensor<24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.intermediate.dense.bias"}, %arg17: tensor<16x24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.dense.weight"}, %arg18: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.dense.bias"}, %arg19: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.LayerNorm.weight"}, %arg20: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.LayerNorm.bias"}, %arg21: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.query.weight"}, %arg22: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.query.bias"}, %arg23: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.key.weight"}, %arg24: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.key.bias"}, %arg25: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.value.weight"}, %arg26: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.value.bias"}, %arg27: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.dense.weight"}, %arg28: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.dense.bias"}, %arg29: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.LayerNorm.weight"}, %arg30: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.LayerNorm.bias"}, %arg31: tensor<24x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.intermediate.dense.weight"}, %arg32: tensor<24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.intermediate.dense.bias"}, %arg33: tensor<16x24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.dense.weight"}, %arg34: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.dense.bias"}, %arg35: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.LayerNorm.weight"}, %arg36: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.LayerNorm.bias"}, %arg37: tensor<1x32xi64> {pit.kind = "weight", pit.name = "model.embeddings.position_ids"}, %arg38: tensor<1x32xi64> {pit.kind = "weight", pit.name = "model.embeddings.token_type_ids"}, %arg39: tensor<?x?xi64> {pit.kind = "input", pit.name = "input_ids"}, %arg40: tensor<?x?xi64> {pit.kind = "input", pit.name = "attention_mask"}) -> tensor<?x?x16xf32> {
    %cst = arith.constant 1.41421354 : f32
    %cst_0 = arith.constant 1.600000e+01 : f32
    %cst_1 = arith.constant 9.9999999999999998E-13 : f64
    %cst_2 = arith.constant 0.35355339059327379 : f64
    %cst_3 = arith.constant dense<true> : tensor<i1>
    %cst_4 = arith.constant dense<-3.40282347E+38> : tensor<f32>
    %cst_5 = arith.constant dense<0.000000e+00> : tensor<f32>
    %cst_6 = arith.constant 5.000000e-01 : f32
    %cst_7 = arith.constant 1.000000e+00 : f32
    %cst_8 = arith.constant 0xFF800000 : f32
    %cst_9 = arith.constant 0.000000e+00 : f32
    %c2 = arith.constant 2 : index
    %c100 = arith.constant 100 : index
    %c32 = arith.constant 32 : index
    %c0_i64 = arith.constant 0 : i64
    %c1 = arith.constant 1 : index
    %c0 = arith.constant 0 : index
    %dim = tensor.dim %arg39, %c0 : tensor<?x?xi64>
    %dim_10 = tensor.dim %arg39, %c1 : tensor<?x?xi64>
    %0 = arith.index_cast %dim : index to i64
    %extracted_slice = tensor.extract_slice %arg37[0, 0] [1, %dim_10] [1, 1] : tensor<1x32xi64> to tensor<1x?xi64>
    %1 = tensor.empty(%dim_10) : tensor<1x?xi64>
    %2 = linalg.fill ins(%c0_i64 : i64) outs(%1 : tensor<1x?xi64>) -> tensor<1x?xi64>
    %3 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%extracted_slice : tensor<1x?xi64>) outs(%2 : tensor<1x?xi64>) {
    ^bb0(%in: i64, %out: i64):
      %169 = arith.index_cast %in : i64 to index
      %170 = arith.cmpi slt, %169, %c32 : index
      cf.assert %170, "index must be smaller than dim size"
      %171 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %171, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg38[%c0, %169] : tensor<1x32xi64>
      linalg.yield %extracted : i64
    } -> tensor<1x?xi64>
    %4 = tensor.empty(%dim, %dim_10) : tensor<?x?xi64>
    %collapsed = tensor.collapse_shape %3 [[0, 1]] : tensor<1x?xi64> into tensor<?xi64>
    %5 = linalg.generic {indexing_maps = [#map1, #map], iterator_types = ["parallel", "parallel"]} ins(%collapsed : tensor<?xi64>) outs(%4 : tensor<?x?xi64>) {
    ^bb0(%in: i64, %out: i64):
      linalg.yield %in : i64
    } -> tensor<?x?xi64>
    %6 = tensor.empty(%dim, %dim_10) : tensor<?x?x16xf32>
    %7 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg39 : tensor<?x?xi64>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %169 = arith.index_cast %in : i64 to index
      %170 = linalg.index 2 : index
      %171 = arith.cmpi slt, %169, %c100 : index
      cf.assert %171, "index must be smaller than dim size"
      %172 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %172, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg0[%169, %170] : tensor<100x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<?x?x16xf32>
    %8 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%5 : tensor<?x?xi64>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %169 = arith.index_cast %in : i64 to index
      %170 = linalg.index 2 : index
      %171 = arith.cmpi slt, %169, %c2 : index
      cf.assert %171, "index must be smaller than dim size"
      %172 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %172, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg2[%169, %170] : tensor<2x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<?x?x16xf32>
    %9 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%7, %8 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %10 = tensor.empty(%dim_10) : tensor<1x?x16xf32>
    %11 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%extracted_slice : tensor<1x?xi64>) outs(%10 : tensor<1x?x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %169 = arith.index_cast %in : i64 to index
      %170 = linalg.index 2 : index
      %171 = arith.cmpi slt, %169, %c32 : index
      cf.assert %171, "index must be smaller than dim size"
      %172 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %172, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg1[%169, %170] : tensor<32x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<1x?x16xf32>
    %12 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%9, %11 : tensor<?x?x16xf32>, tensor<1x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %13 = tensor.empty(%dim, %dim_10) : tensor<?x?x1xf32>
    %14 = linalg.fill ins(%cst_9 : f32) outs(%13 : tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
    %15 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%12 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %16 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%15 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %17 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%12, %16 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %18 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%17, %17 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %19 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%18 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %20 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%19 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %21 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%20 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_1 : f64 to f32
      %170 = arith.addf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x?x1xf32>
    %22 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%21 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.rsqrt %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %23 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%17, %22 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %24 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%23, %arg3 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %25 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%24, %arg4 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %26 = tensor.empty(%dim, %dim_10) : tensor<?x?xi1>
    %27 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%arg40 : tensor<?x?xi64>) outs(%26 : tensor<?x?xi1>) {
    ^bb0(%in: i64, %out: i1):
      %169 = arith.cmpi ne, %in, %c0_i64 : i64
      linalg.yield %169 : i1
    } -> tensor<?x?xi1>
    %28 = tensor.empty(%dim) : tensor<?xi64>
    %29 = linalg.generic {indexing_maps = [#map7], iterator_types = ["parallel"]} outs(%28 : tensor<?xi64>) {
    ^bb0(%out: i64):
      %169 = linalg.index 0 : index
      %170 = arith.index_cast %169 : index to i64
      linalg.yield %170 : i64
    } -> tensor<?xi64>
    %30 = tensor.empty(%dim_10) : tensor<?xi64>
    %31 = linalg.generic {indexing_maps = [#map7], iterator_types = ["parallel"]} outs(%30 : tensor<?xi64>) {
    ^bb0(%out: i64):
      %169 = linalg.index 0 : index
      %170 = arith.index_cast %169 : index to i64
      linalg.yield %170 : i64
    } -> tensor<?xi64>
    %expanded = tensor.expand_shape %29 [[0, 1, 2, 3]] output_shape [%dim, 1, 1, 1] : tensor<?xi64> into tensor<?x1x1x1xi64>
    %expanded_11 = tensor.expand_shape %31 [[0, 1, 2, 3]] output_shape [1, 1, %dim_10, 1] : tensor<?xi64> into tensor<1x1x?x1xi64>
    %expanded_12 = tensor.expand_shape %31 [[0, 1, 2, 3]] output_shape [1, 1, 1, %dim_10] : tensor<?xi64> into tensor<1x1x1x?xi64>
    %32 = tensor.empty(%dim_10) : tensor<1x1x?x1xi1>
    %33 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_11 : tensor<1x1x?x1xi64>) outs(%32 : tensor<1x1x?x1xi1>) {
    ^bb0(%in: i64, %out: i1):
      %169 = arith.cmpi sge, %in, %c0_i64 : i64
      linalg.yield %169 : i1
    } -> tensor<1x1x?x1xi1>
    %34 = linalg.generic {indexing_maps = [#map9, #map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%cst_3, %33 : tensor<i1>, tensor<1x1x?x1xi1>) outs(%32 : tensor<1x1x?x1xi1>) {
    ^bb0(%in: i1, %in_54: i1, %out: i1):
      %169 = arith.andi %in, %in_54 : i1
      linalg.yield %169 : i1
    } -> tensor<1x1x?x1xi1>
    %35 = tensor.empty(%dim, %dim_10) : tensor<?x1x1x?xi1>
    %36 = linalg.generic {indexing_maps = [#map10, #map11, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded, %expanded_12 : tensor<?x1x1x1xi64>, tensor<1x1x1x?xi64>) outs(%35 : tensor<?x1x1x?xi1>) {
    ^bb0(%in: i64, %in_54: i64, %out: i1):
      %169 = arith.cmpi slt, %in, %c0_i64 : i64
      %170 = arith.addi %in, %0 : i64
      %171 = arith.select %169, %170, %in : i64
      %172 = arith.index_cast %171 : i64 to index
      %173 = arith.cmpi slt, %in_54, %c0_i64 : i64
      %174 = arith.index_cast %dim_10 : index to i64
      %175 = arith.addi %in_54, %174 : i64
      %176 = arith.select %173, %175, %in_54 : i64
      %177 = arith.index_cast %176 : i64 to index
      %extracted = tensor.extract %27[%172, %177] : tensor<?x?xi1>
      linalg.yield %extracted : i1
    } -> tensor<?x1x1x?xi1>
    %37 = tensor.empty(%dim, %dim_10, %dim_10) : tensor<?x1x?x?xi1>
    %38 = linalg.generic {indexing_maps = [#map12, #map13, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%34, %36 : tensor<1x1x?x1xi1>, tensor<?x1x1x?xi1>) outs(%37 : tensor<?x1x?x?xi1>) {
    ^bb0(%in: i1, %in_54: i1, %out: i1):
      %169 = arith.andi %in, %in_54 : i1
      linalg.yield %169 : i1
    } -> tensor<?x1x?x?xi1>
    %39 = tensor.empty() : tensor<16x16xf32>
    %transposed = linalg.transpose ins(%arg5 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %40 = tensor.empty(%dim) : tensor<?x16x16xf32>
    %41 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %42 = linalg.fill ins(%cst_9 : f32) outs(%6 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %43 = linalg.batch_matmul ins(%25, %41 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %44 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%43, %arg6 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_13 = tensor.expand_shape %44 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %45 = tensor.empty(%dim, %dim_10) : tensor<?x2x?x8xf32>
    %transposed_14 = linalg.transpose ins(%expanded_13 : tensor<?x?x2x8xf32>) outs(%45 : tensor<?x2x?x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_15 = linalg.transpose ins(%arg7 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %46 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_15 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %47 = linalg.batch_matmul ins(%25, %46 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %48 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%47, %arg8 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_16 = tensor.expand_shape %48 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %transposed_17 = linalg.transpose ins(%arg9 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %49 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_17 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %50 = linalg.batch_matmul ins(%25, %49 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %51 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%50, %arg10 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_18 = tensor.expand_shape %51 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %transposed_19 = linalg.transpose ins(%expanded_18 : tensor<?x?x2x8xf32>) outs(%45 : tensor<?x2x?x8xf32>) permutation = [0, 2, 1, 3] 
    %52 = tensor.empty(%dim, %dim_10) : tensor<?x2x8x?xf32>
    %transposed_20 = linalg.transpose ins(%expanded_16 : tensor<?x?x2x8xf32>) outs(%52 : tensor<?x2x8x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_21 = tensor.collapse_shape %transposed_14 [[0, 1], [2], [3]] : tensor<?x2x?x8xf32> into tensor<?x?x8xf32>
    %collapsed_22 = tensor.collapse_shape %transposed_20 [[0, 1], [2], [3]] : tensor<?x2x8x?xf32> into tensor<?x8x?xf32>
    %53 = affine.apply #map15()[%dim]
    %54 = tensor.empty(%53, %dim_10, %dim_10) : tensor<?x?x?xf32>
    %55 = linalg.fill ins(%cst_9 : f32) outs(%54 : tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
    %56 = linalg.batch_matmul ins(%collapsed_21, %collapsed_22 : tensor<?x?x8xf32>, tensor<?x8x?xf32>) outs(%55 : tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
    %expanded_23 = tensor.expand_shape %56 [[0, 1], [2], [3]] output_shape [%dim, 2, %dim_10, %dim_10] : tensor<?x?x?xf32> into tensor<?x2x?x?xf32>
    %57 = tensor.empty(%dim, %dim_10, %dim_10) : tensor<?x2x?x?xf32>
    %58 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_23 : tensor<?x2x?x?xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_2 : f64 to f32
      %170 = arith.mulf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x2x?x?xf32>
    %59 = linalg.generic {indexing_maps = [#map16, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%38, %58, %cst_4 : tensor<?x1x?x?xi1>, tensor<?x2x?x?xf32>, tensor<f32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: i1, %in_54: f32, %in_55: f32, %out: f32):
      %169 = arith.select %in, %in_54, %in_55 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %60 = tensor.empty(%dim, %dim_10) : tensor<?x2x?xi64>
    %61 = linalg.fill ins(%c0_i64 : i64) outs(%60 : tensor<?x2x?xi64>) -> tensor<?x2x?xi64>
    %62 = tensor.empty(%dim, %dim_10) : tensor<?x2x?xf32>
    %63 = linalg.fill ins(%cst_8 : f32) outs(%62 : tensor<?x2x?xf32>) -> tensor<?x2x?xf32>
    %64:2 = linalg.generic {indexing_maps = [#map8, #map17, #map17], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%59 : tensor<?x2x?x?xf32>) outs(%63, %61 : tensor<?x2x?xf32>, tensor<?x2x?xi64>) {
    ^bb0(%in: f32, %out: f32, %out_54: i64):
      %169 = linalg.index 3 : index
      %170 = arith.index_cast %169 : index to i64
      %171 = arith.maximumf %in, %out : f32
      %172 = arith.cmpf ogt, %in, %out : f32
      %173 = arith.select %172, %170, %out_54 : i64
      linalg.yield %171, %173 : f32, i64
    } -> (tensor<?x2x?xf32>, tensor<?x2x?xi64>)
    %expanded_24 = tensor.expand_shape %64#0 [[0], [1], [2, 3]] output_shape [%dim, 2, %dim_10, 1] : tensor<?x2x?xf32> into tensor<?x2x?x1xf32>
    %65 = linalg.generic {indexing_maps = [#map8, #map18, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%59, %expanded_24 : tensor<?x2x?x?xf32>, tensor<?x2x?x1xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %66 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%65 : tensor<?x2x?x?xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.exp %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %67 = tensor.empty(%dim, %dim_10) : tensor<?x2x?x1xf32>
    %68 = linalg.fill ins(%cst_9 : f32) outs(%67 : tensor<?x2x?x1xf32>) -> tensor<?x2x?x1xf32>
    %69 = linalg.generic {indexing_maps = [#map8, #map18], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%66 : tensor<?x2x?x?xf32>) outs(%68 : tensor<?x2x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x1xf32>
    %70 = linalg.generic {indexing_maps = [#map8, #map18, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%66, %69 : tensor<?x2x?x?xf32>, tensor<?x2x?x1xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.divf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %71 = linalg.generic {indexing_maps = [#map16, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%38, %70, %cst_5 : tensor<?x1x?x?xi1>, tensor<?x2x?x?xf32>, tensor<f32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: i1, %in_54: f32, %in_55: f32, %out: f32):
      %169 = arith.select %in, %in_54, %in_55 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %collapsed_25 = tensor.collapse_shape %71 [[0, 1], [2], [3]] : tensor<?x2x?x?xf32> into tensor<?x?x?xf32>
    %collapsed_26 = tensor.collapse_shape %transposed_19 [[0, 1], [2], [3]] : tensor<?x2x?x8xf32> into tensor<?x?x8xf32>
    %72 = tensor.empty(%53, %dim_10) : tensor<?x?x8xf32>
    %73 = linalg.fill ins(%cst_9 : f32) outs(%72 : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
    %74 = linalg.batch_matmul ins(%collapsed_25, %collapsed_26 : tensor<?x?x?xf32>, tensor<?x?x8xf32>) outs(%73 : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
    %expanded_27 = tensor.expand_shape %74 [[0, 1], [2], [3]] output_shape [%dim, 2, %dim_10, 8] : tensor<?x?x8xf32> into tensor<?x2x?x8xf32>
    %75 = tensor.empty(%dim, %dim_10) : tensor<?x?x2x8xf32>
    %transposed_28 = linalg.transpose ins(%expanded_27 : tensor<?x2x?x8xf32>) outs(%75 : tensor<?x?x2x8xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_29 = tensor.collapse_shape %transposed_28 [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
    %transposed_30 = linalg.transpose ins(%arg11 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %76 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_30 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %77 = linalg.batch_matmul ins(%collapsed_29, %76 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %78 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%77, %arg12 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %79 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%78, %25 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %80 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%79 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %81 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%80 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %82 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%79, %81 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %83 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%82, %82 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %84 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%83 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %85 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%84 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %86 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%85 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_1 : f64 to f32
      %170 = arith.addf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x?x1xf32>
    %87 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%86 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.rsqrt %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %88 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%82, %87 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %89 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%88, %arg13 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %90 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%89, %arg14 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %91 = tensor.empty() : tensor<16x24xf32>
    %transposed_31 = linalg.transpose ins(%arg15 : tensor<24x16xf32>) outs(%91 : tensor<16x24xf32>) permutation = [1, 0] 
    %92 = tensor.empty(%dim) : tensor<?x16x24xf32>
    %93 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_31 : tensor<16x24xf32>) outs(%92 : tensor<?x16x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x24xf32>
    %94 = tensor.empty(%dim, %dim_10) : tensor<?x?x24xf32>
    %95 = linalg.fill ins(%cst_9 : f32) outs(%94 : tensor<?x?x24xf32>) -> tensor<?x?x24xf32>
    %96 = linalg.batch_matmul ins(%90, %93 : tensor<?x?x16xf32>, tensor<?x16x24xf32>) outs(%95 : tensor<?x?x24xf32>) -> tensor<?x?x24xf32>
    %97 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%96, %arg16 : tensor<?x?x24xf32>, tensor<24xf32>) outs(%94 : tensor<?x?x24xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x24xf32>
    %98 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%97 : tensor<?x?x24xf32>) outs(%94 : tensor<?x?x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst : f32
      %170 = math.erf %169 : f32
      %171 = arith.addf %170, %cst_7 : f32
      %172 = arith.mulf %171, %cst_6 : f32
      %173 = arith.mulf %in, %172 : f32
      linalg.yield %173 : f32
    } -> tensor<?x?x24xf32>
    %99 = tensor.empty() : tensor<24x16xf32>
    %transposed_32 = linalg.transpose ins(%arg17 : tensor<16x24xf32>) outs(%99 : tensor<24x16xf32>) permutation = [1, 0] 
    %100 = tensor.empty(%dim) : tensor<?x24x16xf32>
    %101 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_32 : tensor<24x16xf32>) outs(%100 : tensor<?x24x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x24x16xf32>
    %102 = linalg.batch_matmul ins(%98, %101 : tensor<?x?x24xf32>, tensor<?x24x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %103 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%102, %arg18 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %104 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%103, %90 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %105 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%104 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %106 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%105 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %107 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%104, %106 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %108 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%107, %107 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %109 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%108 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %110 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%109 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %111 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%110 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_1 : f64 to f32
      %170 = arith.addf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x?x1xf32>
    %112 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%111 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.rsqrt %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %113 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%107, %112 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %114 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%113, %arg19 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %115 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%114, %arg20 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %transposed_33 = linalg.transpose ins(%arg21 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %116 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_33 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %117 = linalg.batch_matmul ins(%115, %116 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %118 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%117, %arg22 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_34 = tensor.expand_shape %118 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %transposed_35 = linalg.transpose ins(%expanded_34 : tensor<?x?x2x8xf32>) outs(%45 : tensor<?x2x?x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_36 = linalg.transpose ins(%arg23 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %119 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_36 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %120 = linalg.batch_matmul ins(%115, %119 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %121 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%120, %arg24 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_37 = tensor.expand_shape %121 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %transposed_38 = linalg.transpose ins(%arg25 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %122 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_38 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %123 = linalg.batch_matmul ins(%115, %122 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %124 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%123, %arg26 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %expanded_39 = tensor.expand_shape %124 [[0], [1], [2, 3]] output_shape [%dim, %dim_10, 2, 8] : tensor<?x?x16xf32> into tensor<?x?x2x8xf32>
    %transposed_40 = linalg.transpose ins(%expanded_39 : tensor<?x?x2x8xf32>) outs(%45 : tensor<?x2x?x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_41 = linalg.transpose ins(%expanded_37 : tensor<?x?x2x8xf32>) outs(%52 : tensor<?x2x8x?xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_42 = tensor.collapse_shape %transposed_35 [[0, 1], [2], [3]] : tensor<?x2x?x8xf32> into tensor<?x?x8xf32>
    %collapsed_43 = tensor.collapse_shape %transposed_41 [[0, 1], [2], [3]] : tensor<?x2x8x?xf32> into tensor<?x8x?xf32>
    %125 = linalg.batch_matmul ins(%collapsed_42, %collapsed_43 : tensor<?x?x8xf32>, tensor<?x8x?xf32>) outs(%55 : tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
    %expanded_44 = tensor.expand_shape %125 [[0, 1], [2], [3]] output_shape [%dim, 2, %dim_10, %dim_10] : tensor<?x?x?xf32> into tensor<?x2x?x?xf32>
    %126 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_44 : tensor<?x2x?x?xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_2 : f64 to f32
      %170 = arith.mulf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x2x?x?xf32>
    %127 = linalg.generic {indexing_maps = [#map16, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%38, %126, %cst_4 : tensor<?x1x?x?xi1>, tensor<?x2x?x?xf32>, tensor<f32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: i1, %in_54: f32, %in_55: f32, %out: f32):
      %169 = arith.select %in, %in_54, %in_55 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %128:2 = linalg.generic {indexing_maps = [#map8, #map17, #map17], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%127 : tensor<?x2x?x?xf32>) outs(%63, %61 : tensor<?x2x?xf32>, tensor<?x2x?xi64>) {
    ^bb0(%in: f32, %out: f32, %out_54: i64):
      %169 = linalg.index 3 : index
      %170 = arith.index_cast %169 : index to i64
      %171 = arith.maximumf %in, %out : f32
      %172 = arith.cmpf ogt, %in, %out : f32
      %173 = arith.select %172, %170, %out_54 : i64
      linalg.yield %171, %173 : f32, i64
    } -> (tensor<?x2x?xf32>, tensor<?x2x?xi64>)
    %expanded_45 = tensor.expand_shape %128#0 [[0], [1], [2, 3]] output_shape [%dim, 2, %dim_10, 1] : tensor<?x2x?xf32> into tensor<?x2x?x1xf32>
    %129 = linalg.generic {indexing_maps = [#map8, #map18, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%127, %expanded_45 : tensor<?x2x?x?xf32>, tensor<?x2x?x1xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %130 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%129 : tensor<?x2x?x?xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.exp %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %131 = linalg.generic {indexing_maps = [#map8, #map18], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%130 : tensor<?x2x?x?xf32>) outs(%68 : tensor<?x2x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x1xf32>
    %132 = linalg.generic {indexing_maps = [#map8, #map18, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%130, %131 : tensor<?x2x?x?xf32>, tensor<?x2x?x1xf32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.divf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %133 = linalg.generic {indexing_maps = [#map16, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%38, %132, %cst_5 : tensor<?x1x?x?xi1>, tensor<?x2x?x?xf32>, tensor<f32>) outs(%57 : tensor<?x2x?x?xf32>) {
    ^bb0(%in: i1, %in_54: f32, %in_55: f32, %out: f32):
      %169 = arith.select %in, %in_54, %in_55 : f32
      linalg.yield %169 : f32
    } -> tensor<?x2x?x?xf32>
    %collapsed_46 = tensor.collapse_shape %133 [[0, 1], [2], [3]] : tensor<?x2x?x?xf32> into tensor<?x?x?xf32>
    %collapsed_47 = tensor.collapse_shape %transposed_40 [[0, 1], [2], [3]] : tensor<?x2x?x8xf32> into tensor<?x?x8xf32>
    %134 = linalg.batch_matmul ins(%collapsed_46, %collapsed_47 : tensor<?x?x?xf32>, tensor<?x?x8xf32>) outs(%73 : tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
    %expanded_48 = tensor.expand_shape %134 [[0, 1], [2], [3]] output_shape [%dim, 2, %dim_10, 8] : tensor<?x?x8xf32> into tensor<?x2x?x8xf32>
    %transposed_49 = linalg.transpose ins(%expanded_48 : tensor<?x2x?x8xf32>) outs(%75 : tensor<?x?x2x8xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_50 = tensor.collapse_shape %transposed_49 [[0], [1], [2, 3]] : tensor<?x?x2x8xf32> into tensor<?x?x16xf32>
    %transposed_51 = linalg.transpose ins(%arg27 : tensor<16x16xf32>) outs(%39 : tensor<16x16xf32>) permutation = [1, 0] 
    %135 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_51 : tensor<16x16xf32>) outs(%40 : tensor<?x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x16xf32>
    %136 = linalg.batch_matmul ins(%collapsed_50, %135 : tensor<?x?x16xf32>, tensor<?x16x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %137 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%136, %arg28 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %138 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%137, %115 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %139 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%138 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %140 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%139 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %141 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%138, %140 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %142 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%141, %141 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %143 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%142 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %144 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%143 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %145 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%144 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_1 : f64 to f32
      %170 = arith.addf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x?x1xf32>
    %146 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%145 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.rsqrt %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %147 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%141, %146 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %148 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%147, %arg29 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %149 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%148, %arg30 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %transposed_52 = linalg.transpose ins(%arg31 : tensor<24x16xf32>) outs(%91 : tensor<16x24xf32>) permutation = [1, 0] 
    %150 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_52 : tensor<16x24xf32>) outs(%92 : tensor<?x16x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x16x24xf32>
    %151 = linalg.batch_matmul ins(%149, %150 : tensor<?x?x16xf32>, tensor<?x16x24xf32>) outs(%95 : tensor<?x?x24xf32>) -> tensor<?x?x24xf32>
    %152 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%151, %arg32 : tensor<?x?x24xf32>, tensor<24xf32>) outs(%94 : tensor<?x?x24xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x24xf32>
    %153 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%152 : tensor<?x?x24xf32>) outs(%94 : tensor<?x?x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst : f32
      %170 = math.erf %169 : f32
      %171 = arith.addf %170, %cst_7 : f32
      %172 = arith.mulf %171, %cst_6 : f32
      %173 = arith.mulf %in, %172 : f32
      linalg.yield %173 : f32
    } -> tensor<?x?x24xf32>
    %transposed_53 = linalg.transpose ins(%arg33 : tensor<16x24xf32>) outs(%99 : tensor<24x16xf32>) permutation = [1, 0] 
    %154 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_53 : tensor<24x16xf32>) outs(%100 : tensor<?x24x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<?x24x16xf32>
    %155 = linalg.batch_matmul ins(%153, %154 : tensor<?x?x24xf32>, tensor<?x24x16xf32>) outs(%42 : tensor<?x?x16xf32>) -> tensor<?x?x16xf32>
    %156 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%155, %arg34 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %157 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%156, %149 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %158 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%157 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %159 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%158 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %160 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%157, %159 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.subf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %161 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%160, %160 : tensor<?x?x16xf32>, tensor<?x?x16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %162 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%161 : tensor<?x?x16xf32>) outs(%14 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.addf %in, %out : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %163 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%162 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.divf %in, %cst_0 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %164 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%163 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = arith.truncf %cst_1 : f64 to f32
      %170 = arith.addf %in, %169 : f32
      linalg.yield %170 : f32
    } -> tensor<?x?x1xf32>
    %165 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%164 : tensor<?x?x1xf32>) outs(%13 : tensor<?x?x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %169 = math.rsqrt %in : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x1xf32>
    %166 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%160, %165 : tensor<?x?x16xf32>, tensor<?x?x1xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %167 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%166, %arg35 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.mulf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    %168 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%167, %arg36 : tensor<?x?x16xf32>, tensor<16xf32>) outs(%6 : tensor<?x?x16xf32>) {
    ^bb0(%in: f32, %in_54: f32, %out: f32):
      %169 = arith.addf %in, %in_54 : f32
      linalg.yield %169 : f32
    } -> tensor<?x?x16xf32>
    return %168 : tensor<?x?x16xf32>
  }
}
