// RUN: pit-mlir-opt %s -p "pit-normalize, pit-declare-padding{argument=40}, pit-form-attention, pit-prove-permutation, pit-insert-sparsity{only=rows}, pit-simplify" -o %t
// RUN: filecheck %s < %t
// RUN: not grep "} -> tensor<2x8x.*xf32>" %t
// RUN: grep "pit.detect" %t | wc -l | filecheck %s --check-prefix=ONE

// A BERT encoder of two layers as the frontend imports it (batch 2, length 8), padding declared on its attention mask: one index, made of the
// mask; every value over (batch, token) has rows in their place, from the token ids to the result, attention included.

// ONE: 1
// CHECK-LABEL: func.func @main
// CHECK: %[[I:.*]] = "pit.detect"(%[[M:.*]]) {axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 1 : i64, segments = array<i64: 0>}
// CHECK-DAG: %[[IDS:.*]] = "pit.sread"(%{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, group = array<i64: 0, 1>} : (tensor<2x8xi64>, !pit.index) -> tensor<?xi64>
// CHECK-DAG: linalg.generic {{.*}} ins(%[[IDS]], %{{.*}} : tensor<?xi64>, tensor<16xindex>) outs(%{{.*}} : tensor<?x16xf32>)
// CHECK-DAG: "pit.sread"(%{{.*}}, %[[I]]) {axis = array<i64: 0>, group = array<i64: 1>} : (tensor<8x16xf32>, !pit.index) -> tensor<?x16xf32>
// CHECK: "pit.attend"({{.*}}, %[[I]]) ({
// CHECK: compact = array<i64: 0, 1, 2, 3>
// CHECK-SAME: (tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32>, !pit.index) -> tensor<?x2x8xf32>
// CHECK: "pit.attend"({{.*}}, %[[I]]) ({
// CHECK: compact = array<i64: 0, 1, 2, 3>
// CHECK: %[[OUT:.*]] = "pit.swrite"(%{{.*}}, %{{.*}}, %[[I]]) {axis = array<i64: 0, 1>, combine = "store", group = array<i64: 0, 1>} : (tensor<?x16xf32>, tensor<2x8x16xf32>, !pit.index) -> tensor<2x8x16xf32>
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
#map15 = affine_map<(d0, d1, d2, d3) -> (d0, 0, d2, d3)>
#map16 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
#map17 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, 0)>
module {
  func.func @main(%arg0: tensor<100x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.word_embeddings.weight"}, %arg1: tensor<32x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.position_embeddings.weight"}, %arg2: tensor<2x16xf32> {pit.kind = "weight", pit.name = "model.embeddings.token_type_embeddings.weight"}, %arg3: tensor<16xf32> {pit.kind = "weight", pit.name = "model.embeddings.LayerNorm.weight"}, %arg4: tensor<16xf32> {pit.kind = "weight", pit.name = "model.embeddings.LayerNorm.bias"}, %arg5: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.query.weight"}, %arg6: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.query.bias"}, %arg7: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.key.weight"}, %arg8: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.key.bias"}, %arg9: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.value.weight"}, %arg10: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.self.value.bias"}, %arg11: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.dense.weight"}, %arg12: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.dense.bias"}, %arg13: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.LayerNorm.weight"}, %arg14: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.attention.output.LayerNorm.bias"}, %arg15: tensor<24x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.intermediate.dense.weight"}, %arg16: tensor<24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.intermediate.dense.bias"}, %arg17: tensor<16x24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.dense.weight"}, %arg18: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.dense.bias"}, %arg19: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.LayerNorm.weight"}, %arg20: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.0.output.LayerNorm.bias"}, %arg21: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.query.weight"}, %arg22: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.query.bias"}, %arg23: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.key.weight"}, %arg24: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.key.bias"}, %arg25: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.value.weight"}, %arg26: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.self.value.bias"}, %arg27: tensor<16x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.dense.weight"}, %arg28: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.dense.bias"}, %arg29: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.LayerNorm.weight"}, %arg30: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.attention.output.LayerNorm.bias"}, %arg31: tensor<24x16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.intermediate.dense.weight"}, %arg32: tensor<24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.intermediate.dense.bias"}, %arg33: tensor<16x24xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.dense.weight"}, %arg34: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.dense.bias"}, %arg35: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.LayerNorm.weight"}, %arg36: tensor<16xf32> {pit.kind = "weight", pit.name = "model.encoder.layer.1.output.LayerNorm.bias"}, %arg37: tensor<1x32xi64> {pit.kind = "weight", pit.name = "model.embeddings.position_ids"}, %arg38: tensor<1x32xi64> {pit.kind = "weight", pit.name = "model.embeddings.token_type_ids"}, %arg39: tensor<2x8xi64> {pit.kind = "input", pit.name = "input_ids"}, %arg40: tensor<2x8xi64> {pit.kind = "input", pit.name = "attention_mask"}) -> tensor<2x8x16xf32> {
    %c2_i64 = arith.constant 2 : i64
    %c0_i64 = arith.constant 0 : i64
    %c8_i64 = arith.constant 8 : i64
    %c32 = arith.constant 32 : index
    %c2 = arith.constant 2 : index
    %c100 = arith.constant 100 : index
    %cst = arith.constant 0.000000e+00 : f32
    %cst_0 = arith.constant 0xFF800000 : f32
    %cst_1 = arith.constant 1.000000e+00 : f32
    %cst_2 = arith.constant 5.000000e-01 : f32
    %cst_3 = arith.constant dense<0.000000e+00> : tensor<f32>
    %cst_4 = arith.constant dense<-3.40282347E+38> : tensor<f32>
    %cst_5 = arith.constant dense<true> : tensor<i1>
    %cst_6 = arith.constant 0.35355339059327379 : f64
    %cst_7 = arith.constant 9.9999999999999998E-13 : f64
    %c0 = arith.constant 0 : index
    %cst_8 = arith.constant 1.600000e+01 : f32
    %cst_9 = arith.constant 1.41421354 : f32
    %extracted_slice = tensor.extract_slice %arg37[0, 0] [1, 8] [1, 1] : tensor<1x32xi64> to tensor<1x8xi64>
    %0 = tensor.empty() : tensor<1x8xi64>
    %1 = linalg.fill ins(%c0_i64 : i64) outs(%0 : tensor<1x8xi64>) -> tensor<1x8xi64>
    %2 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%extracted_slice : tensor<1x8xi64>) outs(%1 : tensor<1x8xi64>) {
    ^bb0(%in: i64, %out: i64):
      %163 = arith.index_cast %in : i64 to index
      %164 = arith.cmpi slt, %163, %c32 : index
      cf.assert %164, "index must be smaller than dim size"
      %165 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %165, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg38[%c0, %163] : tensor<1x32xi64>
      linalg.yield %extracted : i64
    } -> tensor<1x8xi64>
    %3 = tensor.empty() : tensor<2x8xi64>
    %collapsed = tensor.collapse_shape %2 [[0, 1]] : tensor<1x8xi64> into tensor<8xi64>
    %4 = linalg.generic {indexing_maps = [#map1, #map], iterator_types = ["parallel", "parallel"]} ins(%collapsed : tensor<8xi64>) outs(%3 : tensor<2x8xi64>) {
    ^bb0(%in: i64, %out: i64):
      linalg.yield %in : i64
    } -> tensor<2x8xi64>
    %5 = tensor.empty() : tensor<2x8x16xf32>
    %6 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%arg39 : tensor<2x8xi64>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %163 = arith.index_cast %in : i64 to index
      %164 = linalg.index 2 : index
      %165 = arith.cmpi slt, %163, %c100 : index
      cf.assert %165, "index must be smaller than dim size"
      %166 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %166, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg0[%163, %164] : tensor<100x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<2x8x16xf32>
    %7 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%4 : tensor<2x8xi64>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %163 = arith.index_cast %in : i64 to index
      %164 = linalg.index 2 : index
      %165 = arith.cmpi slt, %163, %c2 : index
      cf.assert %165, "index must be smaller than dim size"
      %166 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %166, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg2[%163, %164] : tensor<2x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<2x8x16xf32>
    %8 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%6, %7 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %9 = tensor.empty() : tensor<1x8x16xf32>
    %10 = linalg.generic {indexing_maps = [#map2, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%extracted_slice : tensor<1x8xi64>) outs(%9 : tensor<1x8x16xf32>) {
    ^bb0(%in: i64, %out: f32):
      %163 = arith.index_cast %in : i64 to index
      %164 = linalg.index 2 : index
      %165 = arith.cmpi slt, %163, %c32 : index
      cf.assert %165, "index must be smaller than dim size"
      %166 = arith.cmpi sge, %in, %c0_i64 : i64
      cf.assert %166, "index must be larger or equal to 0"
      %extracted = tensor.extract %arg1[%163, %164] : tensor<32x16xf32>
      linalg.yield %extracted : f32
    } -> tensor<1x8x16xf32>
    %11 = linalg.generic {indexing_maps = [#map3, #map4, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%8, %10 : tensor<2x8x16xf32>, tensor<1x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %12 = tensor.empty() : tensor<2x8x1xf32>
    %13 = linalg.fill ins(%cst : f32) outs(%12 : tensor<2x8x1xf32>) -> tensor<2x8x1xf32>
    %14 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%11 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %15 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%14 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %16 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%11, %15 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %17 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%16, %16 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %18 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%17 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %19 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%18 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %20 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%19 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_7 : f64 to f32
      %164 = arith.addf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x8x1xf32>
    %21 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%20 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.rsqrt %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %22 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%16, %21 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %23 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%22, %arg3 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %24 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%23, %arg4 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %25 = tensor.empty() : tensor<2x8xi1>
    %26 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel", "parallel"]} ins(%arg40 : tensor<2x8xi64>) outs(%25 : tensor<2x8xi1>) {
    ^bb0(%in: i64, %out: i1):
      %163 = arith.cmpi ne, %in, %c0_i64 : i64
      linalg.yield %163 : i1
    } -> tensor<2x8xi1>
    %27 = tensor.empty() : tensor<2xi64>
    %28 = linalg.generic {indexing_maps = [#map7], iterator_types = ["parallel"]} outs(%27 : tensor<2xi64>) {
    ^bb0(%out: i64):
      %163 = linalg.index 0 : index
      %164 = arith.index_cast %163 : index to i64
      linalg.yield %164 : i64
    } -> tensor<2xi64>
    %29 = tensor.empty() : tensor<8xi64>
    %30 = linalg.generic {indexing_maps = [#map7], iterator_types = ["parallel"]} outs(%29 : tensor<8xi64>) {
    ^bb0(%out: i64):
      %163 = linalg.index 0 : index
      %164 = arith.index_cast %163 : index to i64
      linalg.yield %164 : i64
    } -> tensor<8xi64>
    %expanded = tensor.expand_shape %28 [[0, 1, 2, 3]] output_shape [2, 1, 1, 1] : tensor<2xi64> into tensor<2x1x1x1xi64>
    %expanded_10 = tensor.expand_shape %30 [[0, 1, 2, 3]] output_shape [1, 1, 8, 1] : tensor<8xi64> into tensor<1x1x8x1xi64>
    %expanded_11 = tensor.expand_shape %30 [[0, 1, 2, 3]] output_shape [1, 1, 1, 8] : tensor<8xi64> into tensor<1x1x1x8xi64>
    %31 = tensor.empty() : tensor<1x1x8x1xi1>
    %32 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_10 : tensor<1x1x8x1xi64>) outs(%31 : tensor<1x1x8x1xi1>) {
    ^bb0(%in: i64, %out: i1):
      %163 = arith.cmpi sge, %in, %c0_i64 : i64
      linalg.yield %163 : i1
    } -> tensor<1x1x8x1xi1>
    %33 = linalg.generic {indexing_maps = [#map9, #map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%cst_5, %32 : tensor<i1>, tensor<1x1x8x1xi1>) outs(%31 : tensor<1x1x8x1xi1>) {
    ^bb0(%in: i1, %in_53: i1, %out: i1):
      %163 = arith.andi %in, %in_53 : i1
      linalg.yield %163 : i1
    } -> tensor<1x1x8x1xi1>
    %34 = tensor.empty() : tensor<2x1x1x8xi1>
    %35 = linalg.generic {indexing_maps = [#map10, #map11, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded, %expanded_11 : tensor<2x1x1x1xi64>, tensor<1x1x1x8xi64>) outs(%34 : tensor<2x1x1x8xi1>) {
    ^bb0(%in: i64, %in_53: i64, %out: i1):
      %163 = arith.cmpi slt, %in, %c0_i64 : i64
      %164 = arith.addi %in, %c2_i64 : i64
      %165 = arith.select %163, %164, %in : i64
      %166 = arith.index_cast %165 : i64 to index
      %167 = arith.cmpi slt, %in_53, %c0_i64 : i64
      %168 = arith.addi %in_53, %c8_i64 : i64
      %169 = arith.select %167, %168, %in_53 : i64
      %170 = arith.index_cast %169 : i64 to index
      %extracted = tensor.extract %26[%166, %170] : tensor<2x8xi1>
      linalg.yield %extracted : i1
    } -> tensor<2x1x1x8xi1>
    %36 = tensor.empty() : tensor<2x1x8x8xi1>
    %37 = linalg.generic {indexing_maps = [#map12, #map13, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%33, %35 : tensor<1x1x8x1xi1>, tensor<2x1x1x8xi1>) outs(%36 : tensor<2x1x8x8xi1>) {
    ^bb0(%in: i1, %in_53: i1, %out: i1):
      %163 = arith.andi %in, %in_53 : i1
      linalg.yield %163 : i1
    } -> tensor<2x1x8x8xi1>
    %38 = tensor.empty() : tensor<16x16xf32>
    %transposed = linalg.transpose ins(%arg5 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %39 = tensor.empty() : tensor<2x16x16xf32>
    %40 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %41 = linalg.fill ins(%cst : f32) outs(%5 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %42 = linalg.batch_matmul ins(%24, %40 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %43 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%42, %arg6 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_12 = tensor.expand_shape %43 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %44 = tensor.empty() : tensor<2x2x8x8xf32>
    %transposed_13 = linalg.transpose ins(%expanded_12 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_14 = linalg.transpose ins(%arg7 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %45 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_14 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %46 = linalg.batch_matmul ins(%24, %45 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %47 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%46, %arg8 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_15 = tensor.expand_shape %47 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %transposed_16 = linalg.transpose ins(%arg9 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %48 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_16 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %49 = linalg.batch_matmul ins(%24, %48 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %50 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%49, %arg10 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_17 = tensor.expand_shape %50 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %transposed_18 = linalg.transpose ins(%expanded_17 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_19 = linalg.transpose ins(%expanded_15 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_20 = tensor.collapse_shape %transposed_13 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %collapsed_21 = tensor.collapse_shape %transposed_19 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %51 = tensor.empty() : tensor<4x8x8xf32>
    %52 = linalg.fill ins(%cst : f32) outs(%51 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %53 = linalg.batch_matmul ins(%collapsed_20, %collapsed_21 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%52 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %expanded_22 = tensor.expand_shape %53 [[0, 1], [2], [3]] output_shape [2, 2, 8, 8] : tensor<4x8x8xf32> into tensor<2x2x8x8xf32>
    %54 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_22 : tensor<2x2x8x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_6 : f64 to f32
      %164 = arith.mulf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x2x8x8xf32>
    %55 = linalg.generic {indexing_maps = [#map15, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%37, %54, %cst_4 : tensor<2x1x8x8xi1>, tensor<2x2x8x8xf32>, tensor<f32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: i1, %in_53: f32, %in_54: f32, %out: f32):
      %163 = arith.select %in, %in_53, %in_54 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %56 = tensor.empty() : tensor<2x2x8xi64>
    %57 = linalg.fill ins(%c0_i64 : i64) outs(%56 : tensor<2x2x8xi64>) -> tensor<2x2x8xi64>
    %58 = tensor.empty() : tensor<2x2x8xf32>
    %59 = linalg.fill ins(%cst_0 : f32) outs(%58 : tensor<2x2x8xf32>) -> tensor<2x2x8xf32>
    %60:2 = linalg.generic {indexing_maps = [#map8, #map16, #map16], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%55 : tensor<2x2x8x8xf32>) outs(%59, %57 : tensor<2x2x8xf32>, tensor<2x2x8xi64>) {
    ^bb0(%in: f32, %out: f32, %out_53: i64):
      %163 = linalg.index 3 : index
      %164 = arith.index_cast %163 : index to i64
      %165 = arith.maximumf %in, %out : f32
      %166 = arith.cmpf ogt, %in, %out : f32
      %167 = arith.select %166, %164, %out_53 : i64
      linalg.yield %165, %167 : f32, i64
    } -> (tensor<2x2x8xf32>, tensor<2x2x8xi64>)
    %expanded_23 = tensor.expand_shape %60#0 [[0], [1], [2, 3]] output_shape [2, 2, 8, 1] : tensor<2x2x8xf32> into tensor<2x2x8x1xf32>
    %61 = linalg.generic {indexing_maps = [#map8, #map17, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%55, %expanded_23 : tensor<2x2x8x8xf32>, tensor<2x2x8x1xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %62 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%61 : tensor<2x2x8x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.exp %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %63 = tensor.empty() : tensor<2x2x8x1xf32>
    %64 = linalg.fill ins(%cst : f32) outs(%63 : tensor<2x2x8x1xf32>) -> tensor<2x2x8x1xf32>
    %65 = linalg.generic {indexing_maps = [#map8, #map17], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%62 : tensor<2x2x8x8xf32>) outs(%64 : tensor<2x2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x1xf32>
    %66 = linalg.generic {indexing_maps = [#map8, #map17, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%62, %65 : tensor<2x2x8x8xf32>, tensor<2x2x8x1xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.divf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %67 = linalg.generic {indexing_maps = [#map15, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%37, %66, %cst_3 : tensor<2x1x8x8xi1>, tensor<2x2x8x8xf32>, tensor<f32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: i1, %in_53: f32, %in_54: f32, %out: f32):
      %163 = arith.select %in, %in_53, %in_54 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %collapsed_24 = tensor.collapse_shape %67 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %collapsed_25 = tensor.collapse_shape %transposed_18 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %68 = linalg.batch_matmul ins(%collapsed_24, %collapsed_25 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%52 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %expanded_26 = tensor.expand_shape %68 [[0, 1], [2], [3]] output_shape [2, 2, 8, 8] : tensor<4x8x8xf32> into tensor<2x2x8x8xf32>
    %69 = tensor.empty() : tensor<2x8x2x8xf32>
    %transposed_27 = linalg.transpose ins(%expanded_26 : tensor<2x2x8x8xf32>) outs(%69 : tensor<2x8x2x8xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_28 = tensor.collapse_shape %transposed_27 [[0], [1], [2, 3]] : tensor<2x8x2x8xf32> into tensor<2x8x16xf32>
    %transposed_29 = linalg.transpose ins(%arg11 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %70 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_29 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %71 = linalg.batch_matmul ins(%collapsed_28, %70 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %72 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%71, %arg12 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %73 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%72, %24 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %74 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%73 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %75 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%74 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %76 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%73, %75 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %77 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%76, %76 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %78 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%77 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %79 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%78 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %80 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%79 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_7 : f64 to f32
      %164 = arith.addf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x8x1xf32>
    %81 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%80 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.rsqrt %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %82 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%76, %81 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %83 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%82, %arg13 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %84 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%83, %arg14 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %85 = tensor.empty() : tensor<16x24xf32>
    %transposed_30 = linalg.transpose ins(%arg15 : tensor<24x16xf32>) outs(%85 : tensor<16x24xf32>) permutation = [1, 0] 
    %86 = tensor.empty() : tensor<2x16x24xf32>
    %87 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_30 : tensor<16x24xf32>) outs(%86 : tensor<2x16x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x24xf32>
    %88 = tensor.empty() : tensor<2x8x24xf32>
    %89 = linalg.fill ins(%cst : f32) outs(%88 : tensor<2x8x24xf32>) -> tensor<2x8x24xf32>
    %90 = linalg.batch_matmul ins(%84, %87 : tensor<2x8x16xf32>, tensor<2x16x24xf32>) outs(%89 : tensor<2x8x24xf32>) -> tensor<2x8x24xf32>
    %91 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%90, %arg16 : tensor<2x8x24xf32>, tensor<24xf32>) outs(%88 : tensor<2x8x24xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x24xf32>
    %92 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%91 : tensor<2x8x24xf32>) outs(%88 : tensor<2x8x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_9 : f32
      %164 = math.erf %163 : f32
      %165 = arith.addf %164, %cst_1 : f32
      %166 = arith.mulf %165, %cst_2 : f32
      %167 = arith.mulf %in, %166 : f32
      linalg.yield %167 : f32
    } -> tensor<2x8x24xf32>
    %93 = tensor.empty() : tensor<24x16xf32>
    %transposed_31 = linalg.transpose ins(%arg17 : tensor<16x24xf32>) outs(%93 : tensor<24x16xf32>) permutation = [1, 0] 
    %94 = tensor.empty() : tensor<2x24x16xf32>
    %95 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_31 : tensor<24x16xf32>) outs(%94 : tensor<2x24x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x24x16xf32>
    %96 = linalg.batch_matmul ins(%92, %95 : tensor<2x8x24xf32>, tensor<2x24x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %97 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%96, %arg18 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %98 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%97, %84 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %99 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%98 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %100 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%99 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %101 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%98, %100 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %102 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%101, %101 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %103 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%102 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %104 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%103 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %105 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%104 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_7 : f64 to f32
      %164 = arith.addf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x8x1xf32>
    %106 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%105 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.rsqrt %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %107 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%101, %106 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %108 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%107, %arg19 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %109 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%108, %arg20 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %transposed_32 = linalg.transpose ins(%arg21 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %110 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_32 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %111 = linalg.batch_matmul ins(%109, %110 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %112 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%111, %arg22 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_33 = tensor.expand_shape %112 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %transposed_34 = linalg.transpose ins(%expanded_33 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_35 = linalg.transpose ins(%arg23 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %113 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_35 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %114 = linalg.batch_matmul ins(%109, %113 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %115 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%114, %arg24 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_36 = tensor.expand_shape %115 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %transposed_37 = linalg.transpose ins(%arg25 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %116 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_37 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %117 = linalg.batch_matmul ins(%109, %116 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %118 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%117, %arg26 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %expanded_38 = tensor.expand_shape %118 [[0], [1], [2, 3]] output_shape [2, 8, 2, 8] : tensor<2x8x16xf32> into tensor<2x8x2x8xf32>
    %transposed_39 = linalg.transpose ins(%expanded_38 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 1, 3] 
    %transposed_40 = linalg.transpose ins(%expanded_36 : tensor<2x8x2x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) permutation = [0, 2, 3, 1] 
    %collapsed_41 = tensor.collapse_shape %transposed_34 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %collapsed_42 = tensor.collapse_shape %transposed_40 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %119 = linalg.batch_matmul ins(%collapsed_41, %collapsed_42 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%52 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %expanded_43 = tensor.expand_shape %119 [[0, 1], [2], [3]] output_shape [2, 2, 8, 8] : tensor<4x8x8xf32> into tensor<2x2x8x8xf32>
    %120 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%expanded_43 : tensor<2x2x8x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_6 : f64 to f32
      %164 = arith.mulf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x2x8x8xf32>
    %121 = linalg.generic {indexing_maps = [#map15, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%37, %120, %cst_4 : tensor<2x1x8x8xi1>, tensor<2x2x8x8xf32>, tensor<f32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: i1, %in_53: f32, %in_54: f32, %out: f32):
      %163 = arith.select %in, %in_53, %in_54 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %122:2 = linalg.generic {indexing_maps = [#map8, #map16, #map16], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%121 : tensor<2x2x8x8xf32>) outs(%59, %57 : tensor<2x2x8xf32>, tensor<2x2x8xi64>) {
    ^bb0(%in: f32, %out: f32, %out_53: i64):
      %163 = linalg.index 3 : index
      %164 = arith.index_cast %163 : index to i64
      %165 = arith.maximumf %in, %out : f32
      %166 = arith.cmpf ogt, %in, %out : f32
      %167 = arith.select %166, %164, %out_53 : i64
      linalg.yield %165, %167 : f32, i64
    } -> (tensor<2x2x8xf32>, tensor<2x2x8xi64>)
    %expanded_44 = tensor.expand_shape %122#0 [[0], [1], [2, 3]] output_shape [2, 2, 8, 1] : tensor<2x2x8xf32> into tensor<2x2x8x1xf32>
    %123 = linalg.generic {indexing_maps = [#map8, #map17, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%121, %expanded_44 : tensor<2x2x8x8xf32>, tensor<2x2x8x1xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %124 = linalg.generic {indexing_maps = [#map8, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%123 : tensor<2x2x8x8xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.exp %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %125 = linalg.generic {indexing_maps = [#map8, #map17], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%124 : tensor<2x2x8x8xf32>) outs(%64 : tensor<2x2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x1xf32>
    %126 = linalg.generic {indexing_maps = [#map8, #map17, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%124, %125 : tensor<2x2x8x8xf32>, tensor<2x2x8x1xf32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.divf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %127 = linalg.generic {indexing_maps = [#map15, #map8, #map9, #map8], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%37, %126, %cst_3 : tensor<2x1x8x8xi1>, tensor<2x2x8x8xf32>, tensor<f32>) outs(%44 : tensor<2x2x8x8xf32>) {
    ^bb0(%in: i1, %in_53: f32, %in_54: f32, %out: f32):
      %163 = arith.select %in, %in_53, %in_54 : f32
      linalg.yield %163 : f32
    } -> tensor<2x2x8x8xf32>
    %collapsed_45 = tensor.collapse_shape %127 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %collapsed_46 = tensor.collapse_shape %transposed_39 [[0, 1], [2], [3]] : tensor<2x2x8x8xf32> into tensor<4x8x8xf32>
    %128 = linalg.batch_matmul ins(%collapsed_45, %collapsed_46 : tensor<4x8x8xf32>, tensor<4x8x8xf32>) outs(%52 : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
    %expanded_47 = tensor.expand_shape %128 [[0, 1], [2], [3]] output_shape [2, 2, 8, 8] : tensor<4x8x8xf32> into tensor<2x2x8x8xf32>
    %transposed_48 = linalg.transpose ins(%expanded_47 : tensor<2x2x8x8xf32>) outs(%69 : tensor<2x8x2x8xf32>) permutation = [0, 2, 1, 3] 
    %collapsed_49 = tensor.collapse_shape %transposed_48 [[0], [1], [2, 3]] : tensor<2x8x2x8xf32> into tensor<2x8x16xf32>
    %transposed_50 = linalg.transpose ins(%arg27 : tensor<16x16xf32>) outs(%38 : tensor<16x16xf32>) permutation = [1, 0] 
    %129 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_50 : tensor<16x16xf32>) outs(%39 : tensor<2x16x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x16xf32>
    %130 = linalg.batch_matmul ins(%collapsed_49, %129 : tensor<2x8x16xf32>, tensor<2x16x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %131 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%130, %arg28 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %132 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%131, %109 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %133 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%132 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %134 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%133 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %135 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%132, %134 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %136 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%135, %135 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %137 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%136 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %138 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%137 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %139 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%138 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_7 : f64 to f32
      %164 = arith.addf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x8x1xf32>
    %140 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%139 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.rsqrt %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %141 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%135, %140 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %142 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%141, %arg29 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %143 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%142, %arg30 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %transposed_51 = linalg.transpose ins(%arg31 : tensor<24x16xf32>) outs(%85 : tensor<16x24xf32>) permutation = [1, 0] 
    %144 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_51 : tensor<16x24xf32>) outs(%86 : tensor<2x16x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x16x24xf32>
    %145 = linalg.batch_matmul ins(%143, %144 : tensor<2x8x16xf32>, tensor<2x16x24xf32>) outs(%89 : tensor<2x8x24xf32>) -> tensor<2x8x24xf32>
    %146 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%145, %arg32 : tensor<2x8x24xf32>, tensor<24xf32>) outs(%88 : tensor<2x8x24xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x24xf32>
    %147 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%146 : tensor<2x8x24xf32>) outs(%88 : tensor<2x8x24xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_9 : f32
      %164 = math.erf %163 : f32
      %165 = arith.addf %164, %cst_1 : f32
      %166 = arith.mulf %165, %cst_2 : f32
      %167 = arith.mulf %in, %166 : f32
      linalg.yield %167 : f32
    } -> tensor<2x8x24xf32>
    %transposed_52 = linalg.transpose ins(%arg33 : tensor<16x24xf32>) outs(%93 : tensor<24x16xf32>) permutation = [1, 0] 
    %148 = linalg.generic {indexing_maps = [#map14, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%transposed_52 : tensor<24x16xf32>) outs(%94 : tensor<2x24x16xf32>) {
    ^bb0(%in: f32, %out: f32):
      linalg.yield %in : f32
    } -> tensor<2x24x16xf32>
    %149 = linalg.batch_matmul ins(%147, %148 : tensor<2x8x24xf32>, tensor<2x24x16xf32>) outs(%41 : tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    %150 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%149, %arg34 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %151 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%150, %143 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %152 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%151 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %153 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%152 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %154 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%151, %153 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.subf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %155 = linalg.generic {indexing_maps = [#map3, #map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%154, %154 : tensor<2x8x16xf32>, tensor<2x8x16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %156 = linalg.generic {indexing_maps = [#map3, #map5], iterator_types = ["parallel", "parallel", "reduction"]} ins(%155 : tensor<2x8x16xf32>) outs(%13 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.addf %in, %out : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %157 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%156 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.divf %in, %cst_8 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %158 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%157 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = arith.truncf %cst_7 : f64 to f32
      %164 = arith.addf %in, %163 : f32
      linalg.yield %164 : f32
    } -> tensor<2x8x1xf32>
    %159 = linalg.generic {indexing_maps = [#map3, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%158 : tensor<2x8x1xf32>) outs(%12 : tensor<2x8x1xf32>) {
    ^bb0(%in: f32, %out: f32):
      %163 = math.rsqrt %in : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x1xf32>
    %160 = linalg.generic {indexing_maps = [#map3, #map5, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%154, %159 : tensor<2x8x16xf32>, tensor<2x8x1xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %161 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%160, %arg35 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.mulf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    %162 = linalg.generic {indexing_maps = [#map3, #map6, #map3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%161, %arg36 : tensor<2x8x16xf32>, tensor<16xf32>) outs(%5 : tensor<2x8x16xf32>) {
    ^bb0(%in: f32, %in_53: f32, %out: f32):
      %163 = arith.addf %in, %in_53 : f32
      linalg.yield %163 : f32
    } -> tensor<2x8x16xf32>
    return %162 : tensor<2x8x16xf32>
  }
}
