// What is wrong with the input is said with its place, without a traceback, with status 1.
// RUN: not pit-mlir-opt %s --split-input-file > %t.out 2> %t.err
// RUN: filecheck %s --check-prefix=ERR < %t.err
// RUN: filecheck %s --check-prefix=OUT < %t.out
// RUN: not pit-mlir-opt < %s 2>&1 | filecheck %s --check-prefix=STDIN

//  ERR-NOT: Traceback
//      ERR: errors.mlir:[[#]]:18: error: expected non-function type
// ERR-NEXT: func.func @parse({
// ERR-NEXT: {{^}}                 ^
//      ERR: errors.mlir:{{[0-9]+}}:3: error: 'func.return' op has 0 operands, but enclosing function (@results) returns 1
//      ERR: errors.mlir:{{[0-9]+}}:8: error: expected base type 'pit.index' but got 'builtin.integer'

// STDIN: <stdin>:{{[0-9]+}}:18: error: expected non-function type

// The parts that are right come out all the same.
// OUT: func.func @right
func.func @parse({
  return
}

// -----

func.func @results() -> i32 {
  return
}

// -----

func.func @operand(%a: i32) {
  %n = "pit.size"(%a) : (i32) -> index
  return
}

// -----

func.func @right() {
  return
}
