//! `models`: small modules of each kind of layer, and examples for them. `gradients`: both ways to clip against each other.
//! `refusals`: what cannot be trained so. `trainer`: whole tasks.

mod gradients;
mod models;
mod refusals;
mod trainer;
