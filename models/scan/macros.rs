//! The object-like macros of one file, for computed includes.

use std::collections::HashMap;

/// What an object-like macro stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// `"x"`
    Quoted(Box<[u8]>),
    /// `<x>`
    Bracketed(Box<[u8]>),
    /// Another name.
    Name(Box<[u8]>),
    /// Something that may expand to a header name in a way that the scanner does not follow.
    Other,
    /// Nothing that a header name could come from.
    Empty,
    /// The macro takes arguments.
    Function,
}

impl Body {
    /// The body of a macro defined on the command line.
    pub fn of_option(value: &[u8]) -> Self {
        let text = [b"#define X ", value].concat();
        let macros = super::lex::Lexer::macros(&super::text::Text::new(&text));
        macros.bodies(b"X").first().cloned().unwrap_or(Body::Empty)
    }
}

/// `NAME(ARGUMENT)` in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The macro.
    pub name: Box<[u8]>,
    /// Its one argument, an identifier.
    pub argument: Box<[u8]>,
    /// The line, from 1.
    pub line: usize,
}

/// The macros of one file, whichever `#if` they stand in.
#[derive(Debug, Default)]
pub(super) struct Macros {
    bodies: HashMap<Box<[u8]>, Vec<Body>>,
    /// The calls in conditions.
    pub calls: Vec<Call>,
}

impl Macros {
    /// Adds a definition.
    pub fn define(&mut self, name: &[u8], body: Body) {
        match self.bodies.get_mut(name) {
            Some(bodies) => bodies.push(body),
            None => {
                self.bodies.insert(name.into(), vec![body]);
            }
        }
    }

    /// Every definition of a macro.
    pub fn bodies(&self, name: &[u8]) -> &[Body] {
        self.bodies.get(name).map_or(&[], Vec::as_slice)
    }
}
