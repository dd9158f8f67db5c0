//! What is wrong with a recipe.

/// What a fallible call here gives.
pub type Result<T> = std::result::Result<T, RecipeError>;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{what}")]
pub struct RecipeError {
    /// Where in the text, from the outside in: `thunks.left: inputs: /a: `; empty where it is the whole.
    place: String,
    what: String,
    /// It is another recipe that is wrong.
    dependency: bool,
}

impl RecipeError {
    /// An error without a place.
    pub fn new(what: impl Into<String>) -> Self {
        Self { place: String::new(), what: what.into(), dependency: false }
    }

    /// An error of a recipe that uses another, in which something is wrong.
    pub(crate) fn dependency(what: impl Into<String>) -> Self {
        Self { dependency: true, ..Self::new(what) }
    }

    /// Whether it is another recipe that is wrong.
    pub fn is_dependency(&self) -> bool {
        self.dependency
    }

    /// The same, and that it is inside of `place`.
    pub fn within(mut self, place: &str) -> Self {
        self.place = format!("{place}: {}", self.place);
        self
    }
}
