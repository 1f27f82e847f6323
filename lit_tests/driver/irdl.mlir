// Dialects that a file defines.
// RUN: echo 'irdl.dialect @cmath { irdl.operation @one { %%0 = irdl.is f32 irdl.results(r: %%0) } }' > %t.irdl.mlir
// RUN: pit-mlir-opt %s --irdl-file=%t.irdl.mlir --verify-roundtrip | filecheck %s
// RUN: not pit-mlir-opt %s 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: echo 'irdl.dialect @cmath {' > %t.bad.mlir
// RUN: not pit-mlir-opt %s --irdl-file=%t.bad.mlir 2>&1 | filecheck %s --check-prefix=BAD

// CHECK: "cmath.one"() : () -> f32
// UNKNOWN: irdl.mlir:{{[0-9]+}}:{{[0-9]+}}: error: operation being parsed with an unregistered dialect
// BAD: .bad.mlir:{{[0-9:]+}}: error: expected
func.func @f() -> f32 {
  %0 = "cmath.one"() : () -> f32
  return %0 : f32
}
