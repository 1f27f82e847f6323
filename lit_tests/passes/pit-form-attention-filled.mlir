// RUN: pit-mlir-opt %S/pit-form-attention.mlir --split-input-file --linalg-generalize-named-ops --pit-form-attention | filecheck %s

// Tensors may be filled by generic operations: the one that the attention starts from stays.

// CHECK-LABEL: func.func @additive_mask
// CHECK: %[[EMPTY:.*]] = tensor.empty(%{{.*}}) : tensor<2x?x4x16xf32>
// CHECK: %[[FILLED:.*]] = linalg.generic {{.*}} outs(%[[EMPTY]]
// CHECK: "pit.attend"(%{{.*}}, %{{.*}}, %{{.*}}, %[[FILLED]])
