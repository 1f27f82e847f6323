// RUN: not pit-mlir prove %s 2>&1 | filecheck %s
// RUN: not pit-mlir prove %s.absent 2>&1 | filecheck %s --check-prefix=ABSENT
// RUN: not pit-mlir prove %S 2>&1 | filecheck %s --check-prefix=FOLDER
// RUN: echo 'func.func @f(' > %t && not pit-mlir prove %t 2>&1 | filecheck %s --check-prefix=INVALID

// CHECK: prove-errors.mlir:1:1: error: nothing to prove: no structured operation (linalg, pit.generic) in it
// ABSENT: prove-errors.mlir.absent:1:1: error: cannot open the file: No such file or directory
// FOLDER: driver:1:1: error: cannot open the file: Is a directory
// INVALID: .tmp:1:14: error: expected non-function type
// INVALID-NOT: Traceback
func.func @f() {
  return
}
