// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics

func.func @narrow(%I: !pit.index) {
  // expected-error@+1 {{'pit.lists' op gives ['tensor<?xi64>', 'tensor<?xi32>', 'tensor<?xi32>', 'tensor<?xi64>'], expected ['tensor<?xi32>', 'tensor<?xi32>', 'tensor<?xi32>', 'tensor<?xi64>']}}
  %l:4 = "pit.lists"(%I) : (!pit.index) -> (tensor<?xi64>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return
}

// -----

func.func @fixed(%I: !pit.index) {
  // expected-error@+1 {{'pit.lists' op gives}}
  %l:4 = "pit.lists"(%I) : (!pit.index) -> (tensor<?xi32>, tensor<4xi32>, tensor<?xi32>, tensor<?xi64>)
  return
}
