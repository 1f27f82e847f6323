// What is read: files, standard input, bytecode, other line ends, nothing at all, and what cannot be read.
// RUN: pit-mlir-opt < %s | filecheck %s
// RUN: cat %s | pit-mlir-opt - --cse -o %t.mlir && filecheck %s < %t.mlir
// RUN: pit-mlir-opt -- %s | filecheck %s
// RUN: sed 's/$/\r/' %s | pit-mlir-opt --cse | filecheck %s
// RUN: pit-mlir-opt /dev/null | filecheck %s --check-prefix=EMPTY
// RUN: not pit-mlir-opt %t.absent 2>&1 | filecheck %s --check-prefix=ABSENT
// RUN: not pit-mlir-opt %S 2>&1 | filecheck %s --check-prefix=DIRECTORY
// RUN: not pit-mlir-opt %s %s 2>&1 | filecheck %s --check-prefix=FILES
// RUN: not pit-mlir-opt %s -o %t.absent/out 2>&1 | filecheck %s --check-prefix=NODIR
// RUN: %python -c "import sys; sys.stdout.buffer.write(b'ML\xefR' + bytes(range(256)))" > %t.bc
// RUN: not pit-mlir-opt %t.bc 2>&1 | filecheck %s --check-prefix=GARBAGE
// RUN: %python -c "import sys; sys.stdout.buffer.write(b'\n  \xff\x00\x1b[31m' + bytes(range(256)) * 9)" > %t.bin
// RUN: not pit-mlir-opt %t.bin 2>&1 | filecheck %s --check-prefix=BINARY
// RUN: %python -c "print('func.func @f(%%c: i1) {' + 'scf.if %%c {' * 3000 + '}' * 3000 + ' return }')" > %t.deep
// RUN: pit-mlir-opt %t.deep --cse --pit-simplify --pit-lower-loops -o /dev/null

// CHECK: func.func @f
// EMPTY: module {

//     ABSENT: input.mlir{{.*}}.absent:1:1: error: cannot open the file: No such file or directory
//  DIRECTORY: :1:1: error: cannot open the file: Is a directory
//      FILES: pit-mlir-opt: error: takes one input file, got 2
//      NODIR: pit-mlir-opt: error: cannot write output file '{{.*}}': No such file or directory
//    GARBAGE: .bc:0:0: error: {{.*}}bytecode
//     BINARY: .bin:2:3: error: unexpected character
// BINARY-NOT: Traceback
func.func @f() {
  return
}
