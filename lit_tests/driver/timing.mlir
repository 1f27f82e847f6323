// What passes cost and what they count.
// RUN: pit-mlir-opt %s -p "func.func(cse,canonicalize),cse" --mlir-timing -o /dev/null 2>&1 | filecheck %s --check-prefix=TREE
// RUN: pit-mlir-opt %s -p "func.func(cse,canonicalize),cse" --mlir-timing --mlir-timing-display=list -o /dev/null 2>&1 | filecheck %s --check-prefix=LIST
// RUN: pit-mlir-opt %s -p "func.func(cse)" --mlir-timing --mlir-output-format=json -o /dev/null 2>&1 | %python -c "import json, sys; print([(row['name'], [inner['name'] for inner in row['passes']]) for row in json.load(sys.stdin)])" | filecheck %s --check-prefix=JSON
// RUN: pit-mlir-opt %s -p "pit-prove-permutation,func.func(cse)" --mlir-pass-statistics -o /dev/null 2>&1 | filecheck %s --check-prefix=COUNT --match-full-lines
// RUN: pit-mlir-opt %s -p "pit-prove-permutation,cse,cse" --mlir-pass-statistics --mlir-pass-statistics-display=list -o /dev/null 2>&1 | filecheck %s --check-prefix=BYNAME
// RUN: not pit-mlir-opt %s --mlir-timing-display=table 2>&1 | filecheck %s --check-prefix=VALUE
// RUN: pit-mlir-opt %s --split-input-file --cse --mlir-disable-threading --mlir-timing -o /dev/null 2>&1 | filecheck %s --check-prefix=ONCE

//      TREE: ... Execution time report ...
//      TREE: Total Execution Time: {{[0-9.]+}} seconds
//      TREE: ----Wall Time----  ----Name----
// TREE-NEXT: %)  Parser
// TREE-NEXT: %)  'func.func' Pipeline
// TREE-NEXT: %)    cse
// TREE-NEXT: %)    canonicalize
// TREE-NEXT: %)  cse
// TREE-NEXT: %)  Output
// TREE-NEXT: %)  Rest
// TREE-NEXT: (100.0%)  Total

//     LIST: ... Execution time report ...
// LIST-DAG: %)  Parser
// LIST-DAG: %)  'func.func' Pipeline
// LIST-DAG: %)  cse
//     LIST: %)  Rest
//     LIST: Total

// JSON: [('Parser', []), ("'func.func' Pipeline", ['cse']), ('Output', []), ('Rest', []), ('Total', [])]

//      COUNT: {{ *}}... Pass statistics report ...
//      COUNT:pit-prove-permutation
// COUNT-NEXT: {{ *}}(S) 1 num-parallel  - Parallel PIT axes proved
// COUNT-NEXT: {{ *}}(S) 1 num-reduction - Reduction PIT axes proved
// COUNT-NEXT: {{ *}}(S) 0 num-none      - Iterators that are no PIT axes
// COUNT-NEXT: {{ *}}(S) 0 num-ops-added - Operations added (removed where negative)
// COUNT-NEXT:'func.func' Pipeline
// COUNT-NEXT: {{ *}}cse
// COUNT-NEXT: {{ *}}(S) -1 num-ops-added - Operations added (removed where negative)

//      BYNAME: {{^}}cse
// BYNAME-NEXT: (S) -1 num-ops-added
// BYNAME-NEXT: {{^}}pit-prove-permutation

// VALUE: pit-mlir-opt: error: option 'mlir-timing-display' must be one of list, tree, got 'table'

//     ONCE: %)  cse
// ONCE-NOT: %)  cse
func.func @sums(%x: tensor<4x8xf32>, %a: i32) -> (tensor<4xf32>, i32, i32) {
  %e = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {
      indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>],
      iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x8xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %sum = arith.addf %in, %out : f32
    linalg.yield %sum : f32
  } -> tensor<4xf32>
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %s, %0, %1 : tensor<4xf32>, i32, i32
}

// -----

func.func @f() {
  return
}
