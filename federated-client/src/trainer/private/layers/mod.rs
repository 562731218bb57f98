//! What the tape records of each kind of layer, and how the gradients of single examples are told from it.
//!
//! `part` says what is asked of a recorded gradient: its squared norm for each example, and the sum of all examples' with weights.
//! `whole` keeps the gradient of each example; `factors` keeps the two matrices whose product it is, and never makes it. `linear`,
//! `conv2d` (with `windows`), `embedding` and `norm` choose between them. `watch` is how the gradient of a layer's output is caught.

mod conv2d;
mod embedding;
mod factors;
mod linear;
mod norm;
mod part;
mod watch;
mod whole;
mod windows;

pub(super) use conv2d::conv2d;
pub(super) use embedding::embedding;
pub(super) use linear::linear;
pub(super) use norm::{group_norm, layer_norm};
pub(super) use part::{Entry, Part, Weighted};
