//! Recipes: thunks as a person or a program states them, in JSON, before anything is sealed.
//!
//! A thunk ([`gg_ir::Thunk`]) names each input by its content. A [`Recipe`] may say instead: this text, the output of
//! that other recipe, what I have found at this path. Who takes recipes answers what the sources stand for
//! ([`Sources`]); [`seal()`] makes the thunk. A [`Graph`] is many recipes that use each other's outputs.
//!
//! A program that runs as a thunk may write a graph in place of an output ([`grow()`]): graphs are dynamic. That a thunk's
//! name tells its content makes cycles impossible; what is stated as one is an error.
//!
//! # Layout
//!
//! - `recipe`: [`Recipe`], [`Source`], [`Target`]: the JSON form
//! - `text`: [`Text`]: strings that need not be UTF-8
//! - `unique`: objects in which no key is said twice
//! - `seal`: [`seal()`], [`Sources`]: from a recipe to a thunk
//! - `graph`: [`Graph`], [`seal_all`]: many recipes, in an order in which each follows those that it uses
//! - `grow`: [`grow()`]: what a program wrote in place of an output
//! - `error`: [`RecipeError`]: what is wrong, and where in the text
//!
//! `docs/ir.md` describes the form for whoever writes it.

mod error;
mod graph;
mod grow;
mod recipe;
mod seal;
mod text;
mod unique;
#[cfg(test)]
mod vectors;

pub use error::{RecipeError, Result};
pub use graph::{Graph, MOST_INPUTS, MOST_THUNKS, Sealed, seal_all, seal_each};
pub use grow::{Growth, HEADER, Parent, UNSAID, grow, is_graph};
pub use recipe::{Described, Recipe, Source, Target};
pub use seal::{Sources, octal, seal};
pub use text::Text;
