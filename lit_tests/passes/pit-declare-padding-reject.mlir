// RUN: not pit-mlir-opt %s -p "pit-declare-padding{argument=3}" 2>&1 | filecheck %s --check-prefix=NUMBER
// RUN: not pit-mlir-opt %s -p "pit-declare-padding{argument=0}" 2>&1 | filecheck %s --check-prefix=RANK
// RUN: not pit-mlir-opt %s -p "pit-declare-padding{argument=2}" 2>&1 | filecheck %s --check-prefix=SCALAR
// RUN: not pit-mlir-opt %s -p "pit-declare-padding{argument=1}" 2>&1 | filecheck %s --check-prefix=UNREAD

// NUMBER: error: {{.*}}argument = 3 is not among the 3 arguments
// RANK: error: {{.*}}argument 0 has type tensor<2x5x8xf32>; expected a mask (batch, token) or (batch)
// UNREAD: pit-declare-padding-reject.mlir:{{[0-9]+}}:1: error: the model does not read argument 1, which is declared as a mask of padding
// SCALAR: error: {{.*}}argument 2 has type index; expected a mask (batch, token) or (batch)
func.func @rank(%x: tensor<2x5x8xf32>, %mask: tensor<2x5xi1>, %n: index) -> tensor<2x5x8xf32> {
  return %x : tensor<2x5x8xf32>
}
