// A pipeline that does not fit is refused before anything runs, with a caret at its fault.
// RUN: not pit-mlir-opt %s -p "func.func(cse" 2>&1 | filecheck %s --check-prefix=PAREN --strict-whitespace --match-full-lines
// RUN: not pit-mlir-opt %s -p "cse,,cse" 2>&1 | filecheck %s --check-prefix=COMMA
// RUN: not pit-mlir-opt %s -p "cse)" 2>&1 | filecheck %s --check-prefix=CLOSE
// RUN: not pit-mlir-opt %s -p "canonicalize{top-down=true" 2>&1 | filecheck %s --check-prefix=BRACE
// RUN: not pit-mlir-opt %s -p "cse,no-such-pass" 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: not pit-mlir-opt %s --no-such-pass 2>&1 | filecheck %s --check-prefix=FLAG
// RUN: not pit-mlir-opt %s -p "canonicalize{a=1}" 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not pit-mlir-opt %s -p "cse,canonicalize{top-down=true max-iterations=x}" 2>&1 | filecheck %s --check-prefix=VALUE --strict-whitespace --match-full-lines
// RUN: not pit-mlir-opt %s -p "cse,canonicalize{top-down=true max-iterations=x}" 2>&1 | head -1 | filecheck %s --check-prefix=FIRST
// RUN: not pit-mlir-opt %s -p "pit-prove-permutation{floats=real timeout-ms=x}" 2>&1 | filecheck %s --check-prefix=OWNVALUE
// RUN: not pit-mlir-opt %s -p "pit-declare-padding{mask=1}" 2>&1 | filecheck %s --check-prefix=OWNOPTION
// RUN: not pit-mlir-opt %s -p "llvm-request-c-wrappers" 2>&1 | filecheck %s --check-prefix=ANCHOR
// RUN: %python -c "print('any(' * 5000)" > %t
// RUN: %python -c "import sys; from pit_mlir.tools.pit_mlir_opt import main; sys.exit(main(['/dev/null', '-p', open(sys.argv[1]).read()]) != 1)" %t 2>&1 | filecheck %s --check-prefix=DEEP

//      PAREN:pass-pipeline:1:14: error: expected ',' or ')' to close 'func.func('
// PAREN-NEXT:func.func(cse
// PAREN-NEXT:             ^

//      VALUE:pass-pipeline:1:32: error: pass 'canonicalize' does not take this value of option 'max-iterations': 'x' value invalid for long argument
// VALUE-NEXT:cse,canonicalize{top-down=true max-iterations=x}
// VALUE-NEXT:                               ^

// FIRST: pass-pipeline:1:32: error:
// COMMA: pass-pipeline:1:5: error: expected the name of a pass or an operation, got ','
// CLOSE: pass-pipeline:1:4: error: expected ',' or the end of the pipeline, got ')'
// BRACE: pass-pipeline:1:13: error: missing '}' after these options
// UNKNOWN: pass-pipeline:1:5: error: unknown pass 'no-such-pass'
// FLAG: pit-mlir-opt: error: unknown option or pass '--no-such-pass' (--help lists them)
// OPTION: pass-pipeline:1:14: error: pass 'canonicalize' has no option 'a'
// OWNVALUE: pass-pipeline:1:35: error: option 'timeout-ms' must be of type int, got 'x'
// OWNOPTION: pass-pipeline:1:21: error: pass 'pit-declare-padding' has no option 'mask'; options: argument
// ANCHOR: error: pass 'llvm-request-c-wrappers' runs on 'func.func', not on 'builtin.module': write func.func(llvm-request-c-wrappers)
// DEEP: pit-mlir-opt: error: the pipeline is nested too deeply
func.func @f() {
  return
}
