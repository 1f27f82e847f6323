// RUN: pit-mlir-opt %s | pit-mlir-opt | filecheck %s
// RUN: pit-mlir-opt %s --canonicalize | filecheck %s --check-prefix=DEAD

// CHECK-LABEL: func.func @look
// CHECK:         %[[L:.*]]:4 = "pit.lists"(%{{.*}}) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
// CHECK:         return %[[L]]#1, %[[L]]#2
func.func @look(%I: !pit.index) -> (tensor<?xi32>, tensor<?xi32>) {
  %begin, %count, %entries, %extents = "pit.lists"(%I) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return %count, %entries : tensor<?xi32>, tensor<?xi32>
}

// DEAD-LABEL: func.func @nobody_looks
// DEAD-NOT:     pit.lists
func.func @nobody_looks(%I: !pit.index) {
  %l:4 = "pit.lists"(%I) : (!pit.index) -> (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi64>)
  return
}
