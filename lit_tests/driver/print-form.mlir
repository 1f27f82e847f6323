// How the result is written.
// RUN: pit-mlir-opt %s --mlir-print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: pit-mlir-opt %s --mlir-print-debuginfo | filecheck %s --check-prefix=LOC
// RUN: pit-mlir-opt %s --mlir-print-debuginfo --mlir-print-local-scope | filecheck %s --check-prefix=LOCAL
// RUN: pit-mlir-opt %s --mlir-pretty-debuginfo | filecheck %s --check-prefix=PRETTY
// RUN: pit-mlir-opt %s --mlir-print-skip-regions | filecheck %s --check-prefix=SKIP
// RUN: pit-mlir-opt %s --mlir-use-nameloc-as-prefix | filecheck %s --check-prefix=NAME
// RUN: pit-mlir-opt %s --mlir-elide-elementsattrs-if-larger=3 | filecheck %s --check-prefix=ELIDE
// RUN: pit-mlir-opt %s --mlir-elide-resource-strings-if-larger 4 | filecheck %s --check-prefix=RESOURCE
// RUN: pit-mlir-opt %s --emit-bytecode | pit-mlir-opt | filecheck %s --check-prefix=BYTECODE
// RUN: pit-mlir-opt %s --emit-bytecode --emit-bytecode-version=5 -o %t.mlirbc && pit-mlir-opt %t.mlirbc --cse | filecheck %s --check-prefix=BYTECODE
// RUN: not pit-mlir-opt %s --emit-bytecode --emit-bytecode-version=99 2>&1 | filecheck %s --check-prefix=VERSION
// RUN: pit-mlir-opt %s --verify-roundtrip | filecheck %s --check-prefix=BYTECODE

//  GENERIC: "builtin.module"() ({
//  GENERIC: "arith.constant"()
//      LOC: return %{{.*}} loc(#loc{{[0-9]+}})
//      LOC: #loc{{[0-9]+}} = loc("{{.*}}print-form.mlir":{{[0-9]+}}:3)
//    LOCAL: return %{{.*}} loc("{{.*}}print-form.mlir":{{[0-9]+}}:3)
//   PRETTY: return %{{.*}} {{.*}}print-form.mlir:{{[0-9]+}}:3
//     SKIP: module {...}
//     NAME: %weight = arith.constant
//    ELIDE: arith.constant dense_resource<__elided__> : tensor<4xi32>
//    ELIDE: arith.constant dense<[1, 2]>
// RESOURCE: dense_resource<blob>
// RESOURCE-NOT: 0x04000000
//  VERSION: unsupported version requested 99
//  VERSION: error: cannot write bytecode of version 99

// BYTECODE: arith.constant dense<[1, 2, 3, 4]>
// BYTECODE: blob: "0x04000000
func.func @f() -> (tensor<4xi32>, tensor<2xi32>, tensor<2xi32>) {
  %0 = arith.constant dense<[1, 2, 3, 4]> : tensor<4xi32> loc("weight")
  %1 = arith.constant dense<[1, 2]> : tensor<2xi32>
  %2 = arith.constant dense_resource<blob> : tensor<2xi32>
  return %0, %1, %2 : tensor<4xi32>, tensor<2xi32>, tensor<2xi32>
}

{-#
  dialect_resources: { builtin: { blob: "0x040000000100000002000000" } }
#-}
