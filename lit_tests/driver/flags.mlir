// RUN: pit-mlir-opt %s --cse --canonicalize | filecheck %s
// RUN: pit-mlir-opt %s --canonicalize="top-down=false max-iterations=3" --cse | filecheck %s
// RUN: pit-mlir-opt --cse -canonicalize < %s | filecheck %s
// RUN: cat %s | pit-mlir-opt - --cse -o %t && filecheck %s < %t

// CHECK-LABEL: func.func @twice
// CHECK:         %[[SUM:.*]] = arith.addi %[[A:.*]], %[[A]]
// CHECK-NOT:     arith.addi
// CHECK:         return %[[SUM]], %[[SUM]]
func.func @twice(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}
