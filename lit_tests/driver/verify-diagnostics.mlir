// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics
// RUN: sed 's/but got .builtin.integer./but got other/' %s | not pit-mlir-opt --split-input-file --verify-diagnostics 2>&1 | filecheck %s

// CHECK: <stdin>:{{[0-9]+}}:1: error: expected error "expected base type 'pit.index' but got other" was not produced
// CHECK: error: unexpected error: expected base type 'pit.index' but got 'builtin.integer'
func.func @above(%a: i32) {
  // expected-error@+1 {{expected base type 'pit.index' but got 'builtin.integer'}}
  %n = "pit.size"(%a) : (i32) -> index
  return
}

// -----

func.func @regex() -> i32 {
  // expected-error-re@below {{op has {{[0-9]+}} operands}}
  return
}

// -----

func.func @same_line() {
  %0 = arith.constant 1 : i32
  // expected-note@-1 {{prior use here}}
  %1 = arith.addf %0, %0 : f32 // expected-error {{expects different type}}
  return
}
