// Diagnostics held against comments: where, how grave, the text or a pattern.
// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics
// RUN: sed 's/but got .builtin.integer./but got other/' %s | not pit-mlir-opt --split-input-file --verify-diagnostics 2>&1 | filecheck %s
// RUN: sed 's/expected-note/unexpected note/' %s | not pit-mlir-opt --split-input-file --verify-diagnostics 2>&1 | filecheck %s --check-prefix=NOTE
// RUN: sed 's/expected-note/unexpected note/' %s | pit-mlir-opt --split-input-file --verify-diagnostics=only-expected
// RUN: sed 's/{{\[0-9\]+}}/{{[0-9+}}/' %s | not pit-mlir-opt --split-input-file --verify-diagnostics 2>&1 | filecheck %s --check-prefix=REGEX
// RUN: sed 's/expected-error@+1/expected-warning@+1/' %s | not pit-mlir-opt --split-input-file --verify-diagnostics 2>&1 | filecheck %s --check-prefix=KIND
// RUN: not pit-mlir-opt %s --verify-diagnostics=some 2>&1 | filecheck %s --check-prefix=VALUE

// CHECK: <stdin>:{{[0-9]+}}:1: error: expected error "expected base type 'pit.index' but got other" was not produced
// CHECK: error: unexpected error: expected base type 'pit.index' but got 'builtin.integer'
// NOTE: <stdin>:{{[0-9]+}}:3: error: unexpected note: prior use here
// REGEX: <stdin>:{{[0-9]+}}:1: error: invalid regex "op has {{.*}} operands"
// KIND: error: expected warning "expected base type
// KIND: error: unexpected error: expected base type
// VALUE: option 'verify-diagnostics' must be one of all, only-expected, got 'some'
func.func @next_line(%a: i32) {
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

// -----

func.func @above() -> i32 {
  return
  // expected-error@above {{op has 0 operands}}
}

// -----

// expected-error@unknown {{op has 0 operands}}
func.func @nowhere() -> i32 {
  return loc(unknown)
}
