// RUN: pit-mlir-opt %s --pit-normalize --split-input-file | filecheck %s

// A linear layer stays one contraction; weight transpose and batch broadcast fold into the map of W.

// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d2, d3)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: func.func @linear
// CHECK-SAME: (%[[ARG_X:.*]]: tensor<2x?x16xf32>, %[[ARG_W:.*]]: tensor<8x16xf32>
// CHECK: %[[INIT:.*]] = linalg.fill
// CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK-SAME: ins(%[[ARG_X]], %[[ARG_W]] : {{.*}}) outs(%[[INIT]] :
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @linear(%x: tensor<2x?x16xf32>, %w: tensor<8x16xf32>) -> tensor<2x?x8xf32> {
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %t = tensor.dim %x, %c1 : tensor<2x?x16xf32>
  %wt_init = tensor.empty() : tensor<16x8xf32>
  %wt = linalg.transpose ins(%w : tensor<8x16xf32>) outs(%wt_init : tensor<16x8xf32>) permutation = [1, 0]
  %wb_init = tensor.empty() : tensor<2x16x8xf32>
  %wb = linalg.broadcast ins(%wt : tensor<16x8xf32>) outs(%wb_init : tensor<2x16x8xf32>) dimensions = [0]
  %empty = tensor.empty(%t) : tensor<2x?x8xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  %y = linalg.batch_matmul ins(%x, %wb : tensor<2x?x16xf32>, tensor<2x16x8xf32>) outs(%init : tensor<2x?x8xf32>) -> tensor<2x?x8xf32>
  return %y : tensor<2x?x8xf32>
}

// -----

// Softmax as torch-mlir writes it: the position of the maximum is dead and goes, the rest stays op by op.

#id = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>
#keep = affine_map<(i, j) -> (i, 0)>
// CHECK-LABEL: func.func @softmax
// CHECK-NOT: i64
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %[[OUT:.*]]: f32):
// CHECK-NEXT: %[[MAX:.*]] = arith.maximumf %[[IN]], %[[OUT]]
// CHECK-NEXT: linalg.yield %[[MAX]] : f32
// CHECK: linalg.generic
// CHECK: arith.subf
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK: arith.divf
// CHECK-NEXT: linalg.yield
// CHECK-NOT: tensor.expand_shape
// CHECK: return
func.func @softmax(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %lowest = arith.constant 0xFF800000 : f32
  %none = arith.constant 0 : i64
  %e1 = tensor.empty() : tensor<4xf32>
  %e2 = tensor.empty() : tensor<4x8xf32>
  %ei = tensor.empty() : tensor<4xi64>
  %max_init = linalg.fill ins(%lowest : f32) outs(%e1 : tensor<4xf32>) -> tensor<4xf32>
  %arg_init = linalg.fill ins(%none : i64) outs(%ei : tensor<4xi64>) -> tensor<4xi64>
  %max:2 = linalg.generic {indexing_maps = [#id, #row, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%max_init, %arg_init : tensor<4xf32>, tensor<4xi64>) {
  ^bb0(%in: f32, %m: f32, %at: i64):
    %j = linalg.index 1 : index
    %ji = arith.index_cast %j : index to i64
    %new = arith.maximumf %in, %m : f32
    %greater = arith.cmpf ogt, %in, %m : f32
    %where = arith.select %greater, %ji, %at : i64
    linalg.yield %new, %where : f32, i64
  } -> (tensor<4xf32>, tensor<4xi64>)
  %maxk = tensor.expand_shape %max#0 [[0, 1]] output_shape [4, 1] : tensor<4xf32> into tensor<4x1xf32>
  %sub = linalg.generic {indexing_maps = [#id, #keep, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %maxk : tensor<4x8xf32>, tensor<4x1xf32>) outs(%e2 : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %d = arith.subf %a, %b : f32
    linalg.yield %d : f32
  } -> tensor<4x8xf32>
  %exp = linalg.exp ins(%sub : tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) -> tensor<4x8xf32>
  %sum_init = linalg.fill ins(%zero : f32) outs(%e1 : tensor<4xf32>) -> tensor<4xf32>
  %sum = linalg.reduce { arith.addf } ins(%exp : tensor<4x8xf32>) outs(%sum_init : tensor<4xf32>) dimensions = [1]
  %sumb = linalg.broadcast ins(%sum : tensor<4xf32>) outs(%e2 : tensor<4x8xf32>) dimensions = [1]
  %p = linalg.div ins(%exp, %sumb : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %p : tensor<4x8xf32>
}

// -----

// Heads: the projection is split and transposed by its own maps; no iterator stands for two model axes.

// CHECK-DAG: #[[Q:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d4)>
// CHECK-DAG: #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d1, d4)>
// CHECK-LABEL: func.func @heads
// CHECK-NOT: tensor.collapse_shape
// CHECK: linalg.generic {indexing_maps = [#[[Q]], #[[K]], #{{.*}}], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
// CHECK-NOT: tensor.expand_shape
// CHECK: return
func.func @heads(%q: tensor<2x?x64xf32>, %k: tensor<2x?x64xf32>, %t: index) -> tensor<2x4x?x?xf32> {
  %zero = arith.constant 0.0 : f32
  %q4 = tensor.expand_shape %q [[0], [1], [2, 3]] output_shape [2, %t, 4, 16] : tensor<2x?x64xf32> into tensor<2x?x4x16xf32>
  %k4 = tensor.expand_shape %k [[0], [1], [2, 3]] output_shape [2, %t, 4, 16] : tensor<2x?x64xf32> into tensor<2x?x4x16xf32>
  %et = tensor.empty(%t) : tensor<2x4x?x16xf32>
  %ek = tensor.empty(%t) : tensor<2x4x16x?xf32>
  %qt = linalg.transpose ins(%q4 : tensor<2x?x4x16xf32>) outs(%et : tensor<2x4x?x16xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%k4 : tensor<2x?x4x16xf32>) outs(%ek : tensor<2x4x16x?xf32>) permutation = [0, 2, 3, 1]
  %q3 = tensor.collapse_shape %qt [[0, 1], [2], [3]] : tensor<2x4x?x16xf32> into tensor<8x?x16xf32>
  %k3 = tensor.collapse_shape %kt [[0, 1], [2], [3]] : tensor<2x4x16x?xf32> into tensor<8x16x?xf32>
  %es = tensor.empty(%t, %t) : tensor<8x?x?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%es : tensor<8x?x?xf32>) -> tensor<8x?x?xf32>
  %s = linalg.batch_matmul ins(%q3, %k3 : tensor<8x?x16xf32>, tensor<8x16x?xf32>) outs(%init : tensor<8x?x?xf32>) -> tensor<8x?x?xf32>
  %s4 = tensor.expand_shape %s [[0, 1], [2], [3]] output_shape [2, 4, %t, %t] : tensor<8x?x?xf32> into tensor<2x4x?x?xf32>
  return %s4 : tensor<2x4x?x?xf32>
}

// -----

// An embedding: its asserts are checked once an index, outside; the column is read by an iota.

#ids = affine_map<(b, t, d) -> (b, t)>
#out = affine_map<(b, t, d) -> (b, t, d)>
// CHECK-DAG: #[[BT:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[NONE:.*]] = affine_map<(d0, d1) -> ()>
// CHECK-DAG: #[[COLUMN:.*]] = affine_map<(d0, d1, d2) -> (d2)>
// CHECK-LABEL: func.func @embedding
// CHECK-SAME: (%[[IDS:.*]]: tensor<?x?xi64>, %[[TABLE:.*]]: tensor<100x64xf32>
// CHECK-NOT: cf.assert
// CHECK: %[[OK:.*]] = linalg.generic {indexing_maps = [#[[BT]], #[[NONE]]], iterator_types = ["reduction", "reduction"]} ins(%[[IDS]] :
// CHECK: arith.cmpi slt
// CHECK: arith.andi
// CHECK: "pit.check"(%[[OK]]) {message = "index must be smaller than dim size"} : (tensor<i1>) -> ()
// CHECK: arith.cmpi sge
// CHECK: "pit.check"(%{{.*}}) {message = "index must be larger or equal to 0"}
// CHECK: %[[IOTA:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<64xindex>)
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[COLUMN]], #{{.*}}], {{.*}} ins(%[[IDS]], %[[IOTA]] :
// CHECK-NOT: linalg.index
// CHECK: tensor.extract %[[TABLE]]
func.func @embedding(%ids: tensor<?x?xi64>, %table: tensor<100x64xf32>, %init: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> {
  %zero = arith.constant 0 : i64
  %rows = arith.constant 100 : index
  %y = linalg.generic {indexing_maps = [#ids, #out], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%ids : tensor<?x?xi64>) outs(%init : tensor<?x?x64xf32>) {
  ^bb0(%in: i64, %o: f32):
    %row = arith.index_cast %in : i64 to index
    %column = linalg.index 2 : index
    %small = arith.cmpi slt, %row, %rows : index
    cf.assert %small, "index must be smaller than dim size"
    %positive = arith.cmpi sge, %in, %zero : i64
    cf.assert %positive, "index must be larger or equal to 0"
    %value = tensor.extract %table[%row, %column] : tensor<100x64xf32>
    linalg.yield %value : f32
  } -> tensor<?x?x64xf32>
  return %y : tensor<?x?x64xf32>
}

// -----

// A causal mask over scores: the integer chain is one body, and reads its positions as operands.

#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>
#ij = affine_map<(i, j) -> (i, j)>
#d = affine_map<(d) -> (d)>
// CHECK-DAG: #[[I:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[J:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @causal
// CHECK-SAME: %[[S:.*]]: tensor<?x?xf32>
// CHECK: %[[IOTA:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?xindex>)
// CHECK-NEXT: ^bb0
// CHECK-NEXT: linalg.index 0
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK-SAME: %[[IOTA]]
// CHECK-NOT: linalg.index
// CHECK: arith.cmpi sle
// CHECK: arith.select
func.func @causal(%s: tensor<?x?xf32>, %n: index) -> tensor<?x?xf32> {
  %lowest = arith.constant -3.40282347E+38 : f32
  %e1 = tensor.empty(%n) : tensor<?xi64>
  %ei1 = tensor.empty(%n, %n) : tensor<?x?xi1>
  %e2 = tensor.empty(%n, %n) : tensor<?x?xf32>
  %iota = linalg.generic {indexing_maps = [#d], iterator_types = ["parallel"]} outs(%e1 : tensor<?xi64>) {
  ^bb0(%o: i64):
    %p = linalg.index 0 : index
    %pi = arith.index_cast %p : index to i64
    linalg.yield %pi : i64
  } -> tensor<?xi64>
  %live = linalg.generic {indexing_maps = [#j, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%iota, %iota : tensor<?xi64>, tensor<?xi64>) outs(%ei1 : tensor<?x?xi1>) {
  ^bb0(%key: i64, %query: i64, %o: i1):
    %c = arith.cmpi sle, %key, %query : i64
    linalg.yield %c : i1
  } -> tensor<?x?xi1>
  %y = linalg.generic {indexing_maps = [#ij, #ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%live, %s : tensor<?x?xi1>, tensor<?x?xf32>) outs(%e2 : tensor<?x?xf32>) {
  ^bb0(%c: i1, %x: f32, %o: f32):
    %v = arith.select %c, %x, %lowest : f32
    linalg.yield %v : f32
  } -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Dimensions of 1 go, and constants in maps with them.

#id3 = affine_map<(i, j, k) -> (i, j, k)>
#one = affine_map<(i, j, k) -> (i, 0, k)>
// CHECK-DAG: #[[ID:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[ONE:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-LABEL: func.func @unit_dims
// CHECK-SAME: %{{.*}}: tensor<2x3x4xf32>, %[[M:.*]]: tensor<2x4xf32>
// CHECK-NOT: tensor.expand_shape
// CHECK: linalg.generic {indexing_maps = [#[[ID]], #[[ONE]], #[[ID]]]{{.*}} ins(%{{.*}}, %[[M]] :
func.func @unit_dims(%x: tensor<2x3x4xf32>, %m: tensor<2x4xf32>) -> tensor<2x3x4xf32> {
  %e = tensor.empty() : tensor<2x3x4xf32>
  %m3 = tensor.expand_shape %m [[0, 1], [2]] output_shape [2, 1, 4] : tensor<2x4xf32> into tensor<2x1x4xf32>
  %y = linalg.generic {indexing_maps = [#id3, #one, #id3], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %m3 : tensor<2x3x4xf32>, tensor<2x1x4xf32>) outs(%e : tensor<2x3x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// -----

// Bias, relu and the next contraction stay three operations.

// CHECK-LABEL: func.func @not_fused
// CHECK: linalg.generic
// CHECK: arith.addf
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK: arith.maximumf
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NEXT: linalg.yield
func.func @not_fused(%x: tensor<3x8xf32>, %b: tensor<3x8xf32>, %w: tensor<8x5xf32>, %init: tensor<3x5xf32>) -> tensor<3x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<3x8xf32>) -> tensor<3x8xf32>
  %h = linalg.add ins(%x, %b : tensor<3x8xf32>, tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) -> tensor<3x8xf32>
  %r = linalg.max ins(%h, %z : tensor<3x8xf32>, tensor<3x8xf32>) outs(%e : tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = linalg.matmul ins(%r, %w : tensor<3x8xf32>, tensor<8x5xf32>) outs(%init : tensor<3x5xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}

// -----

// A table read at its own positions is an operand; one that is longer than the loop stays a gather.

#id2 = affine_map<(i, j) -> (i, j)>
// CHECK-DAG: #[[SWAP:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: func.func @tables
// CHECK-SAME: (%[[X:.*]]: tensor<3x4xf32>, %[[SAME:.*]]: tensor<4x3xf32>, %[[LONGER:.*]]: tensor<4x5xf32>
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #[[SWAP]], #{{.*}}]{{.*}} ins(%[[X]], %[[SAME]] :
// CHECK-NOT: tensor.extract %[[SAME]]
// CHECK: linalg.generic
// CHECK: tensor.extract %[[LONGER]]
func.func @tables(%x: tensor<3x4xf32>, %same: tensor<4x3xf32>, %longer: tensor<4x5xf32>) -> tensor<3x4xf32> {
  %e = tensor.empty() : tensor<3x4xf32>
  %y = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %v = tensor.extract %same[%j, %i] : tensor<4x3xf32>
    %p = arith.mulf %a, %v : f32
    linalg.yield %p : f32
  } -> tensor<3x4xf32>
  %z = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %v = tensor.extract %longer[%j, %i] : tensor<4x5xf32>
    %p = arith.mulf %a, %v : f32
    linalg.yield %p : f32
  } -> tensor<3x4xf32>
  return %z : tensor<3x4xf32>
}

// -----

// Two dynamic dimensions flattened and restored: the sizes are the same, so nothing is left of it. An assert that
// compares a size with itself goes; one that compares two sizes becomes a check.

#rows = affine_map<(r, d) -> (r, d)>
// CHECK-LABEL: func.func @flatten
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x8xf32>
// CHECK-NOT: tensor.collapse_shape
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "parallel"]} ins(%[[X]] :
// CHECK: math.tanh
// CHECK-NOT: pit.check
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: "pit.check"(%[[SAME]]) {message = "sizes differ"} : (i1) -> ()
// CHECK-NOT: tensor.expand_shape
// CHECK: return
func.func @flatten(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x8xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x8xf32>
  %flat = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x?x8xf32> into tensor<?x8xf32>
  %n = tensor.dim %flat, %c0 : tensor<?x8xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#rows, #rows], iterator_types = ["parallel", "parallel"]}
      ins(%flat : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<?x8xf32>
  %r = tensor.expand_shape %y [[0, 1], [2]] output_shape [%b, %t, 8] : tensor<?x8xf32> into tensor<?x?x8xf32>
  %rb = tensor.dim %r, %c0 : tensor<?x?x8xf32>
  %equal = arith.cmpi eq, %rb, %b : index
  cf.assert %equal, "batches differ"
  %other = arith.cmpi eq, %t, %c8 : index
  cf.assert %other, "sizes differ"
  return %r : tensor<?x?x8xf32>
}

// -----

// What says more by its name than by its maps keeps it.

// CHECK-LABEL: func.func @kept
// CHECK-DAG: linalg.fill
// CHECK-DAG: linalg.softmax
// CHECK: tensor.insert_slice
func.func @kept(%s: tensor<3x7xf32>) -> tensor<9x7xf32> {
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<3x7xf32>
  %p = linalg.softmax dimension(1) ins(%s : tensor<3x7xf32>) outs(%es : tensor<3x7xf32>) -> tensor<3x7xf32>
  %big = tensor.empty() : tensor<9x7xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%big : tensor<9x7xf32>) -> tensor<9x7xf32>
  %into = tensor.insert_slice %p into %zeros[3, 0] [3, 7] [1, 1] : tensor<3x7xf32> into tensor<9x7xf32>
  return %into : tensor<9x7xf32>
}

// -----

// A convolution is a contraction over the windows of its input: each iterator is isolated in each map.

// CHECK: #[[WINDOWS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 * 2 + d3, d4 * 2 + d5)>
// CHECK: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d4, d2, d5, d3, d6)>
// CHECK: #[[K:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d1, d4, d5, d6)>
// CHECK: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func.func @convolution
// CHECK: %[[B:.*]] = tensor.dim %arg0, %c0
// CHECK: %[[W:.*]] = "pit.window"(%arg0, %[[B]]) {map = #[[WINDOWS]]
// CHECK-SAME: (tensor<?x3x9x9xf32>, index) -> tensor<?x3x4x3x4x3xf32>
// CHECK: linalg.generic {indexing_maps = [#[[X]], #[[K]], #[[Y]]]
// CHECK-SAME: "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"
// CHECK-SAME: ins(%[[W]], %arg1
func.func @convolution(%x: tensor<?x3x9x9xf32>, %k: tensor<4x3x3x3xf32>) -> tensor<?x4x4x4xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %b = tensor.dim %x, %c0 : tensor<?x3x9x9xf32>
  %e = tensor.empty(%b) : tensor<?x4x4x4xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<?x4x4x4xf32>) -> tensor<?x4x4x4xf32>
  %y = linalg.conv_2d_nchw_fchw {strides = dense<2> : tensor<2xi64>}
      ins(%x, %k : tensor<?x3x9x9xf32>, tensor<4x3x3x3xf32>) outs(%init : tensor<?x4x4x4xf32>) -> tensor<?x4x4x4xf32>
  return %y : tensor<?x4x4x4xf32>
}

// -----

// Dimensions of 1 leave windows as they leave everything else: one image, one row of pixels, a window of one column.

// CHECK: affine_map<(d0, d1, d2) -> (d0, d1 + d2)>
// CHECK-LABEL: func.func @thin
// CHECK: %[[X:.*]] = tensor.collapse_shape %arg0 {{.*}} into tensor<3x9xf32>
// CHECK: "pit.window"(%[[X]]) {{.*}} (tensor<3x9xf32>) -> tensor<3x7x3xf32>
func.func @thin(%x: tensor<1x3x1x9xf32>, %k: tensor<4x3x1x3xf32>, %init: tensor<1x4x1x7xf32>) -> tensor<1x4x1x7xf32> {
  %y = linalg.conv_2d_nchw_fchw ins(%x, %k : tensor<1x3x1x9xf32>, tensor<4x3x1x3xf32>)
      outs(%init : tensor<1x4x1x7xf32>) -> tensor<1x4x1x7xf32>
  return %y : tensor<1x4x1x7xf32>
}

// -----

// Windows of one pixel, one apart, are the image.

// CHECK-LABEL: func.func @pointwise
// CHECK-NOT: pit.window
// CHECK: linalg.generic {{.*}} ins(%arg0, %{{.*}} : tensor<2x3x8x9xf32>, tensor<4x3xf32>)
func.func @pointwise(%x: tensor<2x3x8x9xf32>, %k: tensor<4x3x1x1xf32>, %init: tensor<2x4x8x9xf32>) -> tensor<2x4x8x9xf32> {
  %y = linalg.conv_2d_nchw_fchw ins(%x, %k : tensor<2x3x8x9xf32>, tensor<4x3x1x1xf32>)
      outs(%init : tensor<2x4x8x9xf32>) -> tensor<2x4x8x9xf32>
  return %y : tensor<2x4x8x9xf32>
}

// -----

// No product of matrices: the windows stay in the maps.

// CHECK-LABEL: func.func @no_products
// CHECK-NOT: pit.window
// CHECK: linalg.generic {{.*}} ins(%arg0, %arg1
// CHECK: linalg.generic {{.*}} ins(%arg0,
func.func @no_products(%x: tensor<2x3x8x8xf32>, %k: tensor<3x3x3xf32>, %init: tensor<2x3x6x6xf32>)
    -> (tensor<2x3x6x6xf32>, tensor<2x3x6x6xf32>) {
  %y = linalg.depthwise_conv_2d_nchw_chw ins(%x, %k : tensor<2x3x8x8xf32>, tensor<3x3x3xf32>)
      outs(%init : tensor<2x3x6x6xf32>) -> tensor<2x3x6x6xf32>
  %w = tensor.empty() : tensor<3x3xf32>
  %z = linalg.pooling_nchw_max ins(%x, %w : tensor<2x3x8x8xf32>, tensor<3x3xf32>)
      outs(%init : tensor<2x3x6x6xf32>) -> tensor<2x3x6x6xf32>
  return %y, %z : tensor<2x3x6x6xf32>, tensor<2x3x6x6xf32>
}

// -----

// Arithmetic on whole tensors, which programs written by hand have, is taken in.

// CHECK-LABEL: func.func @whole_tensors
// CHECK-NOT: arith.addf {{.*}} : tensor
// CHECK: linalg.generic
// CHECK: arith.addf {{.*}} : f32
// CHECK: linalg.generic
// CHECK: math.exp {{.*}} : f32
func.func @whole_tensors(%a: tensor<4x?xf32>, %b: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %0 = arith.addf %a, %b : tensor<4x?xf32>
  %1 = math.exp %0 : tensor<4x?xf32>
  return %1 : tensor<4x?xf32>
}

// -----

// A dimension that a tensor does not have is left alone.
// CHECK-LABEL: func.func @no_such_dimension
// CHECK: tensor.dim %{{.*}}, %c-1
func.func @no_such_dimension(%x: tensor<2x?xf32>) -> tensor<?xf32> {
  %c = arith.constant -1 : index
  %n = tensor.dim %x, %c : tensor<2x?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  return %e : tensor<?xf32>
}

// -----

// What a predictor says of other values is a mask of its own; a ReLU asks its own values and stays as it is.

#mn = affine_map<(m, n) -> (m, n)>
#n = affine_map<(m, n) -> (n)>

// CHECK-LABEL: func.func @decisions
// CHECK: %[[MASK:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<4xf32>) outs(%{{.*}} : tensor<4xi1>)
// CHECK: arith.cmpf ogt
// CHECK: linalg.generic {{.*}} ins(%arg0, %[[MASK]] : tensor<?x4xf32>, tensor<4xi1>)
// CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[LIVE:.*]]: i1, %{{.*}}: f32):
// CHECK-NEXT: arith.select %[[LIVE]], %[[X]], %{{.*}} : f32
// CHECK: linalg.generic
// CHECK: arith.cmpf ogt
// CHECK-NEXT: arith.select
func.func @decisions(%x: tensor<?x4xf32>, %p: tensor<4xf32>, %e: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %zero = arith.constant 0.0 : f32
  %h = linalg.generic {indexing_maps = [#mn, #n, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%x, %p : tensor<?x4xf32>, tensor<4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %c = arith.cmpf ogt, %b, %zero : f32
    %t = arith.select %c, %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x4xf32>
  %r = linalg.generic {indexing_maps = [#mn, #mn], iterator_types = ["parallel", "parallel"]}
      ins(%h : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.cmpf ogt, %a, %zero : f32
    %t = arith.select %c, %a, %zero : f32
    linalg.yield %t : f32
  } -> tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}

// -----

// What is joined before a sort and a slice along another dimension is not joined at all, if it is split again behind.
//
// CHECK-LABEL: func.func @top_of_joined
// CHECK-NOT: tensor.collapse_shape
// CHECK-NOT: tensor.expand_shape
// CHECK: tm_tensor.sort dimension(2) outs(%{{.*}} : tensor<?x?x4xf32>)
// CHECK: tensor.extract_slice %{{.*}}[0, 0, 0] [%{{.*}}, %{{.*}}, 2] [1, 1, 1] : tensor<?x?x4xf32> to tensor<?x?x2xf32>
// CHECK: return
func.func @top_of_joined(%x: tensor<?x?x4xf32>) -> tensor<?x?x2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x4xf32>
  %t = tensor.dim %x, %c1 : tensor<?x?x4xf32>
  %joined = tensor.collapse_shape %x [[0, 1], [2]] : tensor<?x?x4xf32> into tensor<?x4xf32>
  %s = tm_tensor.sort dimension(1) outs(%joined : tensor<?x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %c = arith.cmpf oge, %a, %o : f32
    tm_tensor.yield %c : i1
  } -> tensor<?x4xf32>
  %n = tensor.dim %s, %c0 : tensor<?x4xf32>
  %top = tensor.extract_slice %s[0, 0] [%n, 2] [1, 1] : tensor<?x4xf32> to tensor<?x2xf32>
  %split = tensor.expand_shape %top [[0, 1], [2]] output_shape [%b, %t, 2] : tensor<?x2xf32> into tensor<?x?x2xf32>
  return %split : tensor<?x?x2xf32>
}

// -----

// What one reshape joins and the next one splits again, beside tokens that stay joined, is kept apart.

// CHECK-LABEL: func.func @split_less
// CHECK-SAME: (%[[X:.*]]: tensor<?x7x4x40xf32>
// CHECK: tensor.collapse_shape %[[X]] {{\[\[0, 1\], \[2\], \[3\]\]}} : tensor<?x7x4x40xf32> into tensor<?x4x40xf32>
// CHECK-NOT: tensor.expand_shape
func.func @split_less(%x: tensor<?x7x4x40xf32>) -> tensor<?x4x40xf32> {
  %c0 = arith.constant 0 : index
  %c7 = arith.constant 7 : index
  %b = tensor.dim %x, %c0 : tensor<?x7x4x40xf32>
  %n = arith.muli %b, %c7 : index
  %joined = tensor.collapse_shape %x [[0, 1], [2, 3]] : tensor<?x7x4x40xf32> into tensor<?x160xf32>
  %split = tensor.expand_shape %joined [[0], [1, 2, 3]] output_shape [%n, 1, 4, 40] : tensor<?x160xf32> into tensor<?x1x4x40xf32>
  %y = tensor.collapse_shape %split [[0, 1], [2], [3]] : tensor<?x1x4x40xf32> into tensor<?x4x40xf32>
  return %y : tensor<?x4x40xf32>
}

// -----

// Where 64 bits compute the length of a padded window, what asks for it later gets an index.

// CHECK-LABEL: func.func @length_in_64_bits
// CHECK: %[[LENGTH:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: tensor.empty(%[[LENGTH]]) : tensor<4x?xf16>
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @length_in_64_bits(%x: tensor<1x3x?xf16>, %kernel: tensor<4x3x2xf16>) -> tensor<1x4x?xf16> {
  %zero = arith.constant 0.0 : f32
  %nothing = arith.constant 0.0 : f16
  %c1 = arith.constant 1 : i64
  %c2 = arith.constant 2 : index
  %dim = tensor.dim %x, %c2 : tensor<1x3x?xf16>
  %padded = tensor.pad %x low[0, 0, 1] high[0, 0, 1] {
  ^bb0(%i: index, %j: index, %k: index):
    tensor.yield %nothing : f16
  } : tensor<1x3x?xf16> to tensor<1x3x?xf16>
  %wide = arith.index_cast %dim : index to i64
  %more = arith.addi %wide, %c1 : i64
  %length = arith.index_cast %more : i64 to index
  %e = tensor.empty(%length) : tensor<1x4x?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4x?xf32>) -> tensor<1x4x?xf32>
  %y = linalg.conv_1d_ncw_fcw {dilations = dense<1> : vector<1xi64>, strides = dense<1> : vector<1xi64>}
      ins(%padded, %kernel : tensor<1x3x?xf16>, tensor<4x3x2xf16>) outs(%f : tensor<1x4x?xf32>) -> tensor<1x4x?xf32>
  %g = tensor.empty(%length) : tensor<1x4x?xf16>
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%y : tensor<1x4x?xf32>) outs(%g : tensor<1x4x?xf16>) {
  ^bb0(%in: f32, %out: f16):
    %t = arith.truncf %in : f32 to f16
    linalg.yield %t : f16
  } -> tensor<1x4x?xf16>
  return %z : tensor<1x4x?xf16>
}
