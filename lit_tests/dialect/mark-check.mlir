// RUN: pit-mlir-opt %s --split-input-file --verify-diagnostics | pit-mlir-opt --split-input-file | filecheck %s

// CHECK-LABEL: func.func @mark
// CHECK:         "pit.mark"(%{{.*}}, %{{.*}}) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x64xf32>, tensor<?x1xi1>) -> tensor<?x64xf32>
// CHECK:         "pit.mark"(%{{.*}}) {operandSegmentSizes = array<i32: 1, 0>} : (tensor<?x64xf32>) -> tensor<?x64xf32>
func.func @mark(%x: tensor<?x64xf32>, %m: tensor<?x1xi1>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %y = "pit.mark"(%x, %m) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<?x64xf32>, tensor<?x1xi1>) -> tensor<?x64xf32>
  %z = "pit.mark"(%x) {operandSegmentSizes = array<i32: 1, 0>} : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y, %z : tensor<?x64xf32>, tensor<?x64xf32>
}

// A check has an effect: it stays though nobody uses it.
// CHECK-LABEL: func.func @check
// CHECK:         "pit.check"(%{{.*}}) {message = "index out of range"} : (i1) -> ()
// CHECK:         "pit.check"(%{{.*}}) {message = "shape"} : (tensor<i1>) -> ()
func.func @check(%ok: i1, %all: tensor<i1>) {
  "pit.check"(%ok) {message = "index out of range"} : (i1) -> ()
  "pit.check"(%all) {message = "shape"} : (tensor<i1>) -> ()
  return
}

// -----

func.func @mark_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{'pit.mark' op result tensor<5xf32> must have the type of the source tensor<4xf32>}}
  %y = "pit.mark"(%x) {operandSegmentSizes = array<i32: 1, 0>} : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @mark_shape(%x: tensor<4x8xf32>, %m: tensor<3x8xi1>) {
  // expected-error@+1 {{'pit.mark' op mask tensor<3x8xi1> does not broadcast to source tensor<4x8xf32>}}
  %y = "pit.mark"(%x, %m) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<4x8xf32>, tensor<3x8xi1>) -> tensor<4x8xf32>
  return
}

// -----

func.func @mark_values(%x: tensor<4xf32>, %m: tensor<4xf32>) {
  // expected-error@+1 {{'pit.mark' op mask must hold i1 or integers, got tensor<4xf32>}}
  %y = "pit.mark"(%x, %m) {operandSegmentSizes = array<i32: 1, 1>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @check_condition(%x: i32) {
  // expected-error@+1 {{'pit.check' op condition must be i1 or tensor<i1>, got i32}}
  "pit.check"(%x) {message = "m"} : (i32) -> ()
  return
}

// -----

func.func @check_message(%x: i1) {
  // expected-error@+1 {{'pit.check' op requires attribute 'message'}}
  "pit.check"(%x) : (i1) -> ()
  return
}

// -----

func.func @check_message_kind(%x: i1) {
  // expected-error@+1 {{'pit.check' op attribute 'message' must be a string, got 1 : i64}}
  "pit.check"(%x) {message = 1 : i64} : (i1) -> ()
  return
}

// -----

func.func @mark_approximation(%x: tensor<4xf32>) {
  // expected-error@+1 {{'pit.mark' op attribute 'approximation' must be a text, got 1 : i64}}
  %y = "pit.mark"(%x) {approximation = 1 : i64, operandSegmentSizes = array<i32: 1, 0>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}
