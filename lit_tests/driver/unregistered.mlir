// RUN: pit-mlir-opt %s --allow-unregistered-dialect | filecheck %s
// RUN: not pit-mlir-opt %s 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: pit-mlir-opt %s --allow-unregistered-dialect --emit-bytecode -o %t.mlirbc
// RUN: pit-mlir-opt %t.mlirbc --allow-unregistered-dialect | filecheck %s

// CHECK: "foreign.op"() : () -> ()
// UNKNOWN: unregistered.mlir:{{[0-9]+}}:15: error: operation being parsed with an unregistered dialect
func.func @f() {
  "foreign.op"() : () -> ()
  return
}
