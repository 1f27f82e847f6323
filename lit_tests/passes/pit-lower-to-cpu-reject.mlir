// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics --pit-lower-to-cpu

func.func @too_many(%x: tensor<65536x65536xi1>) -> index {
  // expected-error@+1 {{an index over 4294967296 coordinates does not fit 32 bits}}
  %I = "pit.detect"(%x) {segments = array<i64: 0>, axis = array<i64: 1>, block = array<i64: 1>, micro_tile = 0 : i64} : (tensor<65536x65536xi1>) -> !pit.index
  %n = "pit.size"(%I) : (!pit.index) -> index
  return %n : index
}
