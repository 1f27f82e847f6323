// A pipeline that does not fit is refused before anything runs, with a caret at its fault.
// RUN: not pit-mlir-opt %s -p "func.func(cse" 2>&1 | filecheck %s --check-prefix=PAREN --strict-whitespace --match-full-lines
// RUN: not pit-mlir-opt %s -p "cse,,cse" 2>&1 | filecheck %s --check-prefix=COMMA
// RUN: not pit-mlir-opt %s -p "cse)" 2>&1 | filecheck %s --check-prefix=CLOSE
// RUN: not pit-mlir-opt %s -p "canonicalize{top-down=true" 2>&1 | filecheck %s --check-prefix=BRACE
// RUN: not pit-mlir-opt %s -p "cse,no-such-pass" 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: not pit-mlir-opt %s --no-such-pass 2>&1 | filecheck %s --check-prefix=FLAG
// RUN: not pit-mlir-opt %s -p "pit-normalise" 2>&1 | filecheck %s --check-prefix=CLOSEST
// RUN: not pit-mlir-opt %s -p "canonicalize{a=1}" 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not pit-mlir-opt %s -p "llvm-request-c-wrappers" 2>&1 | filecheck %s --check-prefix=ANCHOR
// RUN: not pit-mlir-opt %s -p cse --cse 2>&1 | filecheck %s --check-prefix=BOTH
// RUN: not pit-mlir-opt %s %s 2>&1 | filecheck %s --check-prefix=FILES
// RUN: not pit-mlir-opt %t.absent 2>&1 | filecheck %s --check-prefix=ABSENT

//      PAREN:pass-pipeline:1:14: error: expected ',' or ')' to close 'func.func('
// PAREN-NEXT:func.func(cse
// PAREN-NEXT:             ^

// COMMA: pass-pipeline:1:5: error: expected the name of a pass or an operation, got ','
// CLOSE: pass-pipeline:1:4: error: expected ',' or the end of the pipeline, got ')'
// BRACE: pass-pipeline:1:13: error: missing '}' after these options
// UNKNOWN: pass-pipeline:1:5: error: unknown pass 'no-such-pass'
// FLAG: pit-mlir-opt: error: unknown option or pass '--no-such-pass' (--help lists them)
// CLOSEST: error: unknown pass 'pit-normalise'; did you mean 'pit-normalize'?
// OPTION: error: pass 'canonicalize' does not take the options 'a=1': no such option a
// ANCHOR: error: pass 'llvm-request-c-wrappers' runs on 'func.func', not on 'builtin.module': write func.func(llvm-request-c-wrappers)
// BOTH: pit-mlir-opt: error: takes passes as flags or in --pass-pipeline, got both: --cse
// FILES: pit-mlir-opt: error: takes one input file, got 2
// ABSENT: pit-mlir-opt: error: cannot open input file {{.*}}absent': No such file or directory
func.func @f() {
  return
}
