// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-after-all 2>&1 >/dev/null | filecheck %s --check-prefix=ALL
// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-before-all 2>&1 >/dev/null | filecheck %s --check-prefix=BEFORE
// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-after-change 2>&1 >/dev/null | filecheck %s --check-prefix=CHANGE
// RUN: pit-mlir-opt %s -p "func.func(cse)" --mlir-print-ir-after-all 2>&1 >/dev/null | filecheck %s --check-prefix=NESTED
// RUN: pit-mlir-opt %s --mlir-print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: pit-mlir-opt %s --mlir-print-debuginfo | filecheck %s --check-prefix=LOC
// RUN: pit-mlir-opt %s --cse --mlir-timing 2>&1 >/dev/null | filecheck %s --check-prefix=TIME

//      ALL: // -----// IR Dump After cse //----- //
//      ALL: func.func @twice
//      ALL: // -----// IR Dump After canonicalize //----- //
//      ALL: func.func @twice

//      BEFORE: // -----// IR Dump Before cse //----- //
// BEFORE-COUNT-2: arith.addi
//      BEFORE: // -----// IR Dump Before canonicalize //----- //

//      CHANGE: // -----// IR Dump After cse //----- //
//  CHANGE-NOT: IR Dump After canonicalize

//      NESTED: // -----// IR Dump After cse //----- //
// NESTED-NEXT: func.func @twice

//     GENERIC: "builtin.module"() ({
//     GENERIC: "arith.addi"(%{{.*}}, %{{.*}})
//         LOC: loc("{{.*}}print-ir.mlir":{{[0-9]+}}:8)
//        TIME: ... Execution time report ...
//        TIME: cse
func.func @twice(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}
