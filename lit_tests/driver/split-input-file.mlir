// RUN: pit-mlir-opt %s --split-input-file --cse | filecheck %s

// CHECK-LABEL: func.func @first
// CHECK:       // -----
// CHECK-LABEL: func.func @second
func.func @first() {
  return
}

// -----

func.func @second() {
  return
}
