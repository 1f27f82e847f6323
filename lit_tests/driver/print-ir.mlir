// The IR around passes: which, of what, where to.
// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-after-all 2>&1 >/dev/null | filecheck %s --check-prefix=ALL
// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-before-all 2>&1 >/dev/null | filecheck %s --check-prefix=BEFORE
// RUN: pit-mlir-opt %s --cse --canonicalize --mlir-print-ir-after-change 2>&1 >/dev/null | filecheck %s --check-prefix=CHANGE
// RUN: pit-mlir-opt %s --canonicalize --cse --symbol-dce --mlir-print-ir-after=cse --mlir-print-ir-before=canonicalize,symbol-dce 2>&1 >/dev/null | filecheck %s --check-prefix=CHOSEN
// RUN: pit-mlir-opt %s -p "func.func(cse)" --mlir-print-ir-after-all 2>&1 >/dev/null | filecheck %s --check-prefix=NESTED
// RUN: pit-mlir-opt %s -p "func.func(cse)" --mlir-print-ir-after-all --mlir-print-ir-module-scope 2>&1 >/dev/null | filecheck %s --check-prefix=SCOPE
// RUN: rm -rf %t && pit-mlir-opt %s -p "cse,func.func(cse,canonicalize)" --mlir-print-ir-after-all --mlir-print-ir-tree-dir=%t >/dev/null
// RUN: filecheck %s --check-prefix=TREE < %t/builtin_module_no-symbol-name/func_func_twice/1_1_canonicalize.mlir
// RUN: not pit-mlir-opt %s --convert-func-to-llvm --llvm-legalize-for-export --pit-declare-padding --mlir-print-ir-after-failure 2>&1 >/dev/null | filecheck %s --check-prefix=FAILURE
// RUN: not pit-mlir-opt %s --cse --mlir-print-ir-after-all --mlir-print-ir-tree-dir=%s 2>&1 | filecheck %s --check-prefix=NODIR

//      ALL: // -----// IR Dump After cse //----- //
//      ALL: func.func @twice
//      ALL: // -----// IR Dump After canonicalize //----- //
//      ALL: func.func @twice

//         BEFORE: // -----// IR Dump Before cse //----- //
// BEFORE-COUNT-2: arith.addi
//         BEFORE: // -----// IR Dump Before canonicalize //----- //

//      CHANGE: // -----// IR Dump After cse //----- //
//  CHANGE-NOT: IR Dump

//      CHOSEN: IR Dump Before canonicalize
//      CHOSEN: IR Dump After cse
//      CHOSEN: IR Dump Before symbol-dce
//  CHOSEN-NOT: IR Dump

//      NESTED: // -----// IR Dump After cse //----- //
// NESTED-NEXT: func.func @twice

//      SCOPE: // -----// IR Dump After cse ('func.func' operation: @twice) //----- //
// SCOPE-NEXT: module {

//      TREE: // -----// IR Dump After canonicalize //----- //
// TREE-NEXT: func.func @twice

//  FAILURE-NOT: IR Dump After convert
//      FAILURE: // -----// IR Dump After pit-declare-padding Failed //----- //
//      FAILURE: llvm.func @twice
//      FAILURE: error: pit-declare-padding needs one function

// NODIR: error: cannot write '{{.*}}': Not a directory
func.func @twice(%a: i32) -> (i32, i32) {
  %0 = arith.addi %a, %a : i32
  %1 = arith.addi %a, %a : i32
  return %0, %1 : i32, i32
}
