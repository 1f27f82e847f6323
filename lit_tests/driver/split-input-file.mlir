// Parts of a file: each on its own, with the lines of the file; one that fails leaves the others.
// RUN: pit-mlir-opt %s --split-input-file --cse | filecheck %s
// RUN: sed 's/^\/\/ -----$/\/\/ ====/' %s | pit-mlir-opt --split-input-file="// ====" --output-split-marker="// cut" | filecheck %s --check-prefix=MARKER
// RUN: sed 's/return$/retrun/' %s | not pit-mlir-opt --split-input-file 2>&1 | filecheck %s --check-prefix=FAILS
// RUN: not pit-mlir-opt %s 2>&1 | filecheck %s --check-prefix=WHOLE

// CHECK-LABEL: func.func @same
// CHECK:       // -----
// CHECK-LABEL: func.func @same

// MARKER-LABEL: func.func @same
// MARKER:       // cut
// MARKER-LABEL: func.func @same

// FAILS: <stdin>:[[#]]:3: error: {{.*}}retrun
// FAILS: <stdin>:[[#]]:3: error: {{.*}}retrun

// WHOLE: split-input-file.mlir:{{[0-9]+}}:{{[0-9]+}}: error: redefinition of symbol named 'same'
func.func @same() {
  // ------ is no marker
  return
}

// -----

func.func @same() {
  return
}
