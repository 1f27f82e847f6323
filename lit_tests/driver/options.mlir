// Options that do not fit are refused with the nearest one that would; none is ever taken for a pass.
// RUN: not pit-mlir-opt %s --csee 2>&1 | filecheck %s --check-prefix=PASS
// RUN: not pit-mlir-opt %s --mlir-timng 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not pit-mlir-opt %s -pit-simplfy 2>&1 | filecheck %s --check-prefix=OURS
// RUN: not pit-mlir-opt %s -p "cse,canonicalise" 2>&1 | filecheck %s --check-prefix=UPSTREAM
// RUN: not pit-mlir-opt %s --mlir-print-value-users 2>&1 | filecheck %s --check-prefix=NOTHERE
// RUN: not pit-mlir-opt %s --=3 2>&1 | filecheck %s --check-prefix=NONAME
// RUN: not pit-mlir-opt %s --cse,canonicalize 2>&1 | filecheck %s --check-prefix=LIST
// RUN: not pit-mlir-opt %s -p cse --pass-pipeline=cse 2>&1 | filecheck %s --check-prefix=TWICE
// RUN: not pit-mlir-opt %s -p cse --cse 2>&1 | filecheck %s --check-prefix=BOTH
// RUN: pit-mlir-opt --help | filecheck %s --check-prefix=HELP
// RUN: not pit-mlir-opt %s --split-input-file --emit-bytecode 2>&1 | filecheck %s --check-prefix=PARTS
// RUN: not pit-mlir-opt %s -o 2>&1 | filecheck %s --check-prefix=VALUE
// RUN: not pit-mlir-opt %s --mlir-elide-elementsattrs-if-larger=many 2>&1 | filecheck %s --check-prefix=NUMBER
// RUN: not pit-mlir-opt %s --verify-each=maybe 2>&1 | filecheck %s --check-prefix=BOOL
// RUN: pit-mlir-opt %s --canonicalize={top-down=false} -cse --pit-prove-permutation="floats=strict timeout-ms=100" | filecheck %s

//     PASS: pit-mlir-opt: error: unknown option or pass '--csee'; did you mean 'cse'?
//   OPTION: pit-mlir-opt: error: unknown option or pass '--mlir-timng'; did you mean 'mlir-timing'?
//     OURS: unknown pass 'pit-simplfy'; did you mean 'pit-simplify'?
// UPSTREAM: pass-pipeline:1:5: error: unknown pass 'canonicalise'; did you mean 'canonicalize'?
//  NOTHERE: pit-mlir-opt: error: mlir-opt's option '--mlir-print-value-users' is not available here
//   NONAME: pit-mlir-opt: error: unknown option or pass '--=3'
//     LIST: pit-mlir-opt: error: unknown option or pass '--cse,canonicalize'
//    TWICE: pit-mlir-opt: error: option '--pass-pipeline=cse' may stand once only
//     BOTH: pit-mlir-opt: error: takes passes as flags or in --pass-pipeline, got both: --cse
//     HELP: as flags, or in one pipeline (-p), not both.
//    PARTS: pit-mlir-opt: error: --emit-bytecode writes one module, --split-input-file makes several: leave one of them out, or put each part into a file of its own
//    VALUE: pit-mlir-opt: error: option '-o' needs a value
//   NUMBER: pit-mlir-opt: error: option 'mlir-elide-elementsattrs-if-larger' must be of type int, got 'many'
//     BOOL: pit-mlir-opt: error: option 'verify-each' must be true or false, got 'maybe'

// CHECK: func.func @f
func.func @f() {
  return
}
